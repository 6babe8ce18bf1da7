//! The GUID partition table (GPT), primary or backup. Where its header is tells the size of the disk's sectors.

use super::bytes::{array, has, le_u16, le_u32, le_u64, sums_agree};
use super::partition::{Partition, Table};
use crate::error::{ReadError, Result};
use crate::limits::{GPT_ENTRIES_MAX, GPT_ENTRY_BYTES_MAX};
use crate::source::Source;

const SECTOR_BYTES: [u64; 2] = [512, 4096];
const HEADER_BYTES_MIN: u32 = 92;
const ENTRY_BYTES_MIN: u32 = 128;

/// Types of partitions that hold no file system, as the bytes of their GUID.
const PURPOSES: [([u8; 16], &str); 3] = [
    (*b"Hah!IdontNeedEFI", "BIOS boot"),
    ([0x2d, 0x1a, 0x1a, 0x9e, 0x38, 0xc1, 0x26, 0x43, 0xaa, 0x26, 0x8b, 0x49, 0x52, 0x1e, 0x5a, 0x8b], "PReP boot"),
    ([0x16, 0xe3, 0xc9, 0xe3, 0x5c, 0x0b, 0xb8, 0x4d, 0x81, 0x7d, 0xf9, 0x2d, 0xf0, 0x02, 0x15, 0xae], "Microsoft reserved"),
];

/// The table at the disk's begin; `None` if there is no sign of one.
///
/// # Errors
/// `Corrupt` if it is damaged, `Limit` if it is too large, `Device`.
pub(super) fn primary(disk: &Source) -> Result<Option<Table>> {
    first_sound(disk, SECTOR_BYTES.map(|sector| (sector, 1)))
}

/// The table at the disk's end; `None` if there is no sign of one.
///
/// # Errors
/// As [`primary`].
pub(super) fn backup(disk: &Source) -> Result<Option<Table>> {
    first_sound(disk, SECTOR_BYTES.map(|sector| (sector, (disk.len() / sector).saturating_sub(1))))
}

/// Of the places (bytes of a sector, sector) where a header may be, the table of the first sound one.
fn first_sound(disk: &Source, places: [(u64, u64); 2]) -> Result<Option<Table>> {
    let mut damage = None;
    for (sector, at) in places {
        match Header::read(disk, sector, at).and_then(|header| header.map(|header| header.table(disk)).transpose()) {
            Ok(Some(table)) => return Ok(Some(table)),
            Ok(None) => {}
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    damage.map_or(Ok(None), Err)
}

struct Header {
    sector: u64,
    entries_at: u64,
    entries: u32,
    entry_bytes: u32,
    entries_crc: u32,
}

impl Header {
    /// Reads the header in sector `at`; `None` if there is none.
    fn read(disk: &Source, sector: u64, at: u64) -> Result<Option<Self>> {
        let Some(offset) = at.checked_mul(sector).filter(|offset| *offset > 0 && disk.len().saturating_sub(*offset) >= sector) else {
            return Ok(None);
        };
        let mut bytes = vec![0; sector as usize];
        disk.read_at(offset, &mut bytes)?;
        if !has(&bytes, 0, b"EFI PART") {
            return Ok(None);
        }
        let damaged = |why: String| ReadError::corrupt(format!("the GPT header in sector {at}"), why);
        let header = Self::parse(&bytes, sector, at).map_err(damaged)?;
        if header.entries > GPT_ENTRIES_MAX {
            let what = format!("the number {} of partitions of a GPT", header.entries);
            return Err(ReadError::Limit { what, limit: GPT_ENTRIES_MAX.into(), unit: "entries" });
        }
        Ok(Some(header))
    }

    fn parse(bytes: &[u8], sector: u64, at: u64) -> Result<Self, String> {
        let short = || "it is cut off".to_owned();
        let number = |at| le_u32(bytes, at).ok_or_else(short);
        let header_bytes = number(12)?;
        if header_bytes < HEADER_BYTES_MIN || u64::from(header_bytes) > sector {
            return Err(format!("it claims to have {header_bytes} bytes"));
        }
        let mut summed = bytes.get(..header_bytes as usize).ok_or_else(short)?.to_vec();
        summed.get_mut(16..20).ok_or_else(short)?.fill(0);
        if !sums_agree(crc32fast::hash(&summed), number(16)?) {
            return Err("its checksum is wrong".to_owned());
        }
        let itself = le_u64(bytes, 24).ok_or_else(short)?;
        if itself != at {
            return Err(format!("it says that it is in sector {itself}"));
        }
        let entry_bytes = number(84)?;
        if !(ENTRY_BYTES_MIN..=GPT_ENTRY_BYTES_MAX).contains(&entry_bytes) || !entry_bytes.is_power_of_two() {
            return Err(format!("its entries have {entry_bytes} bytes"));
        }
        let entries_at = le_u64(bytes, 72).ok_or_else(short)?;
        Ok(Self { sector, entries_at, entries: number(80)?, entry_bytes, entries_crc: number(88)? })
    }

    fn table(&self, disk: &Source) -> Result<Table> {
        let damaged = |why: &str| ReadError::corrupt(format!("the GPT at sector {}", self.entries_at), why);
        let offset = self.entries_at.checked_mul(self.sector).ok_or_else(|| damaged("it lies behind the disk's end"))?;
        // At most 4 MiB, by the two limits.
        let mut bytes = vec![0; self.entries as usize * self.entry_bytes as usize];
        disk.read_at(offset, &mut bytes)?;
        if !sums_agree(crc32fast::hash(&bytes), self.entries_crc) {
            return Err(damaged("its checksum is wrong"));
        }
        let mut table = Table::default();
        for (number, entry) in (1..).zip(bytes.chunks_exact(self.entry_bytes as usize)) {
            self.add(&mut table, number, entry, disk.len());
        }
        Ok(table)
    }

    fn add(&self, table: &mut Table, number: u32, entry: &[u8], disk_len: u64) {
        let (Some(kind), Some(guid)) = (array::<16>(entry, 0), array::<16>(entry, 16)) else { return };
        let (Some(first), Some(last)) = (le_u64(entry, 32), le_u64(entry, 40)) else { return };
        if kind == [0; 16] {
            return;
        }
        let Some(count) = last.checked_sub(first).and_then(|count| count.checked_add(1)).filter(|_| first > 0) else {
            let why = format!("it begins at sector {first} and ends at {last}");
            return table.flaw(Some(number), ReadError::corrupt(format!("partition {number}"), why));
        };
        let purpose = PURPOSES.iter().find(|(guid, _)| *guid == kind).map(|(_, name)| *name);
        let label = Some(name(entry)).filter(|name| !name.is_empty());
        let partition = Partition { number, start: 0, len: 0, purpose, uuid: Some(hyphenated(guid)), label };
        table.add(partition, first, count, self.sector, disk_len);
    }
}

/// A GUID as Linux writes it; the first three of its groups are little-endian numbers.
fn hyphenated(guid: [u8; 16]) -> String {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = guid;
    let (a, b, c) = (u32::from_le_bytes([a0, a1, a2, a3]), u16::from_le_bytes([b0, b1]), u16::from_le_bytes([c0, c1]));
    let [d0, d1, e @ ..] = rest;
    let e: String = e.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{a:08x}-{b:04x}-{c:04x}-{d0:02x}{d1:02x}-{e}")
}

/// The 36 UTF-16 units of an entry's name, up to the first NUL.
fn name(entry: &[u8]) -> String {
    let units = (0..36).map_while(|index| le_u16(entry, 56 + 2 * index)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    pub(crate) const LINUX: [u8; 16] = [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

    /// What a header says; tests change it.
    #[derive(Clone, Copy)]
    pub(crate) struct Said {
        pub(crate) entries: u32,
        pub(crate) entry_bytes: u32,
        pub(crate) entries_at: u64,
    }

    /// Writes entries (type, first and last sector) and both headers, with right checksums.
    pub(crate) fn put_gpt(disk: &mut [u8], sector: usize, entries: &[([u8; 16], u64, u64)], change: impl Fn(Said) -> Said) {
        let last = (disk.len() / sector - 1) as u64;
        let mut table = vec![0; 128 * 128];
        for (index, (kind, first, end)) in entries.iter().enumerate() {
            let entry = &mut table[128 * index..][..128];
            entry[..16].copy_from_slice(kind);
            entry[16..32].copy_from_slice(&(0..16).map(|byte| 16_u8.wrapping_mul(index as u8).wrapping_add(byte)).collect::<Vec<_>>());
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&end.to_le_bytes());
            for (at, unit) in "rööt".encode_utf16().enumerate() {
                entry[56 + 2 * at..58 + 2 * at].copy_from_slice(&unit.to_le_bytes());
            }
        }
        let table_sectors = (table.len() / sector) as u64;
        for (at, entries_at) in [(1, 2), (last, last - table_sectors)] {
            let said = change(Said { entries: 128, entry_bytes: 128, entries_at });
            let crc = crc32fast::hash(&table);
            disk[entries_at as usize * sector..][..table.len()].copy_from_slice(&table);
            let mut header = vec![0; 92];
            header[..8].copy_from_slice(b"EFI PART");
            header[12..16].copy_from_slice(&92_u32.to_le_bytes());
            header[24..32].copy_from_slice(&at.to_le_bytes());
            header[72..80].copy_from_slice(&said.entries_at.to_le_bytes());
            header[80..84].copy_from_slice(&said.entries.to_le_bytes());
            header[84..88].copy_from_slice(&said.entry_bytes.to_le_bytes());
            header[88..92].copy_from_slice(&crc.to_le_bytes());
            let crc = crc32fast::hash(&header);
            header[16..20].copy_from_slice(&crc.to_le_bytes());
            disk[at as usize * sector..][..92].copy_from_slice(&header);
        }
    }

    fn sample(sector: usize) -> Vec<u8> {
        let mut disk = vec![0; 200 * sector];
        put_gpt(&mut disk, sector, &[(LINUX, 40, 99), ([0; 16], 1, 2), (*b"Hah!IdontNeedEFI", 100, 100)], |said| said);
        disk
    }

    fn source(disk: &[u8]) -> Source {
        Arc::new(disk.to_vec())
    }

    #[test]
    fn either_size_of_sector_and_either_copy_gives_the_same_partitions() {
        for sector in [512, 4096] {
            let disk = source(&sample(sector));
            for table in [primary(&disk), backup(&disk)] {
                let table = table.unwrap().unwrap();
                let [linux, boot] = table.partitions.as_slice() else { panic!("{table:?}") };
                assert_eq!((linux.number, linux.start, linux.len), (1, 40 * sector as u64, 60 * sector as u64));
                assert_eq!(linux.uuid.as_deref(), Some("03020100-0504-0706-0809-0a0b0c0d0e0f"));
                assert_eq!(linux.label.as_deref(), Some("rööt"));
                assert_eq!((boot.number, boot.purpose), (3, Some("BIOS boot")));
                assert!(table.flaws.is_empty());
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_damage() {
        let disk = sample(512);
        for at in [512 + 40, 2 * 512 + 60] {
            let mut damaged = disk.clone();
            damaged[at] ^= 1;
            assert!(matches!(primary(&source(&damaged)), Err(ReadError::Corrupt { .. })), "{at}");
            assert!(backup(&source(&damaged)).unwrap().is_some());
        }
    }

    #[test]
    fn impossible_headers_with_right_checksums_are_refused() {
        let with = |change: fn(Said) -> Said| {
            let mut disk = vec![0; 200 * 512];
            put_gpt(&mut disk, 512, &[(LINUX, 40, 99)], change);
            primary(&source(&disk)).map(|_| ()).unwrap_err()
        };
        assert!(matches!(with(|said| Said { entries: u32::MAX, ..said }), ReadError::Limit { limit: 1024, .. }));
        for entry_bytes in [0, 1, 127, 129, 8192, u32::MAX] {
            let mut disk = vec![0; 200 * 512];
            put_gpt(&mut disk, 512, &[(LINUX, 40, 99)], |said| Said { entry_bytes, ..said });
            assert!(matches!(primary(&source(&disk)), Err(ReadError::Corrupt { .. })), "{entry_bytes}");
        }
        assert!(matches!(with(|said| Said { entries_at: u64::MAX / 512, ..said }), ReadError::Corrupt { .. }));
        assert!(matches!(with(|said| Said { entries_at: u64::MAX, ..said }), ReadError::Corrupt { .. }));
    }

    #[test]
    fn impossible_extents_hide_only_their_partition() {
        let mut disk = vec![0; 200 * 512];
        let extents = [(LINUX, 0, u64::MAX), (LINUX, 9, 8), (LINUX, 1 << 60, u64::MAX - 1), (LINUX, 40, 41), (LINUX, 199, 210)];
        put_gpt(&mut disk, 512, &extents, |said| said);
        let table = primary(&source(&disk)).unwrap().unwrap();
        let found: Vec<_> = table.partitions.iter().map(|partition| (partition.number, partition.len)).collect();
        assert_eq!(found, [(4, 1024), (5, 512)]);
        assert_eq!(table.flaws.iter().filter_map(|flaw| flaw.number).collect::<Vec<_>>(), [1, 2, 3, 5]);
    }

    proptest! {
        #[test]
        fn a_damaged_table_is_refused_or_whole(changes in prop::collection::vec((0usize..34 * 512, any::<u8>()), 1..8)) {
            let mut disk = sample(512);
            let before = primary(&source(&disk)).unwrap().unwrap().partitions;
            changes.iter().for_each(|(at, value)| disk[*at] = *value);
            if let Ok(Some(table)) = primary(&source(&disk)) {
                prop_assert_eq!(table.partitions, before);
            }
        }

        #[test]
        fn entries_of_any_bytes_stay_within_the_disk(first in any::<u64>(), last in any::<u64>(), near in 0u64..300) {
            let mut disk = vec![0; 200 * 512];
            put_gpt(&mut disk, 512, &[(LINUX, first, last), (LINUX, near, last), (LINUX, first, near), (LINUX, near, near)], |said| said);
            let table = primary(&source(&disk)).unwrap().unwrap();
            prop_assert!(table.partitions.iter().all(|partition| partition.start + partition.len <= disk.len() as u64));
        }
    }
}
