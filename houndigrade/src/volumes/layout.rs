//! Decides whether a disk has a partition table, and which: boot sectors of file systems, old tables under new ones and the backup of a
//! GPT contradict each other.

use super::detect::{Found, detect, head, look, owns_first_sector};
use super::gpt;
use super::mbr::{Belief, BootSector};
use super::partition::{Flaw, Partition, Table};
use crate::error::{ReadError, Result};
use crate::source::Source;

const SECTOR_BYTES: u64 = 512;
const LARGE_SECTOR_BYTES: u64 = 4096;

/// What a whole disk is.
pub(super) enum Layout {
    /// Divided into partitions.
    Table(Table),
    /// One volume, with what may be wrong with a table that should be there.
    Whole(Found, Vec<Flaw>),
}

/// Looks at a whole disk.
///
/// As in Linux, a GPT holds only where the MBR does not hold partitions of its own. Unlike there, its backup is used where the disk's begin
/// shows that there was one, or shows nothing at all.
///
/// # Errors
/// `Device`: the disk's begin cannot be read.
pub(super) fn layout(disk: &Source) -> Result<Layout> {
    let head = head(disk.as_ref())?;
    let boot = BootSector::parse(&head);
    let found = detect(disk.as_ref(), &head);
    let protective = boot.as_ref().is_some_and(BootSector::is_protective);
    let belief = boot.as_ref().map_or(Belief::Impossible, |boot| boot.belief(disk.len(), SECTOR_BYTES));

    let mut flaws = Vec::new();
    if protective || belief < Belief::Sane {
        match read_gpt(disk, protective || found.is_nothing()) {
            Ok(Some(table)) => return Ok(Layout::Table(table)),
            Ok(None) if protective => {
                flaws.push(hiding(ReadError::corrupt("the partition table", "its MBR announces a GPT that is not there")))
            }
            Ok(None) => {}
            Err(error) => flaws.push(hiding(error)),
        }
    }
    let is_table = match belief {
        Belief::Sane => !owns_first_sector(&head),
        Belief::Possible => found.is_nothing(),
        Belief::Impossible => false,
    };
    match boot.filter(|_| is_table) {
        Some(boot) => {
            let mut table = read_mbr(disk, &boot);
            table.flaws.append(&mut flaws);
            Ok(Layout::Table(table))
        }
        None => Ok(Layout::Whole(found, flaws)),
    }
}

/// The primary GPT, or the backup if the primary is damaged or `missed`.
fn read_gpt(disk: &Source, missed: bool) -> Result<Option<Table>> {
    let damage = match gpt::primary(disk) {
        Ok(None) if missed => ReadError::not_found("the GPT at the disk's begin"),
        Err(error) => error,
        found => return found,
    };
    match gpt::backup(disk) {
        Ok(Some(mut table)) => {
            let why = format!("{damage}; its backup was read");
            table.flaws.push(Flaw { number: None, error: ReadError::corrupt("the partition table", why), hides: false });
            Ok(Some(table))
        }
        Ok(None) if matches!(damage, ReadError::NotFound { .. }) => Ok(None),
        Ok(None) => Err(damage),
        Err(error) if matches!(damage, ReadError::NotFound { .. }) => Err(error),
        Err(_) => Err(damage),
    }
}

/// The MBR does not say how large the disk's sectors are: they are large if something is recognised only so.
fn read_mbr(disk: &Source, boot: &BootSector) -> Table {
    let table = boot.table(disk, SECTOR_BYTES);
    if boot.belief(disk.len(), LARGE_SECTOR_BYTES) == Belief::Sane && !any_recognised(disk, &table.partitions) {
        let large = boot.table(disk, LARGE_SECTOR_BYTES);
        if any_recognised(disk, &large.partitions) {
            return large;
        }
    }
    table
}

fn any_recognised(disk: &Source, partitions: &[Partition]) -> bool {
    let recognised = |partition: &Partition| look(partition.source(disk)?.as_ref());
    partitions.iter().any(|partition| recognised(partition).is_ok_and(|found| !found.is_nothing()))
}

fn hiding(error: ReadError) -> Flaw {
    Flaw { number: None, error, hides: true }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::gpt::tests::{LINUX, put_gpt};
    use super::super::mbr::tests::put_entry;
    use super::*;
    use crate::volumes::Contents;

    const EXT: (usize, &[u8]) = (1080, b"\x53\xef");

    fn put(disk: &mut [u8], at: usize, (within, bytes): (usize, &[u8])) {
        disk[at + within..at + within + bytes.len()].copy_from_slice(bytes);
    }

    fn blank() -> Vec<u8> {
        vec![0; 1 << 20]
    }

    fn gpt() -> Vec<u8> {
        let mut disk = blank();
        put_gpt(&mut disk, 512, &[(LINUX, 40, 99), (LINUX, 100, 199)], |said| said);
        put_entry(&mut disk, 0, (0, 0xee, 1, 2047));
        disk
    }

    /// The starts of the partitions, in bytes, and the messages of flaws with whether they hide something.
    fn table(disk: Vec<u8>) -> (Vec<u64>, Vec<(String, bool)>) {
        match layout(&(Arc::new(disk) as Source)).unwrap() {
            Layout::Table(table) => (
                table.partitions.iter().map(|partition| partition.start).collect(),
                table.flaws.iter().map(|flaw| (flaw.error.to_string(), flaw.hides)).collect(),
            ),
            Layout::Whole(found, flaws) => panic!("{found:?} {flaws:?}"),
        }
    }

    fn whole(disk: Vec<u8>) -> (Contents, usize) {
        match layout(&(Arc::new(disk) as Source)).unwrap() {
            Layout::Whole(Found::Plain(contents), flaws) => (contents, flaws.len()),
            Layout::Whole(found, _) => panic!("{found:?}"),
            Layout::Table(table) => panic!("{table:?}"),
        }
    }

    #[test]
    fn the_backup_is_read_where_the_primary_is_damaged_or_gone() {
        let expected = vec![40 * 512, 100 * 512];
        assert_eq!(table(gpt()), (expected.clone(), vec![]));
        let mut damaged = gpt();
        damaged[512 + 30] ^= 1;
        let mut gone = gpt();
        gone[..34 * 512].fill(0);
        for disk in [damaged, gone] {
            let (starts, flaws) = table(disk);
            assert_eq!(starts, expected);
            assert!(flaws[0].0.ends_with("its backup was read") && !flaws[0].1, "{flaws:?}");
        }
    }

    #[test]
    fn a_gpt_that_is_lost_altogether_is_said() {
        let mut disk = gpt();
        disk[512..1024].fill(0);
        let backup = disk.len() - 512;
        disk[backup..].fill(0);
        assert_eq!(whole(disk), (Contents::Unknown, 1));
    }

    #[test]
    fn an_mbr_with_partitions_of_its_own_holds_over_an_old_gpt() {
        let mut disk = gpt();
        put_entry(&mut disk, 0, (0, 0x83, 50, 100));
        assert_eq!(table(disk), (vec![50 * 512], vec![]));
    }

    #[test]
    fn a_file_system_holds_over_the_old_backup_of_a_gpt() {
        let mut disk = gpt();
        disk[..34 * 512].fill(0);
        put(&mut disk, 0, EXT);
        assert_eq!(whole(disk), (Contents::Ext, 0));
    }

    #[test]
    fn a_file_system_holds_over_a_boot_sector_without_sense() {
        let mut disk = blank();
        put(&mut disk, 0, EXT);
        disk[400..512].fill(0x41);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(whole(disk), (Contents::Ext, 0));
        let mut disk = blank();
        put(&mut disk, 0, (0, b"XFSB"));
        put_entry(&mut disk, 0, (0, 0x83, 50, 100));
        assert_eq!(whole(disk), (Contents::Xfs, 0));
    }

    #[test]
    fn a_table_holds_over_a_file_system_that_was_there_before() {
        let mut disk = blank();
        put(&mut disk, 65536, (64, b"_BHRfS_M"));
        put_entry(&mut disk, 0, (0, 0x83, 256, 1000));
        assert_eq!(table(disk).0, [256 * 512]);
    }

    #[test]
    fn large_sectors_of_an_mbr_are_told_by_what_is_found_there() {
        let mut disk = blank();
        put_entry(&mut disk, 0, (0, 0x83, 10, 100));
        assert_eq!(table(disk.clone()).0, [10 * 512]);
        put(&mut disk, 10 * 4096, EXT);
        assert_eq!(table(disk).0, [10 * 4096]);
    }

    #[test]
    fn a_blank_disk_is_blank() {
        assert_eq!(whole(blank()), (Contents::Blank, 0));
        assert_eq!(whole(vec![]), (Contents::Blank, 0));
    }
}
