//! Which blocks hold a file's content: a tree of extents (ext4), or blocks of block numbers (ext2, ext3). Both become a sorted list of
//! contiguous runs, so that reading at any place is cheap.

use super::super::bytes::{u16_le, u32_le};
use super::inode::Inode;
use super::superblock::Superblock;
use crate::error::{ReadError, Result};
use crate::limits::{EXT_MAP_BLOCKS_MAX, EXT_RUNS_MAX};
use crate::source::BlockSource;

const EXTENT_MAGIC: u16 = 0xf30a;
const EXTENT_DEPTH_MAX: u16 = 5;
const EXTENT_ENTRY_BYTES: usize = 12;
/// An extent longer than this is allocated but was never written, and has this many blocks less.
const EXTENT_WRITTEN_BLOCKS_MAX: u16 = 32768;
/// Block numbers in an inode that lead to content; the three after them lead to blocks of numbers, of one, two and three levels.
const DIRECT_BLOCKS: usize = 12;

/// Contiguous blocks of a file that are contiguous on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    file_block: u64,
    disk_block: u64,
    blocks: u64,
}

/// The runs of a file in their order. What lies between them reads as zeros.
#[derive(Debug)]
pub(super) struct BlockMap {
    runs: Vec<Run>,
}

impl BlockMap {
    /// Reads where the content of `inode` is.
    pub(super) fn of(inode: &Inode, disk: &dyn BlockSource, superblock: &Superblock) -> Result<Self> {
        let mut builder = Builder { inode, disk, superblock, runs: Vec::new(), map_blocks: 0 };
        if inode.has_extents() {
            builder.extents()?;
        } else {
            builder.block_numbers()?;
        }
        Ok(Self { runs: builder.runs })
    }

    /// The disk's block that holds a block of the file, and how many follow it on both; `None` for a hole.
    pub(super) fn find(&self, file_block: u64) -> (Option<u64>, u64) {
        let next = self.runs.partition_point(|run| run.file_block <= file_block);
        if let Some(run) = next.checked_sub(1).and_then(|last| self.runs.get(last)) {
            let within = file_block - run.file_block;
            if within < run.blocks {
                return (Some(run.disk_block + within), run.blocks - within);
            }
        }
        (None, self.runs.get(next).map_or(u64::MAX, |run| run.file_block - file_block))
    }

    /// Fills `buf` with the file's content from byte `offset` on.
    pub(super) fn read(&self, disk: &dyn BlockSource, superblock: &Superblock, offset: u64, buf: &mut [u8]) -> Result<()> {
        let block_size = u64::from(superblock.block_size);
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (block, blocks) = self.find(at / block_size);
            let there = blocks.saturating_mul(block_size) - at % block_size;
            let count = there.min((buf.len() - done) as u64) as usize;
            let part = &mut buf[done..done + count];
            match block {
                Some(block) => disk.read_at(superblock.block_offset(block)? + at % block_size, part)?,
                None => part.fill(0),
            }
            done += count;
        }
        Ok(())
    }
}

struct Builder<'a> {
    inode: &'a Inode,
    disk: &'a dyn BlockSource,
    superblock: &'a Superblock,
    runs: Vec<Run>,
    map_blocks: usize,
}

impl Builder<'_> {
    /// Goes through the tree of extents from left to right. Each level states its depth, one less than that above it, so there are no
    /// circles.
    fn extents(&mut self) -> Result<()> {
        let root = self.inode.block.to_vec();
        let depth = u16_le(&root, 6);
        if depth > EXTENT_DEPTH_MAX {
            return Err(self.inode.corrupt("its tree of extents is too deep"));
        }
        let mut nodes = Vec::new();
        self.extent_node(&root, depth, &mut nodes)?;
        while let Some((block, depth)) = nodes.pop() {
            let node = self.map_block(block)?;
            self.extent_node(&node, depth, &mut nodes)?;
        }
        Ok(())
    }

    /// Takes the extents of a leaf, or notes the nodes below another.
    fn extent_node(&mut self, node: &[u8], depth: u16, nodes: &mut Vec<(u64, u16)>) -> Result<()> {
        let entries = self.extent_entries(node, depth)?;
        let Some(below) = depth.checked_sub(1) else {
            return entries.chunks_exact(EXTENT_ENTRY_BYTES).try_for_each(|entry| self.extent(entry));
        };
        // The last is put first, so that the first is taken first.
        let child = |entry: &[u8]| u64::from(u16_le(entry, 8)) << 32 | u64::from(u32_le(entry, 4));
        nodes.extend(entries.chunks_exact(EXTENT_ENTRY_BYTES).rev().map(|entry| (child(entry), below)));
        Ok(())
    }

    fn extent_entries<'n>(&self, node: &'n [u8], depth: u16) -> Result<&'n [u8]> {
        let count = usize::from(u16_le(node, 2));
        if u16_le(node, 0) != EXTENT_MAGIC || u16_le(node, 6) != depth {
            return Err(self.inode.corrupt("a node of its extents is none"));
        }
        node.get(EXTENT_ENTRY_BYTES..(count + 1) * EXTENT_ENTRY_BYTES).ok_or_else(|| self.inode.corrupt("a node has more extents than fit"))
    }

    fn extent(&mut self, entry: &[u8]) -> Result<()> {
        let (start, len) = (u64::from(u32_le(entry, 0)), u16_le(entry, 4));
        if self.runs.last().is_some_and(|last| start < last.file_block + last.blocks) {
            return Err(self.inode.corrupt("its extents overlap or are out of order"));
        }
        if len > EXTENT_WRITTEN_BLOCKS_MAX {
            return Ok(());
        }
        let disk_block = u64::from(u16_le(entry, 6)) << 32 | u64::from(u32_le(entry, 8));
        self.add(Run { file_block: start, disk_block, blocks: u64::from(len) })
    }

    fn block_numbers(&mut self) -> Result<()> {
        let numbers = self.inode.block;
        let mut file_block = 0;
        for i in 0..DIRECT_BLOCKS {
            self.add_block(&mut file_block, u32_le(&numbers, i * 4))?;
        }
        for level in 1..=3 {
            self.indirect(&mut file_block, u32_le(&numbers, (DIRECT_BLOCKS + level - 1) * 4), level as u32)?;
        }
        Ok(())
    }

    /// A block of block numbers, `level` levels above the content: three at most.
    fn indirect(&mut self, file_block: &mut u64, block: u32, level: u32) -> Result<()> {
        let per_block = u64::from(self.superblock.block_size / 4);
        if *file_block >= self.inode.size.div_ceil(u64::from(self.superblock.block_size)) {
            return Ok(());
        }
        if block == 0 {
            *file_block += per_block.pow(level);
            return Ok(());
        }
        let numbers = self.map_block(u64::from(block))?;
        for i in 0..per_block as usize {
            let number = u32_le(&numbers, i * 4);
            if level == 1 {
                self.add_block(file_block, number)?;
            } else {
                self.indirect(file_block, number, level - 1)?;
            }
        }
        Ok(())
    }

    fn add_block(&mut self, file_block: &mut u64, block: u32) -> Result<()> {
        let at = *file_block;
        *file_block += 1;
        match block {
            0 => Ok(()),
            block => self.add(Run { file_block: at, disk_block: u64::from(block), blocks: 1 }),
        }
    }

    fn add(&mut self, run: Run) -> Result<()> {
        if run.blocks == 0 {
            return Err(self.inode.corrupt("it has an empty extent"));
        }
        if let Some(last) = self.runs.last_mut()
            && last.file_block + last.blocks == run.file_block
            && last.disk_block + last.blocks == run.disk_block
        {
            last.blocks += run.blocks;
            return Ok(());
        }
        if self.runs.len() >= EXT_RUNS_MAX {
            return Err(self.limit("pieces", EXT_RUNS_MAX));
        }
        self.runs.push(run);
        Ok(())
    }

    fn map_block(&mut self, block: u64) -> Result<Vec<u8>> {
        self.map_blocks += 1;
        if self.map_blocks > EXT_MAP_BLOCKS_MAX {
            return Err(self.limit("blocks that map it", EXT_MAP_BLOCKS_MAX));
        }
        let mut bytes = vec![0; self.superblock.block_size as usize];
        self.disk.read_at(self.superblock.block_offset(block)?, &mut bytes)?;
        Ok(bytes)
    }

    fn limit(&self, unit: &'static str, limit: usize) -> ReadError {
        ReadError::Limit { what: format!("inode {}", self.inode.number), limit: limit as u64, unit }
    }
}
