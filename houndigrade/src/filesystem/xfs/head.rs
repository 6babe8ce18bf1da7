//! Where the log ends, and where the records begin that are still needed.
//!
//! The log ends where the cycle steps back. Linux has up to eight records under way at once, which may reach the disk in any order, so a
//! machine that stopped, or whose disk was copied as it ran, may leave a hole among the last ones: what is behind the first hole was
//! confirmed to nobody. The last record before the end says how far back those reach whose changes may not be in their places.

use super::log::{BLOCK_BYTES, Header, Log, Record, WHAT, cycle_of};
use crate::error::{ReadError, Result};
use crate::limits::XFS_LOG_LIVE_BYTES_MAX;

/// Records that Linux has under way at once.
const UNDER_WAY: usize = 8;
/// How a little-endian Linux says that it wrote a record.
const FORMAT_LINUX_LITTLE_ENDIAN: u32 = 1;
/// Blocks that are looked at together in search of a hole.
const SCAN_BLOCKS: u64 = 512;

/// The records to replay: from the block `tail` on, up to `head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub tail: u64,
    pub head: u64,
}

impl Log<'_> {
    /// What is to be replayed; `None` if nothing is.
    ///
    /// # Errors
    /// `Corrupt` if the log contradicts itself, `Limit` if there is more to replay than is read, `Device` if the device fails.
    pub(super) fn live(&self) -> Result<Option<Live>> {
        let Some(mut head) = self.head()? else { return Ok(None) };
        // Records that were torn are taken away once: those before them must be whole.
        for _ in 0..2 {
            let last = self.last_before(head)?;
            if self.after(last.at, last.blocks()) == head && self.says_unmounted(&last)? {
                return Ok(None);
            }
            let tail = self.tail(&last, head)?;
            match self.first_torn(Live { tail, head })? {
                Some(torn) => head = torn,
                None => return Ok(Some(Live { tail, head })),
            }
        }
        Err(ReadError::corrupt(WHAT, "records that were written long before the last are torn"))
    }

    /// Calls `visit` with each record.
    pub(super) fn each_record(&self, live: Live, mut visit: impl FnMut(Record) -> Result<()>) -> Result<()> {
        let mut at = live.tail;
        while at != live.head {
            let record = self.record(at)?;
            if record.header.format != FORMAT_LINUX_LITTLE_ENDIAN {
                return Err(ReadError::unsupported(WHAT, format!("it was written in format {}", record.header.format)));
            }
            let blocks = record.header.blocks();
            if blocks > self.distance(at, live.head) {
                return Err(ReadError::corrupt(WHAT, format!("the record at block {at} goes on behind the end")));
            }
            visit(record)?;
            at = self.after(at, blocks);
        }
        Ok(())
    }

    fn tail(&self, last: &Header, head: u64) -> Result<u64> {
        let tail = last.tail;
        if tail >= self.blocks || self.distance(tail, head) < self.distance(last.at, head) {
            return Err(ReadError::corrupt(WHAT, format!("it cannot begin at block {tail}")));
        }
        let bytes = self.distance(tail, head).saturating_mul(BLOCK_BYTES as u64);
        if bytes > XFS_LOG_LIVE_BYTES_MAX {
            return Err(ReadError::Limit { what: WHAT.to_owned(), limit: XFS_LOG_LIVE_BYTES_MAX, unit: "bytes" });
        }
        Ok(tail)
    }

    /// The first record whose checksum is wrong, if it may have been under way.
    fn first_torn(&self, live: Live) -> Result<Option<u64>> {
        let (mut torn, mut from_there_on) = (None, 0);
        self.each_record(live, |record| {
            if record.is_torn && torn.is_none() {
                torn = Some(record.header.at);
            }
            from_there_on += usize::from(torn.is_some());
            Ok(())
        })?;
        match torn {
            Some(at) if from_there_on > UNDER_WAY => {
                Err(ReadError::corrupt(WHAT, format!("the record at block {at} has a wrong checksum")))
            }
            torn => Ok(torn),
        }
    }

    /// The block behind the last record that was written whole; `None` if there never was one.
    fn head(&self) -> Result<Option<u64>> {
        let (first, last) = (self.cycle(0)?, self.cycle(self.blocks - 1)?);
        if first == 0 {
            return Ok(None);
        }
        // In a ring that one cycle fills, the end is its begin, which is more easily calculated with as the block behind the last.
        let guess = if first == last { self.blocks } else { self.first_of(last)? };
        // A hole has what was there a pass before: before the guess this pass's predecessor, at the ring's end that of the pass before.
        let older = if first == last { last.wrapping_sub(1) } else { last };
        let under_way = (self.record_blocks_max * UNDER_WAY as u64).min(self.blocks);
        let before_begin = if last == 0 { 0 } else { under_way.saturating_sub(guess) };
        let hole = match self.find(self.blocks - before_begin, self.blocks, older.wrapping_sub(1))? {
            None => self.find(guess.saturating_sub(under_way), guess, older)?,
            hole => hole,
        };
        self.behind_whole_record(hole.unwrap_or(guess)).map(Some)
    }

    /// The first block of the cycle that the last block is of, by halves: right if there are no holes.
    fn first_of(&self, cycle: u32) -> Result<u64> {
        let (mut other, mut of_cycle) = (0, self.blocks - 1);
        while of_cycle - other > 1 {
            let middle = other + (of_cycle - other) / 2;
            if self.cycle(middle)? == cycle {
                of_cycle = middle;
            } else {
                other = middle;
            }
        }
        Ok(of_cycle)
    }

    /// The first block of a cycle in a range.
    fn find(&self, mut from: u64, to: u64, cycle: u32) -> Result<Option<u64>> {
        while from < to {
            let count = SCAN_BLOCKS.min(to - from);
            let bytes = self.read(from, count)?;
            if let Some(at) = bytes.chunks_exact(BLOCK_BYTES).position(|block| cycle_of(block) == cycle) {
                return Ok(Some(from + at as u64));
            }
            from += count;
        }
        Ok(None)
    }

    /// The end, moved back to the begin of the last record if not all of that was written.
    fn behind_whole_record(&self, end: u64) -> Result<u64> {
        let end = end % self.blocks;
        let last = self.last_before(end)?;
        Ok(if self.after(last.at, last.blocks()) == end { end } else { last.at })
    }
}

#[cfg(test)]
mod tests;
