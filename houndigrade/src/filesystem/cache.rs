//! Blocks that were read lately: packages' databases are read page by page, of files whose pieces are dear to find. It knows nothing of what
//! is in the blocks.

use std::collections::{HashMap, VecDeque};

use crate::error::Result;
use crate::source::checked_range;

/// The last blocks that were read of something, aligned to their size. The oldest makes room.
pub(super) struct BlockCache {
    block_bytes: usize,
    blocks_max: usize,
    blocks: HashMap<u64, Box<[u8]>>,
    order: VecDeque<u64>,
}

impl BlockCache {
    pub(super) fn new(block_bytes: usize, blocks_max: usize) -> Self {
        Self { block_bytes, blocks_max, blocks: HashMap::new(), order: VecDeque::new() }
    }

    /// Fills `buf` from `offset` on, out of something that has `len` bytes and is read by `fill`. What is larger than a block is not kept.
    pub(super) fn read(&mut self, len: u64, offset: u64, buf: &mut [u8], fill: impl Fn(u64, &mut [u8]) -> Result<()>) -> Result<()> {
        checked_range(len, offset, buf.len())?;
        if buf.len() > self.block_bytes {
            return fill(offset, buf);
        }
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let within = (at % self.block_bytes as u64) as usize;
            let count = (self.block_bytes - within).min(buf.len() - done);
            let part = &mut buf[done..done + count];
            match self.block(len, at / self.block_bytes as u64, &fill) {
                Ok(block) => part.copy_from_slice(&block[within..within + count]),
                // A neighbour that cannot be read does not take these bytes with it.
                Err(_) => fill(at, part)?,
            }
            done += count;
        }
        Ok(())
    }

    fn block(&mut self, len: u64, number: u64, fill: &impl Fn(u64, &mut [u8]) -> Result<()>) -> Result<&[u8]> {
        if !self.blocks.contains_key(&number) {
            let start = number * self.block_bytes as u64;
            let count = (len - start).min(self.block_bytes as u64) as usize;
            let mut block = vec![0; count].into_boxed_slice();
            fill(start, &mut block)?;
            self.make_room();
            self.order.push_back(number);
            self.blocks.insert(number, block);
        }
        Ok(&self.blocks[&number])
    }

    fn make_room(&mut self) {
        while self.order.len() >= self.blocks_max {
            if let Some(oldest) = self.order.pop_front() {
                self.blocks.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::error::ReadError;

    fn numbers(at: u64, part: &mut [u8]) -> Result<()> {
        part.iter_mut().enumerate().for_each(|(i, byte)| *byte = (at as usize + i) as u8);
        Ok(())
    }

    #[test]
    fn reads_are_the_same_bytes_wherever_they_begin_and_end() {
        let mut cache = BlockCache::new(16, 3);
        for offset in 0..100 {
            for count in 0..100 - offset {
                let mut buf = vec![0; count];
                cache.read(100, offset as u64, &mut buf, numbers).unwrap();
                assert!(buf.iter().enumerate().all(|(i, byte)| usize::from(*byte) == offset + i));
            }
        }
    }

    #[test]
    fn a_block_is_read_once_while_it_is_kept() {
        let (mut cache, reads) = (BlockCache::new(16, 3), Cell::new(0));
        for _ in 0..5 {
            cache
                .read(100, 3, &mut [0; 4], |at, part| {
                    reads.set(reads.get() + 1);
                    numbers(at, part)
                })
                .unwrap();
        }
        assert_eq!(reads.get(), 1);
    }

    #[test]
    fn a_bad_neighbour_does_not_hide_a_good_byte() {
        let bad = |at: u64, part: &mut [u8]| match at + part.len() as u64 {
            end if end > 20 => Err(ReadError::corrupt("byte 20", "bad")),
            _ => numbers(at, part),
        };
        let (mut cache, mut buf) = (BlockCache::new(16, 3), [0; 2]);
        cache.read(100, 17, &mut buf, bad).unwrap();
        assert_eq!(buf, [17, 18]);
    }

    #[test]
    fn nothing_is_read_behind_the_end() {
        let mut cache = BlockCache::new(16, 3);
        assert!(cache.read(100, 99, &mut [0; 2], numbers).is_err());
        assert!(cache.read(100, u64::MAX, &mut [0; 2], numbers).is_err());
    }
}
