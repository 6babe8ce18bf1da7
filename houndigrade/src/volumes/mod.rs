//! From disks to volumes: partitions, logical volumes, or the whole disk where it has no partition table. This module knows nothing of the
//! files in a volume.

mod bytes;
mod detect;
mod discover;
mod gpt;
mod layout;
mod lvm;
mod mbr;
mod md;
pub(crate) mod names;
mod partition;
mod vhd;

pub use discover::discover;

use crate::error::ReadError;
use crate::source::Source;

/// A disk of the machine that is inspected.
#[derive(Clone)]
pub struct Disk {
    /// What the findings call it: `/dev/xvdb`, or the image file's path.
    pub name: String,
    /// Its bytes.
    pub source: Source,
}

/// What a volume holds, as its first bytes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contents {
    /// ext2, ext3 or ext4.
    Ext,
    /// XFS, version 4 or 5.
    Xfs,
    /// btrfs.
    Btrfs,
    /// Something that holds no files that are read, named for people: `swap`, `NTFS`, `vfat`, `BIOS boot`.
    Known(&'static str),
    /// Encrypted with LUKS: what is in it cannot be said.
    Luks {
        /// 1 or 2.
        version: u16,
    },
    /// Something that may hold files but is not read, named for people: `md RAID5 member (metadata 1.2)`, `LVM thin volume`, `qcow2 image, to
    /// be converted to a raw one`. Members of a mirror or volume group that is read are no volumes of their own.
    Member(String),
    /// Only zeros where a file system would begin.
    Blank,
    /// Something else.
    Unknown,
}

/// A part of a disk, or of several, that can hold a file system.
#[derive(Clone)]
pub struct Volume {
    /// The disk that it is reported under; of a logical volume, the first that it lies on.
    pub drive: String,
    /// What the findings call it: `/dev/xvdb1`, `/dev/mapper/rhel-root`; the disk's own name where there is no partition table.
    pub name: String,
    /// Its bytes; none if it is a logical volume that is not read.
    pub source: Source,
    /// What it holds.
    pub contents: Contents,
    /// `PARTUUID` and `PARTLABEL`, as fstab may name it.
    pub partition_uuid: Option<String>,
    /// See [`Volume::partition_uuid`].
    pub partition_label: Option<String>,
}

/// Something that was found wrong on the way to the volumes.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The disk that it is reported under.
    pub drive: String,
    /// What it concerns, as [`Volume::name`].
    pub name: String,
    /// What is wrong.
    pub error: ReadError,
    /// Whether files may be hidden by it. If not, they were read in another way: from the backup of a partition table, from one half of a
    /// mirror.
    pub hides: bool,
}

/// What disks consist of.
#[derive(Clone, Default)]
pub struct Discovery {
    /// All volumes: those of each disk in the order of its partition table, then those that are joined from several.
    pub volumes: Vec<Volume>,
    /// What was found wrong. Nothing of it keeps the other volumes from being found.
    pub problems: Vec<Problem>,
}
