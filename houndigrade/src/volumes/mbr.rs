//! The partition table of PCs (MBR), with the chain of extended boot records that holds logical partitions.

use std::collections::HashSet;

use super::bytes::{has, le_u32};
use super::partition::{Partition, Table};
use crate::error::{ReadError, Result};
use crate::limits::LOGICAL_PARTITIONS_MAX;
use crate::source::Source;

const SECTOR_BYTES: usize = 512;
const PROTECTIVE: u8 = 0xee;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const PREP: u8 = 0x41;

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    status: u8,
    kind: u8,
    first: u32,
    count: u32,
}

impl Entry {
    fn is_used(&self) -> bool {
        self.kind != 0 && self.count != 0
    }

    fn is_extended(&self) -> bool {
        EXTENDED.contains(&self.kind)
    }

    fn end(&self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }
}

/// How far a boot sector can be believed to hold a partition table: file systems and boot loaders use the same signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Belief {
    /// It cannot be one.
    Impossible,
    /// It can be one, of a disk that has since lost its end or of a larger sector.
    Possible,
    /// Each partition lies on the disk and none over another.
    Sane,
}

/// A sector that ends as boot sectors end.
#[derive(Clone, Debug)]
pub(super) struct BootSector {
    entries: [Entry; 4],
    disk_id: u32,
}

impl BootSector {
    /// Reads the first 512 of `bytes`; `None` without the signature.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        if !has(bytes, SECTOR_BYTES - 2, &[0x55, 0xaa]) {
            return None;
        }
        let mut entries = [Entry::default(); 4];
        for (index, entry) in entries.iter_mut().enumerate() {
            let at = 446 + 16 * index;
            *entry =
                Entry { status: *bytes.get(at)?, kind: *bytes.get(at + 4)?, first: le_u32(bytes, at + 8)?, count: le_u32(bytes, at + 12)? };
        }
        Some(Self { entries, disk_id: le_u32(bytes, 440)? })
    }

    /// Whether it is only there to keep programs off that do not know GPT, or to name some of a GPT's partitions once more.
    pub(super) fn is_protective(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == PROTECTIVE)
    }

    /// Whether it is a partition table of a disk of `disk_len` bytes.
    pub(super) fn belief(&self, disk_len: u64, sector: u64) -> Belief {
        let sectors = disk_len / sector;
        let mut used: Vec<_> = self.entries.iter().filter(|entry| entry.is_used() && entry.kind != PROTECTIVE).collect();
        used.sort_by_key(|entry| entry.first);
        let begins_on_disk = |entry: &&Entry| entry.first > 0 && u64::from(entry.first) < sectors;
        if self.entries.iter().any(|entry| entry.status & 0x7f != 0) || !used.iter().any(begins_on_disk) {
            Belief::Impossible
        } else if used.iter().all(|entry| entry.first > 0 && entry.end() <= sectors)
            && used.windows(2).all(|pair| pair[0].end() <= u64::from(pair[1].first))
        {
            Belief::Sane
        } else {
            Belief::Possible
        }
    }

    /// The partitions, of a disk with sectors of `sector` bytes.
    pub(super) fn table(&self, disk: &Source, sector: u64) -> Table {
        let mut reader = Reader { disk, sector, disk_id: self.disk_id, table: Table::default(), logical: 0, visited: HashSet::new() };
        for (number, entry) in (1..).zip(&self.entries).filter(|(_, entry)| entry.is_used() && entry.kind != PROTECTIVE) {
            if entry.is_extended() {
                if let Err(error) = reader.extended(entry) {
                    reader.table.flaw(Some(number), error);
                }
            } else {
                reader.add(number, entry, 0);
            }
        }
        reader.table.partitions.sort_by_key(|partition| partition.number);
        reader.table
    }
}

struct Reader<'a> {
    disk: &'a Source,
    sector: u64,
    disk_id: u32,
    table: Table,
    logical: usize,
    visited: HashSet<u64>,
}

impl Reader<'_> {
    /// Follows the chain of boot records in an extended partition. What was found before an error stays found.
    fn extended(&mut self, outer: &Entry) -> Result<()> {
        let base = u64::from(outer.first);
        let mut at = base;
        loop {
            if !self.visited.insert(at) {
                return Err(ReadError::corrupt("an extended partition", format!("its chain comes back to sector {at}")));
            }
            let record = self.boot_record(at)?;
            // The two entries behind these are never used; old programs left rubbish there.
            for entry in record.entries[..2].iter().filter(|entry| entry.is_used() && !entry.is_extended()) {
                if self.logical == LOGICAL_PARTITIONS_MAX {
                    let what = "the number of logical partitions".to_owned();
                    return Err(ReadError::Limit { what, limit: LOGICAL_PARTITIONS_MAX as u64, unit: "partitions" });
                }
                self.logical += 1;
                self.add(4 + self.logical as u32, entry, at);
            }
            let Some(link) = record.entries.iter().find(|entry| entry.is_used() && entry.is_extended()) else {
                return Ok(());
            };
            if self.visited.len() > 2 * LOGICAL_PARTITIONS_MAX {
                let what = "the length of the chain of an extended partition".to_owned();
                return Err(ReadError::Limit { what, limit: 2 * LOGICAL_PARTITIONS_MAX as u64, unit: "boot records" });
            }
            at = base + u64::from(link.first);
            if at >= outer.end() {
                return Err(ReadError::corrupt("an extended partition", format!("its chain leads out of it, to sector {at}")));
            }
        }
    }

    fn boot_record(&self, at: u64) -> Result<BootSector> {
        let mut bytes = [0; SECTOR_BYTES];
        self.disk.read_at(at.saturating_mul(self.sector), &mut bytes)?;
        let missing = || ReadError::corrupt(format!("the extended boot record at sector {at}"), "its signature is missing");
        BootSector::parse(&bytes).ok_or_else(missing)
    }

    fn add(&mut self, number: u32, entry: &Entry, base: u64) {
        let uuid = (self.disk_id != 0).then(|| format!("{:08x}-{number:02x}", self.disk_id));
        let purpose = (entry.kind == PREP).then_some("PReP boot");
        let partition = Partition { number, start: 0, len: 0, purpose, uuid, label: None };
        let first = base + u64::from(entry.first);
        self.table.add(partition, first, u64::from(entry.count), self.sector, self.disk.len());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    /// Writes an entry of a boot record at `sector`: index, type, first sector, sectors.
    pub(crate) fn put_entry(disk: &mut [u8], sector: usize, (index, kind, first, count): (usize, u8, u32, u32)) {
        let at = sector * 512 + 446 + 16 * index;
        disk[at + 4] = kind;
        disk[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        disk[at + 12..at + 16].copy_from_slice(&count.to_le_bytes());
        disk[sector * 512 + 510..sector * 512 + 512].copy_from_slice(&[0x55, 0xaa]);
    }

    fn read(disk: Vec<u8>) -> Table {
        let boot = BootSector::parse(&disk).unwrap();
        boot.table(&(Arc::new(disk) as Source), 512)
    }

    fn extents(table: &Table) -> Vec<(u32, u64, u64)> {
        table.partitions.iter().map(|partition| (partition.number, partition.start / 512, partition.len / 512)).collect()
    }

    /// A primary partition, and an extended one with two logical ones.
    fn sample() -> Vec<u8> {
        let mut disk = vec![0; 400 * 512];
        disk[440..444].copy_from_slice(&0x00c0_ffee_u32.to_le_bytes());
        put_entry(&mut disk, 0, (0, 0x83, 10, 50));
        put_entry(&mut disk, 0, (2, 0x0f, 100, 300));
        put_entry(&mut disk, 100, (0, 0x83, 10, 20));
        put_entry(&mut disk, 100, (1, 0x05, 100, 50));
        put_entry(&mut disk, 200, (0, 0x41, 5, 30));
        disk
    }

    #[test]
    fn primary_and_logical_partitions_are_numbered_as_by_linux() {
        let table = read(sample());
        assert_eq!(extents(&table), [(1, 10, 50), (5, 110, 20), (6, 205, 30)]);
        assert_eq!(table.partitions[1].uuid.as_deref(), Some("00c0ffee-05"));
        assert_eq!(table.partitions[2].purpose, Some("PReP boot"));
        assert!(table.flaws.is_empty());
    }

    #[test]
    fn a_cycle_of_extended_partitions_ends() {
        let mut disk = sample();
        put_entry(&mut disk, 200, (1, 0x05, 0, 50));
        let table = read(disk);
        assert_eq!(extents(&table), [(1, 10, 50), (5, 110, 20), (6, 205, 30)]);
        assert!(table.flaws[0].error.to_string().contains("comes back to sector 100"), "{:?}", table.flaws);
    }

    #[test]
    fn a_chain_of_boot_records_is_followed_to_its_limit_only() {
        for (kind, expected) in [(0x83, LOGICAL_PARTITIONS_MAX), (0, 0)] {
            let mut disk = vec![0; 1000 * 512];
            put_entry(&mut disk, 0, (0, 0x05, 1, 999));
            for at in 1..990 {
                put_entry(&mut disk, at, (0, kind, 1, 1));
                put_entry(&mut disk, at, (1, 0x05, at as u32, 1));
            }
            let table = read(disk);
            assert_eq!(table.partitions.len(), expected);
            assert!(matches!(table.flaws[0].error, ReadError::Limit { .. }));
        }
    }

    #[test]
    fn a_chain_that_leads_out_of_its_partition_is_damage() {
        let mut disk = sample();
        put_entry(&mut disk, 100, (1, 0x05, u32::MAX, 50));
        let table = read(disk);
        assert_eq!(extents(&table), [(1, 10, 50), (5, 110, 20)]);
        assert!(matches!(table.flaws[0].error, ReadError::Corrupt { .. }));
    }

    #[test]
    fn of_a_truncated_disk_what_is_left_is_found() {
        let mut disk = sample();
        disk.truncate(115 * 512);
        let table = read(disk);
        assert_eq!(extents(&table), [(1, 10, 50), (5, 110, 5)]);
        assert_eq!(table.flaws.iter().map(|flaw| flaw.number).collect::<Vec<_>>(), [Some(5), Some(3)]);
    }

    #[test]
    fn boot_code_and_overlaps_are_told_from_a_table() {
        let belief = |entries: &[(usize, u8, u32, u32)]| {
            let mut sector = vec![0; 512];
            entries.iter().for_each(|entry| put_entry(&mut sector, 0, *entry));
            BootSector::parse(&sector).map(|boot| boot.belief(1000 * 512, 512))
        };
        assert_eq!(belief(&[]), None);
        assert_eq!(belief(&[(0, 0x83, 1, 10), (1, 0x83, 11, 989)]), Some(Belief::Sane));
        assert_eq!(belief(&[(0, 0x83, 1, 11), (1, 0x83, 11, 989)]), Some(Belief::Possible));
        assert_eq!(belief(&[(0, 0x83, 1, 1000)]), Some(Belief::Possible));
        assert_eq!(belief(&[(0, 0x83, 0, 1000)]), Some(Belief::Impossible));
        assert_eq!(belief(&[(0, 0x83, 1000, 1)]), Some(Belief::Impossible));
        let mut text = b"This is not a bootable disk. ".repeat(20);
        text[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(BootSector::parse(&text).map(|boot| boot.belief(u64::MAX, 512)), Some(Belief::Impossible));
    }

    proptest! {
        #[test]
        fn partitions_of_a_damaged_table_lie_within_the_disk(changes in prop::collection::vec((0usize..300 * 512, any::<u8>()), 0..40)) {
            let mut disk = sample();
            for (at, value) in changes {
                // Most of the changes hit a boot record.
                let at = if at % 4 == 0 { at } else { [0, 100, 200][at % 3] * 512 + 440 + at % 72 };
                disk[at] = value;
            }
            let len = disk.len() as u64;
            let Some(boot) = BootSector::parse(&disk) else { return Ok(()) };
            let source: Source = Arc::new(disk);
            for sector in [512, 4096] {
                let table = boot.table(&source, sector);
                prop_assert!(table.partitions.len() <= 4 + LOGICAL_PARTITIONS_MAX);
                prop_assert!(table.partitions.iter().all(|partition| partition.start + partition.len <= len));
            }
        }
    }
}
