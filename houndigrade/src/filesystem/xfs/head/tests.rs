//! Rings that hold nothing but cycles and the headers that the end is looked for by.

use super::super::geometry::Geometry;
use super::super::log::HEADER_MAGIC;
use super::*;

const UUID: [u8; 16] = *b"a-file-system-id";
/// Bytes of the disk before the log.
const BEFORE: usize = 4096;

/// A disk with a log of as many blocks as there are cycles, each stamped with its own.
fn ring(cycles: &[u32]) -> Vec<u8> {
    let mut disk = vec![0; BEFORE + cycles.len() * BLOCK_BYTES];
    for (block, cycle) in disk[BEFORE..].chunks_exact_mut(BLOCK_BYTES).zip(cycles) {
        block[..4].copy_from_slice(&cycle.to_be_bytes());
    }
    disk
}

/// Puts a header of a record of so many blocks into a block, which names it as the tail.
fn header(disk: &mut [u8], at: usize, blocks: usize, operations: u32) {
    let header = &mut disk[BEFORE + at * BLOCK_BYTES..][..BLOCK_BYTES];
    let cycle: [u8; 4] = header[..4].try_into().unwrap();
    header[4..8].copy_from_slice(&cycle);
    header[..4].copy_from_slice(&HEADER_MAGIC.to_be_bytes());
    header[8..16].copy_from_slice(&[2, ((blocks - 1) * BLOCK_BYTES) as u32].map(u32::to_be_bytes).concat());
    for field in [20, 28] {
        header[field..field + 4].copy_from_slice(&(at as u32).to_be_bytes());
    }
    header[40..44].copy_from_slice(&operations.to_be_bytes());
    header[300..304].copy_from_slice(&1_u32.to_be_bytes());
    header[304..320].copy_from_slice(&UUID);
}

fn live(disk: &Vec<u8>) -> Result<Option<Live>> {
    let log = BEFORE as u64..disk.len() as u64;
    let geometry = Geometry { log, large_records: false, inode_bytes: 256, uuid: UUID };
    Log::of(disk, &geometry)?.live()
}

/// Cycles of parts of a ring, with how many blocks each has.
fn cycles(parts: &[(usize, u32)]) -> Vec<u32> {
    parts.iter().flat_map(|(count, cycle)| std::iter::repeat_n(*cycle, *count)).collect()
}

#[test]
fn a_ring_never_written_has_nothing() {
    assert_eq!(live(&ring(&[0; 1000])).unwrap(), None);
}

#[test]
fn the_end_is_where_the_cycle_steps_back_or_the_first_hole_before() {
    for (parts, head) in [
        // Not once round.
        (&[(600, 1), (400, 0)][..], 600),
        (&[(590, 1), (3, 0), (7, 1), (400, 0)], 590),
        // Round, with the end anywhere.
        (&[(600, 8), (400, 7)], 600),
        (&[(5, 8), (995, 7)], 5),
        (&[(1000, 7)], 0),
        (&[(999, 8), (1, 7)], 999),
        (&[(1, 8), (999, 7)], 1),
        // A hole before the step, at the ring's end, and at its begin.
        (&[(590, 8), (3, 7), (7, 8), (400, 7)], 590),
        (&[(5, 8), (985, 7), (3, 6), (7, 7)], 990),
        (&[(990, 7), (3, 6), (7, 7)], 990),
        (&[(3, 7), (7, 8), (990, 7)], 0),
        // What lies farther back than what can have been under way is no hole but damage, and not found.
        (&[(10, 8), (3, 7), (587, 8), (400, 7)], 600),
    ] {
        let mut disk = ring(&cycles(parts));
        // Two records before the end, so that it is the end of one.
        let of_two = |head: usize| [(head + 1000 - 4) % 1000, (head + 1000 - 2) % 1000];
        for at in of_two(head) {
            header(&mut disk, at, 2, 3);
        }
        let found = live(&disk).unwrap().unwrap();
        assert_eq!(found, Live { tail: of_two(head)[1] as u64, head: head as u64 }, "{parts:?}");
    }
}

#[test]
fn a_record_that_is_not_whole_is_left_out() {
    for (end, blocks) in [(600, 5), (601, 5), (605, 3)] {
        let mut disk = ring(&cycles(&[(end, 8), (1000 - end, 7)]));
        header(&mut disk, 596, 2, 3);
        header(&mut disk, 598, blocks, 3);
        assert_eq!(live(&disk).unwrap(), Some(Live { tail: 596, head: 598 }));
    }
}

#[test]
fn a_last_record_of_an_unmount_leaves_nothing() {
    for (flags, operations, is_clean) in [(0x20, 1, true), (0x20, 2, false), (0x2, 1, false)] {
        let mut disk = ring(&cycles(&[(600, 8), (400, 7)]));
        header(&mut disk, 598, 2, operations);
        disk[BEFORE + 599 * BLOCK_BYTES + 9] = flags;
        assert_eq!(live(&disk).unwrap().is_none(), is_clean);
    }
}

#[test]
fn rings_that_make_no_sense_are_refused() {
    let sound = || {
        let mut disk = ring(&cycles(&[(600, 8), (400, 7)]));
        header(&mut disk, 598, 2, 3);
        disk
    };
    assert!(live(&sound()).is_ok());
    assert!(live(&ring(&cycles(&[(600, 8), (400, 7)]))).is_err(), "no record");
    for tail in [599_u32, 600, 1000, u32::MAX] {
        let mut disk = sound();
        disk[BEFORE + 598 * BLOCK_BYTES + 28..][..4].copy_from_slice(&tail.to_be_bytes());
        assert!(live(&disk).is_err(), "tail at {tail}");
    }
    assert!(live(&vec![0; BEFORE]).is_err(), "no log");
}

#[test]
fn more_than_is_replayed_is_refused() {
    /// A log whose begin and end say that all between is needed, and which has nothing there.
    struct Large(u64);
    impl crate::source::BlockSource for Large {
        fn len(&self) -> u64 {
            BEFORE as u64 + self.0 * BLOCK_BYTES as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            let mut last = ring(&[1, 1]);
            header(&mut last, 0, 2, 3);
            last.drain(..BEFORE);
            let at = (self.0 - 2) as u32;
            last[20..24].copy_from_slice(&at.to_be_bytes());
            last[28..32].copy_from_slice(&2_u32.to_be_bytes());
            for (number, block) in buf.chunks_exact_mut(BLOCK_BYTES).enumerate() {
                block.fill(0);
                block[..4].copy_from_slice(&1_u32.to_be_bytes());
                match (self.len() - offset) / BLOCK_BYTES as u64 - number as u64 {
                    2 => block.copy_from_slice(&last[..BLOCK_BYTES]),
                    1 => block.copy_from_slice(&last[BLOCK_BYTES..]),
                    _ => {}
                }
            }
            Ok(())
        }
    }
    for (bytes, is_limit) in [(XFS_LOG_LIVE_BYTES_MAX + 1024, false), (XFS_LOG_LIVE_BYTES_MAX + 1536, true)] {
        let disk = Large(bytes / BLOCK_BYTES as u64);
        let log = BEFORE as u64..crate::source::BlockSource::len(&disk);
        let geometry = Geometry { log, large_records: false, inode_bytes: 256, uuid: UUID };
        let refused = Log::of(&disk, &geometry).unwrap().live().unwrap_err();
        assert_eq!(matches!(refused, ReadError::Limit { .. }), is_limit, "{refused}");
    }
}
