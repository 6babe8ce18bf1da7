//! Members of Linux software RAID (md): what the superblock says. A mirror's half holds all its bytes; nothing else is joined.

use super::bytes::{array, le_u16, le_u32, le_u64};
use crate::source::BlockSource;

const MAGIC: u32 = 0xa92b_4efc;
const SUPERBLOCK_BYTES: usize = 4096;
const SECTOR_BYTES: u64 = 512;
/// A member of which a part is not yet written, or whose layout is being changed.
const FEATURES_UNFINISHED: u32 = 0x2 | 0x4;
/// Role numbers from here on are spare, faulty and journal devices.
const ROLES_MAX: u16 = 0xff00;
/// In a superblock of version 0.90: the member is in step with the others.
const STATE_IN_SYNC: u32 = 1 << 2;

/// A member of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The array.
    pub array: [u8; 16],
    /// What changed at the array so far: of two halves of a mirror, the one with the higher number is newer.
    pub events: u64,
    /// The version of its superblock: `1.2`.
    pub version: &'static str,
    /// `RAID1`.
    pub level: String,
    /// Where the array's data are, from and length in bytes, if all of it is here.
    pub mirrored: Option<(u64, u64)>,
}

/// Looks for a superblock in all places where one can be. A place that cannot be read holds none: a bad sector at a disk's end must not hide
/// what is before it.
pub(super) fn find(volume: &dyn BlockSource) -> Option<Member> {
    let len = volume.len();
    let at_end = |reserved: u64, unit: u64| Some(len.checked_sub(reserved)? / unit * unit);
    let places =
        [("1.1", Some(0)), ("1.2", Some(4096)), ("1.0", at_end(8192, 4096)), ("0.90", (len / 65536).checked_sub(1).map(|n| n * 65536))];
    places.into_iter().find_map(|(version, at)| {
        let at = at?;
        let mut bytes = [0; SUPERBLOCK_BYTES];
        volume.read_at(at, &mut bytes).ok()?;
        if version == "0.90" { parse_old(&bytes) } else { parse(&bytes, version, at) }
    })
}

/// A superblock of version 1.x, which names its own place: a copy elsewhere is none.
fn parse(bytes: &[u8], version: &'static str, at: u64) -> Option<Member> {
    let own_place = le_u64(bytes, 144)?.checked_mul(SECTOR_BYTES)?;
    if le_u32(bytes, 0)? != MAGIC || le_u32(bytes, 4)? != 1 || own_place != at {
        return None;
    }
    let level = le_u32(bytes, 72)? as i32;
    let role = usize::try_from(le_u32(bytes, 160)?).ok().and_then(|device| le_u16(bytes, device.checked_mul(2)?.checked_add(256)?));
    let in_sync = le_u32(bytes, 8)? & FEATURES_UNFINISHED == 0 && role.is_some_and(|role| role < ROLES_MAX);
    // The array's size, not the space on this member, which can be larger.
    let data = le_u64(bytes, 128)?.checked_mul(SECTOR_BYTES).zip(le_u64(bytes, 80)?.checked_mul(SECTOR_BYTES));
    Some(Member {
        array: array(bytes, 16)?,
        events: le_u64(bytes, 200)?,
        version,
        level: level_name(level),
        mirrored: data.filter(|_| level == 1 && in_sync),
    })
}

/// A superblock of version 0.90 of a little-endian machine.
fn parse_old(bytes: &[u8]) -> Option<Member> {
    let word = |index: usize| le_u32(bytes, 4 * index);
    if word(0)? != MAGIC || word(1)? != 0 {
        return None;
    }
    let level = word(7)? as i32;
    let mut array = [0; 16];
    for (part, index) in array.chunks_exact_mut(4).zip([5, 13, 14, 15]) {
        part.copy_from_slice(&word(index)?.to_le_bytes());
    }
    let in_sync = word(992 + 4)? & STATE_IN_SYNC != 0;
    Some(Member {
        array,
        events: u64::from(word(40)?) << 32 | u64::from(word(39)?),
        version: "0.90",
        level: level_name(level),
        mirrored: (level == 1 && in_sync).then_some((0, u64::from(word(8)?) * 1024)),
    })
}

fn level_name(level: i32) -> String {
    match level {
        -1 => "linear array".to_owned(),
        -4 => "multipath".to_owned(),
        _ => format!("RAID{level}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes a superblock of version 1.x of the array with this id at byte `at`; data (from, length) in sectors.
    pub(crate) fn put_md(disk: &mut [u8], at: usize, (id, level, events): (u8, i32, u64), data: (u64, u64)) {
        let block = &mut disk[at..at + SUPERBLOCK_BYTES];
        block.fill(0);
        block[..4].copy_from_slice(&MAGIC.to_le_bytes());
        block[4..8].copy_from_slice(&1_u32.to_le_bytes());
        block[16..32].fill(id);
        block[72..76].copy_from_slice(&level.to_le_bytes());
        block[80..88].copy_from_slice(&data.1.to_le_bytes());
        block[128..136].copy_from_slice(&data.0.to_le_bytes());
        block[144..152].copy_from_slice(&(at as u64 / 512).to_le_bytes());
        block[200..208].copy_from_slice(&events.to_le_bytes());
    }

    #[test]
    fn each_version_is_found_in_its_place() {
        let len = 1 << 20;
        for (version, at) in [("1.1", 0), ("1.2", 4096), ("1.0", len - 8192)] {
            let mut disk = vec![0; len];
            put_md(&mut disk, at, (7, 1, 42), (16, 100));
            let member = find(&disk).unwrap();
            assert_eq!((member.version, member.array, member.events, member.level.as_str()), (version, [7; 16], 42, "RAID1"));
            assert_eq!(member.mirrored, Some((16 * 512, 100 * 512)));
        }
        let mut disk = vec![0; len + 1000];
        let at = len - 65536;
        for (word, value) in [(0, MAGIC), (7, 5), (8, 64), (39, 9), (992 + 4, 6)] {
            disk[at + 4 * word..][..4].copy_from_slice(&value.to_le_bytes());
        }
        let member = find(&disk).unwrap();
        assert_eq!((member.version, member.level.as_str(), member.events, member.mirrored), ("0.90", "RAID5", 9, None));
        disk[at + 4 * 7] = 1;
        assert_eq!(find(&disk).unwrap().mirrored, Some((0, 65536)));
    }

    #[test]
    fn a_half_that_is_not_in_step_is_not_read() {
        for (at, value) in [(8, 2), (8, 4), (256, 0xff)] {
            let mut disk = vec![0; 1 << 20];
            put_md(&mut disk, 4096, (7, 1, 42), (16, 100));
            disk[4096 + at] = value;
            disk[4096 + at + 1] = if value == 0xff { 0xff } else { 0 };
            assert_eq!(find(&disk).unwrap().mirrored, None);
        }
    }

    proptest! {
        #[test]
        fn superblocks_of_any_bytes_do_no_harm(rest in prop::collection::vec(any::<u8>(), SUPERBLOCK_BYTES - 8), old in any::<bool>()) {
            let mut bytes = MAGIC.to_le_bytes().to_vec();
            bytes.extend(u32::from(!old).to_le_bytes());
            bytes.extend(rest);
            bytes[144..152].fill(0);
            let member = if old { parse_old(&bytes) } else { parse(&bytes, "1.1", 0) };
            prop_assert!(member.is_some());
        }
    }
}
