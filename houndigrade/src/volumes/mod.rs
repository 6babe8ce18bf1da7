//! From disks to volumes: partitions, logical volumes, or the whole disk where it has no partition table.

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
    /// A member of something whose parts are joined elsewhere, or cannot be joined: an md RAID, a thin pool.
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
    /// Its bytes.
    pub source: Source,
    /// What it holds.
    pub contents: Contents,
    /// `PARTUUID` and `PARTLABEL`, as fstab may name it.
    pub partition_uuid: Option<String>,
    /// See [`Volume::partition_uuid`].
    pub partition_label: Option<String>,
}
