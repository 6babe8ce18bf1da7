//! Tells what a volume holds by the signatures that formats keep in fixed places. Nothing is read but those places.

use super::Contents;
use super::bytes::{array, has, le_u16};
use super::lvm::Label;
use super::md::{self, Member};
use crate::error::Result;
use crate::limits::VOLUME_HEAD_BYTES;
use crate::source::BlockSource;

/// What a volume holds, with what is needed to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing that has to be joined with other volumes.
    Plain(Contents),
    /// A member of an md array.
    Md(Member),
    /// A physical volume of LVM.
    Physical(Label),
}

impl Found {
    /// Whether no format was recognised.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Plain(Contents::Blank | Contents::Unknown))
    }
}

/// The begin of a volume, up to [`VOLUME_HEAD_BYTES`].
///
/// # Errors
/// `Device`.
pub(super) fn head(volume: &dyn BlockSource) -> Result<Vec<u8>> {
    let mut head = vec![0; volume.len().min(VOLUME_HEAD_BYTES as u64) as usize];
    volume.read_at(0, &mut head)?;
    Ok(head)
}

/// What a volume with this [`head`] holds.
///
/// RAID and LVM are asked first: the data in them begin with signatures of their own.
pub(super) fn detect(volume: &dyn BlockSource, head: &[u8]) -> Found {
    if let Some(member) = md::find(volume) {
        Found::Md(member)
    } else if let Some(label) = Label::find(head) {
        Found::Physical(label)
    } else {
        Found::Plain(by_signature(head))
    }
}

/// What a volume holds.
///
/// # Errors
/// `Device`.
pub(super) fn look(volume: &dyn BlockSource) -> Result<Found> {
    Ok(detect(volume, &head(volume)?))
}

/// Whether sector 0 belongs to a file system, so that no partition table can be in it.
pub(super) fn owns_first_sector(head: &[u8]) -> bool {
    has(head, 0, b"XFSB")
        || has(head, 0, b"LUKS\xba\xbe")
        || [(3, "NTFS    "), (3, "EXFAT   ")].iter().any(|(at, name)| has(head, *at, name.as_bytes()))
        || is_fat(head)
}

fn by_signature(head: &[u8]) -> Contents {
    if let Some(version) = luks_version(head) {
        return Contents::Luks { version };
    }
    let by_place = SIGNATURES.iter().find(|(at, bytes, _)| has(head, *at, bytes)).map(|(_, _, sign)| sign);
    match by_place {
        Some(Sign::Xfs) => Contents::Xfs,
        Some(Sign::Ext) => Contents::Ext,
        Some(Sign::Btrfs) => Contents::Btrfs,
        Some(Sign::Known(name)) => Contents::Known(name),
        Some(Sign::Member(name)) => Contents::Member((*name).to_owned()),
        None if is_fat(head) => Contents::Known("vfat"),
        None if is_swap(head) => Contents::Known("swap"),
        None if is_zfs(head) => Contents::Member("ZFS pool".to_owned()),
        None if head.iter().all(|byte| *byte == 0) => Contents::Blank,
        None => Contents::Unknown,
    }
}

#[derive(Clone, Copy)]
enum Sign {
    Xfs,
    Ext,
    Btrfs,
    Known(&'static str),
    Member(&'static str),
}

/// Byte, signature, meaning. The first that fits holds: those that their tools write at the very begin stand before those further in, which
/// can be left over from what was there before.
const SIGNATURES: [(usize, &[u8], Sign); 24] = [
    (0, b"XFSB", Sign::Xfs),
    (3, b"NTFS    ", Sign::Known("NTFS")),
    (3, b"EXFAT   ", Sign::Known("exFAT")),
    (3, b"-FVE-FS-", Sign::Member("BitLocker volume")),
    (0, b"hsqs", Sign::Known("squashfs")),
    (0, b"sqsh", Sign::Known("squashfs")),
    (0, b"dmvdo001", Sign::Member("VDO volume")),
    (32, b"NXSB", Sign::Known("APFS")),
    (516, b"!Stra0tis\x86\xff\x02^\x41rh", Sign::Member("Stratis pool")),
    (1024 + 56, b"\x53\xef", Sign::Ext),
    (1024, b"\xe2\xe1\xf5\xe0", Sign::Known("erofs")),
    (1024, b"\x10\x20\xf5\xf2", Sign::Known("F2FS")),
    (1024, b"H+\x00\x04", Sign::Known("HFS+")),
    (4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81", Sign::Member("bcache device")),
    (65536 + 64, b"_BHRfS_M", Sign::Btrfs),
    (65536 + 52, b"ReIsErFs", Sign::Known("ReiserFS")),
    (65536 + 52, b"ReIsEr2Fs", Sign::Known("ReiserFS")),
    (32768 + 1, b"CD001", Sign::Known("ISO 9660")),
    (32768, b"JFS1", Sign::Known("JFS")),
    // Images of other formats, when given as if they were raw.
    (0, b"QFI\xfb", Sign::Member("qcow2 image, to be converted to a raw one")),
    (0, b"KDMV", Sign::Member("VMDK image, to be converted to a raw one")),
    (0, b"# Disk DescriptorFile", Sign::Member("VMDK image, to be converted to a raw one")),
    (0, b"vhdxfile", Sign::Member("VHDX image, to be converted to a raw one")),
    (0, b"conectix", Sign::Member("dynamic VHD image, to be converted to a raw one")),
];

fn luks_version(head: &[u8]) -> Option<u16> {
    // At 16 KiB: the second header of version 2, if the first was lost.
    let at = if has(head, 0, b"LUKS\xba\xbe") {
        0
    } else if has(head, 16384, b"SKUL\xba\xbe") {
        16384
    } else {
        return None;
    };
    array(head, at + 6).map(u16::from_be_bytes)
}

fn is_fat(head: &[u8]) -> bool {
    let jump = has(head, 0, &[0xeb]) || has(head, 0, &[0xe9]);
    let named =
        [(54, "FAT12   "), (54, "FAT16   "), (54, "FAT     "), (82, "FAT32   ")].iter().any(|(at, name)| has(head, *at, name.as_bytes()));
    let sector_bytes = le_u16(head, 11).unwrap_or_default();
    jump && named && sector_bytes.is_power_of_two() && (512..=4096).contains(&sector_bytes) && has(head, 510, &[0x55, 0xaa])
}

/// The signature ends the first page of memory, whatever its size on the machine that made it; a hibernated system replaces it.
fn is_swap(head: &[u8]) -> bool {
    const SIGNATURES: [&[u8]; 5] = [b"SWAPSPACE2", b"SWAP-SPACE", b"S1SUSPEND", b"S2SUSPEND", b"LINHIB0001"];
    [4096, 8192, 16384, 32768, 65536].iter().any(|page| SIGNATURES.iter().any(|signature| has(head, page - 10, signature)))
}

/// At 16 KiB a ZFS label has a list in XDR, whose first name is `version`.
fn is_zfs(head: &[u8]) -> bool {
    has(head, 16384, &[1, 1, 0, 0]) && has(head, 16384 + 24, b"version")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contents(at: usize, signature: &[u8]) -> Contents {
        let mut volume = vec![0; 1 << 20];
        volume[at..at + signature.len()].copy_from_slice(signature);
        match look(&volume).unwrap() {
            Found::Plain(contents) => contents,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn formats_are_told_by_their_signatures() {
        assert_eq!(contents(1080, b"\x53\xef"), Contents::Ext);
        assert_eq!(contents(0, b"XFSB"), Contents::Xfs);
        assert_eq!(contents(65536 + 64, b"_BHRfS_M"), Contents::Btrfs);
        assert_eq!(contents(0, b"LUKS\xba\xbe\0\x02"), Contents::Luks { version: 2 });
        assert_eq!(contents(16384, b"SKUL\xba\xbe\0\x02"), Contents::Luks { version: 2 });
        assert_eq!(contents(3, b"NTFS    "), Contents::Known("NTFS"));
        assert_eq!(contents(0, b""), Contents::Blank);
        assert_eq!(contents(100, b"x"), Contents::Unknown);
        assert_eq!(contents(0, b"QFI\xfb"), Contents::Member("qcow2 image, to be converted to a raw one".to_owned()));
    }

    #[test]
    fn swap_is_recognised_with_every_size_of_page() {
        for page in [4096, 8192, 16384, 32768, 65536] {
            assert_eq!(contents(page - 10, b"SWAPSPACE2"), Contents::Known("swap"));
        }
        assert_eq!(contents(4086, b"S1SUSPEND"), Contents::Known("swap"));
    }

    #[test]
    fn fat_needs_more_than_a_jump_and_a_signature() {
        let mut sector = vec![0; 512];
        sector[0] = 0xeb;
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        assert!(!is_fat(&sector));
        sector[11..13].copy_from_slice(&512_u16.to_le_bytes());
        sector[82..90].copy_from_slice(b"FAT32   ");
        assert!(is_fat(&sector));
    }

    #[test]
    fn volumes_of_no_size_hold_nothing() {
        for len in [0, 1, 511, 512, 4095] {
            let volume = vec![0; len];
            assert_eq!(look(&volume).unwrap(), Found::Plain(Contents::Blank));
        }
    }

    proptest! {
        #[test]
        fn volumes_of_any_bytes_do_no_harm(volume in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let head = head(&volume).unwrap();
            detect(&volume, &head);
            owns_first_sector(&head);
        }
    }
}
