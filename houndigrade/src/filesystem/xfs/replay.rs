//! A dirty log of version 4, replayed over the disk in memory.
//!
//! The rules are those of Linux: transactions in the order of their commits; within one, buffers before inodes; and what was freed later in
//! the log is not written, as its blocks may hold file contents by now. Metadata of version 4 says nothing of how new it is, so all is
//! written again. Only inodes count how often they went to the disk.
//!
//! Passed over is what no reader of files asks for: quotas, the list of deleted files that are open, and intents to free blocks.

use std::collections::HashMap;

use super::super::bytes::{u16_le, u32_le, u64_le};
use super::geometry::{BASIC_BLOCK_BYTES, Geometry};
use super::inode::LoggedInode;
use super::log::{Log, WHAT};
use super::overlay::Overlay;
use super::transaction::{Item, Transaction, Transactions};
use crate::error::{ReadError, Result};
use crate::limits::XFS_CANCELLED_MAX;
use crate::source::{BlockSource, Source};

const EXTENTS_TO_FREE: u16 = 0x1236;
const EXTENTS_FREED: u16 = 0x1237;
const INODE: u16 = 0x123b;
const BUFFER: u16 = 0x123c;
const QUOTA: u16 = 0x123d;
const QUOTA_OFF: u16 = 0x123e;

/// Flags of a buffer: it holds inodes, of which only their places in the list of deleted files are logged; it was freed; it holds quotas.
const BUFFER_OF_DELETED: u16 = 0x1;
const BUFFER_FREED: u16 = 0x2;
const BUFFER_OF_QUOTAS: u16 = 0x1c;
/// Where a buffer's map begins, which has a bit for each piece, and how many words it may have.
const BUFFER_MAP: usize = 20;
const BUFFER_MAP_WORDS_MAX: usize = 17;
/// Bytes of a piece of a buffer.
const PIECE_BYTES: usize = 128;

/// Part of the disk as the log names it: its first basic block and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Extent {
    pub first: u64,
    pub count: u32,
}

/// The disk with what its log holds in place.
///
/// # Errors
/// `Corrupt` if the log contradicts itself, `Unsupported` if it has what is not known, `Limit` if it is larger than is read, `Device` if the
/// device fails. Nothing of the log may then be used.
pub(super) fn replay(disk: &Source, geometry: &Geometry) -> Result<Overlay> {
    let log = Log::of(disk.as_ref(), geometry)?;
    let mut replay = Replay { geometry, overlay: Overlay::over(disk.clone()), freed: HashMap::new() };
    let Some(live) = log.live()? else { return Ok(replay.overlay) };
    let mut transactions = Transactions::default();
    log.each_record(live, |record| transactions.record(&record, |transaction| replay.note_freed(transaction)))?;
    let mut transactions = Transactions::default();
    log.each_record(live, |record| transactions.record(&record, |transaction| replay.transaction(transaction)))?;
    Ok(replay.overlay)
}

struct Replay<'a> {
    geometry: &'a Geometry,
    overlay: Overlay,
    /// Buffers that are freed by transactions to come, and by how many.
    freed: HashMap<Extent, u32>,
}

impl Replay<'_> {
    fn note_freed(&mut self, transaction: &Transaction) -> Result<()> {
        for buffer in transaction.items().filter(|item| is_buffer_with(*item, BUFFER_FREED)) {
            *self.freed.entry(buffer_extent(buffer)).or_default() += 1;
            if self.freed.len() > XFS_CANCELLED_MAX {
                return Err(ReadError::Limit { what: WHAT.to_owned(), limit: XFS_CANCELLED_MAX as u64, unit: "freed buffers" });
            }
        }
        Ok(())
    }

    fn transaction(&mut self, transaction: &Transaction) -> Result<()> {
        for item in transaction.items() {
            match item.kind() {
                BUFFER if !is_buffer_with(item, BUFFER_FREED | BUFFER_OF_DELETED | BUFFER_OF_QUOTAS) => self.buffer(item)?,
                BUFFER | INODE | EXTENTS_TO_FREE | EXTENTS_FREED | QUOTA | QUOTA_OFF => {}
                kind => return Err(ReadError::unsupported(WHAT, format!("it has an item of kind {kind:#x}"))),
            }
        }
        for inode in transaction.items().filter(|item| item.kind() == INODE) {
            self.inode(inode)?;
        }
        for buffer in transaction.items().filter(|item| is_buffer_with(*item, BUFFER_FREED)) {
            self.forget_freed(buffer_extent(buffer));
        }
        Ok(())
    }

    fn forget_freed(&mut self, extent: Extent) {
        if let Some(times) = self.freed.get_mut(&extent) {
            *times -= 1;
            if *times == 0 {
                self.freed.remove(&extent);
            }
        }
    }

    /// Writes the pieces of a buffer. Pieces beside each other are one region or several.
    fn buffer(&mut self, item: Item<'_>) -> Result<()> {
        let extent = buffer_extent(item);
        if self.freed.contains_key(&extent) {
            return Ok(());
        }
        let place = self.place(extent)?;
        let corrupt = || ReadError::corrupt(WHAT, format!("it changes a buffer at {place} in a way that contradicts itself"));
        let map = piece_map(item.description()).ok_or_else(corrupt)?;
        let is_set = |piece: usize| map.get(piece / 8).is_some_and(|byte| byte >> (piece % 8) & 1 == 1);
        let buffer_bytes = u64::from(extent.count) * BASIC_BLOCK_BYTES;
        let mut next = 0;
        for region in item.regions().skip(1) {
            let first = (next..map.len() * 8).find(|piece| is_set(*piece)).ok_or_else(corrupt)?;
            next = first + region.len() / PIECE_BYTES;
            let is_sound = !region.is_empty() && region.len() % PIECE_BYTES == 0 && (first..next).all(is_set);
            if !is_sound || (next * PIECE_BYTES) as u64 > buffer_bytes {
                return Err(corrupt());
            }
            self.overlay.write(place + (first * PIECE_BYTES) as u64, region)?;
        }
        if (next..map.len() * 8).any(is_set) { Err(corrupt()) } else { Ok(()) }
    }

    fn inode(&mut self, item: Item<'_>) -> Result<()> {
        let logged = LoggedInode::of(item.regions())?;
        if self.freed.contains_key(&logged.buffer) {
            return Ok(());
        }
        let place = self.place(logged.buffer)?;
        let end = logged.offset.checked_add(self.geometry.inode_bytes as u64);
        if end.is_none_or(|end| end > u64::from(logged.buffer.count) * BASIC_BLOCK_BYTES) {
            return Err(ReadError::corrupt(WHAT, format!("it changes an inode behind the end of the buffer at {place}")));
        }
        logged.write(&mut self.overlay, place + logged.offset, self.geometry.inode_bytes)
    }

    /// The byte at which an extent begins. It lies within the disk: a file system that was just grown is larger than its superblock says.
    fn place(&self, extent: Extent) -> Result<u64> {
        let end = extent.first.checked_add(u64::from(extent.count)).and_then(|end| end.checked_mul(BASIC_BLOCK_BYTES));
        if end.is_none_or(|end| end > self.overlay.len()) {
            return Err(ReadError::corrupt(WHAT, format!("it changes blocks from {} on, which are not there", extent.first)));
        }
        Ok(extent.first * BASIC_BLOCK_BYTES)
    }
}

fn is_buffer_with(item: Item<'_>, flags: u16) -> bool {
    item.kind() == BUFFER && u16_le(item.description(), 4) & flags != 0
}

fn buffer_extent(item: Item<'_>) -> Extent {
    Extent { first: u64_le(item.description(), 8), count: u32::from(u16_le(item.description(), 6)) }
}

/// The bytes of the map, of which the lowest bit of the first is for the first piece.
fn piece_map(description: &[u8]) -> Option<&[u8]> {
    let words = u32_le(description, 16) as usize;
    (words <= BUFFER_MAP_WORDS_MAX).then_some(())?;
    description.get(BUFFER_MAP..BUFFER_MAP + 4 * words)
}
