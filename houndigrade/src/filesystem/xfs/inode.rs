//! An inode as the log holds it: its core in the byte order of the machine, and the parts of its forks that were changed, as on the disk.

use super::super::bytes::{u16_be, u16_le, u32_le, u64_le};
use super::log::WHAT;
use super::overlay::Overlay;
use super::replay::Extent;
use crate::error::{ReadError, Result};
use crate::source::BlockSource;

const MAGIC: u16 = 0x494e;
/// Bytes of a description by a Linux of 64 and of 32 bits, whose compilers lay it out differently.
const DESCRIPTION_BYTES: usize = 56;
const DESCRIPTION_BYTES_32: usize = 52;

/// What of an inode is logged.
const CORE: u32 = 0x1;
const DATA: u32 = 0x2 | DATA_EXTENTS | DATA_TREE;
const DATA_EXTENTS: u32 = 0x4;
const DATA_TREE: u32 = 0x8;
const DEVICE: u32 = 0x10;
const ATTRIBUTES: u32 = 0x40 | 0x80 | ATTRIBUTES_TREE;
const ATTRIBUTES_TREE: u32 = 0x100;

/// Bytes of the core of versions 1 and 2 in the log. On the disk the place in the list of deleted files follows, then the forks.
const CORE_BYTES: usize = 96;
const CORE_BYTES_WITH_LIST: usize = 100;
const FORKS: usize = 100;
const VERSION: usize = 4;
const FLUSHES: usize = 30;
const ATTRIBUTES_AT: usize = 82;
/// The count of flushes goes no further; it begins again behind this.
const FLUSHES_MAX: u16 = 0xffff;
/// The numbers of the core that have more than one byte: how many, and where they are. Times are seconds and nanoseconds, from 32 on.
const NUMBERS: [(usize, &[usize]); 3] =
    [(2, &[0, 2, 6, 20, 22, 30, 80, 88, 90]), (4, &[8, 12, 16, 32, 36, 40, 44, 48, 52, 72, 76, 84, 92]), (8, &[56, 64])];

/// Bytes before the entries in the block that a tree's root is in the log, and in the inode.
const TREE_BLOCK_HEADER_BYTES: usize = 24;
const TREE_ROOT_HEADER_BYTES: usize = 4;
/// Bytes of a key, and of a pointer, of a tree.
const KEY_BYTES: usize = 8;

/// An inode that a transaction changed.
pub(super) struct LoggedInode<'a> {
    /// The buffer in which it is.
    pub buffer: Extent,
    /// The byte of the buffer at which it begins.
    pub offset: u64,
    fields: u32,
    device: u32,
    core: [u8; CORE_BYTES],
    data: Option<&'a [u8]>,
    attributes: Option<&'a [u8]>,
}

impl<'a> LoggedInode<'a> {
    /// Takes the regions of an item apart.
    ///
    /// # Errors
    /// `Corrupt` if they are not those of an inode of version 1 or 2.
    pub(super) fn of(mut regions: impl Iterator<Item = &'a [u8]>) -> Result<Self> {
        let description = regions.next().unwrap_or_default();
        // From the inode's number on.
        let tail = match description.len() {
            DESCRIPTION_BYTES => &description[16..],
            DESCRIPTION_BYTES_32 => &description[12..],
            bytes => return Err(corrupt(format!("is described in {bytes} bytes"))),
        };
        let fields = u32_le(description, 4);
        let core = regions.next().filter(|core| fields & CORE != 0 && matches!(core.len(), CORE_BYTES | CORE_BYTES_WITH_LIST));
        let core = core.and_then(|core| core.first_chunk().copied()).ok_or_else(|| corrupt("has no core"))?;
        let data = if fields & DATA != 0 { regions.next() } else { None };
        let attributes = if fields & ATTRIBUTES != 0 { regions.next() } else { None };
        let are_all = data.is_some() == (fields & DATA != 0) && attributes.is_some() == (fields & ATTRIBUTES != 0);
        if !are_all || regions.next().is_some() || u16_le(&core, 0) != MAGIC || !(1..=2).contains(&core[VERSION]) {
            return Err(corrupt("is none of version 4"));
        }
        Ok(Self {
            buffer: Extent { first: u64_le(tail, 24), count: u32_le(tail, 32) },
            offset: u64::from(u32_le(tail, 36)),
            fields,
            device: u32_le(tail, 8),
            core,
            data,
            attributes,
        })
    }

    /// Writes it to its place, where an inode must be already, unless that is newer.
    ///
    /// # Errors
    /// `Corrupt` if there is no inode or it does not fit, and those of writing.
    pub(super) fn write(&self, disk: &mut Overlay, place: u64, inode_bytes: usize) -> Result<()> {
        let mut inode = vec![0; inode_bytes];
        disk.read_at(place, &mut inode)?;
        if u16_be(&inode, 0) != MAGIC {
            return Err(corrupt(format!("is at byte {place}, where none is")));
        }
        if is_older(u16_le(&self.core, FLUSHES), u16_be(&inode, FLUSHES)) {
            return Ok(());
        }
        inode[..CORE_BYTES].copy_from_slice(&self.core);
        for (bytes, places) in NUMBERS {
            places.iter().for_each(|at| inode[*at..at + bytes].reverse());
        }
        // Counted anew, so that whatever follows in the log is newer.
        inode[FLUSHES..FLUSHES + 2].fill(0);
        let forks = &mut inode[FORKS..];
        let data_bytes = match usize::from(self.core[ATTRIBUTES_AT]) * 8 {
            0 => forks.len(),
            bytes => bytes,
        };
        let (data, attributes) = forks.split_at_mut_checked(data_bytes).ok_or_else(|| corrupt("has a fork behind its end"))?;
        if self.fields & DEVICE != 0 {
            put(data, &self.device.to_be_bytes())?;
        }
        if let Some(region) = self.data {
            put_fork(data, region, self.fields & DATA_TREE != 0)?;
        }
        if let Some(region) = self.attributes {
            put_fork(attributes, region, self.fields & ATTRIBUTES_TREE != 0)?;
        }
        disk.write(place, &inode)
    }
}

/// Whether what the log holds went to the disk before what is there. Behind the last number counting begins again.
fn is_older(logged: u16, on_disk: u16) -> bool {
    logged < on_disk && !(on_disk == FLUSHES_MAX && logged < FLUSHES_MAX / 2)
}

fn put_fork(fork: &mut [u8], region: &[u8], is_tree: bool) -> Result<()> {
    if is_tree { put_tree(fork, region) } else { put(fork, region) }
}

fn put(fork: &mut [u8], region: &[u8]) -> Result<()> {
    let place = fork.get_mut(..region.len()).ok_or_else(|| corrupt("has a fork that is too long"))?;
    place.copy_from_slice(region);
    Ok(())
}

/// The root of a tree is a whole block in the log, with room for as many entries as it has; in the inode it fills the fork. Keys stand before
/// pointers in both.
fn put_tree(fork: &mut [u8], block: &[u8]) -> Result<()> {
    let too_large = || corrupt("has a tree that is too large");
    let entries = usize::from(u16_be(block, 6));
    let room_in = |bytes: usize, header: usize| Some(bytes.checked_sub(header)? / (2 * KEY_BYTES));
    let in_block = room_in(block.len(), TREE_BLOCK_HEADER_BYTES).filter(|room| *room >= entries).ok_or_else(too_large)?;
    let in_fork = room_in(fork.len(), TREE_ROOT_HEADER_BYTES).filter(|room| *room >= entries).ok_or_else(too_large)?;
    // Level and count of entries.
    fork[..4].copy_from_slice(&block[4..8]);
    for (from, to) in [
        (TREE_BLOCK_HEADER_BYTES, TREE_ROOT_HEADER_BYTES),
        (TREE_BLOCK_HEADER_BYTES + in_block * KEY_BYTES, TREE_ROOT_HEADER_BYTES + in_fork * KEY_BYTES),
    ] {
        fork[to..to + entries * KEY_BYTES].copy_from_slice(&block[from..from + entries * KEY_BYTES]);
    }
    Ok(())
}

fn corrupt(why: impl AsRef<str>) -> ReadError {
    ReadError::corrupt(WHAT, format!("an inode in it {}", why.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree's root as it is logged: level 1, the entries, and room for as many as `room`.
    fn block(entries: u16, room: usize) -> Vec<u8> {
        let mut block = vec![0; TREE_BLOCK_HEADER_BYTES];
        block[4..8].copy_from_slice(&[0_u8, 1, entries.to_be_bytes()[0], entries.to_be_bytes()[1]]);
        block.extend((0..room).flat_map(|key| [key as u8 + 1; KEY_BYTES]));
        block.extend((0..room).flat_map(|pointer| [pointer as u8 + 101; KEY_BYTES]));
        block
    }

    #[test]
    fn a_tree_fills_the_fork_whatever_room_it_had_in_the_log() {
        for room in [2, 3, 9] {
            let mut fork = [0xee; 156];
            put_tree(&mut fork, &block(2, room)).unwrap();
            // 156 bytes have room for nine entries.
            assert_eq!(fork[..4], [0, 1, 0, 2]);
            assert_eq!(fork[4..20], [[1; 8], [2; 8]].concat());
            assert_eq!(fork[20..76], [0xee; 56]);
            assert_eq!(fork[76..92], [[101; 8], [102; 8]].concat());
        }
    }

    #[test]
    fn a_tree_that_does_not_fit_is_refused() {
        for (entries, room, fork_bytes) in [(3, 2, 156), (10, 10, 156), (1, 1, 19), (0, 0, 3), (0xffff, 1, 156)] {
            assert!(put_tree(&mut vec![0; fork_bytes], &block(entries, room)).is_err());
        }
        assert!(put_tree(&mut [0; 156], &[0; 23]).is_err());
    }

    #[test]
    fn forks_that_do_not_fit_are_refused() {
        assert!(put(&mut [0; 8], &[0; 9]).is_err());
        assert!(put(&mut [0; 8], &[0; 8]).is_ok());
    }

    #[test]
    fn what_is_older_is_told_by_flushes_up_to_their_wrap() {
        for (logged, on_disk, older) in [
            (0, 0, false),
            (0, 1, true),
            (9, 8, false),
            (0xffff, 0xffff, false),
            (0, 0xffff, false),
            (0x7ffe, 0xffff, false),
            (0x7fff, 0xffff, true),
            (0, 0xfffe, true),
        ] {
            assert_eq!(is_older(logged, on_disk), older, "{logged} {on_disk}");
        }
    }
}
