//! What of a superblock of version 4 must be known to replay its log.

use std::ops::Range;

use super::super::bytes::{field, u16_be, u32_be, u64_be};
use crate::error::{ReadError, Result};
use crate::source::BlockSource;

const WHAT: &str = "the XFS superblock";
/// Bytes of a superblock that are read: all the fields there are, whatever the sector's size.
const SUPERBLOCK_BYTES: usize = 512;
/// Bits of `sb_versionnum` that are the version's number.
const VERSION_BITS: u16 = 0xf;
/// The bit of `sb_versionnum` for logs whose records may have more than 32 KiB.
const VERSION_LOG_2: u16 = 0x400;

/// Bytes of a basic block, by which XFS counts in its log and in what it logs, whatever the disk's sectors are.
pub(super) const BASIC_BLOCK_BYTES: u64 = 512;

/// The version of the file system.
pub(super) fn version(disk: &dyn BlockSource) -> Result<u16> {
    let mut superblock = [0; SUPERBLOCK_BYTES];
    disk.read_at(0, &mut superblock)?;
    Ok(u16_be(&superblock, 100) & VERSION_BITS)
}

/// Where the log is, and what it writes to.
#[derive(Debug)]
pub(super) struct Geometry {
    /// The bytes of the disk that the log occupies.
    pub log: Range<u64>,
    /// Whether records of the log may have more than 32 KiB.
    pub large_records: bool,
    /// Bytes of an inode.
    pub inode_bytes: usize,
    /// The id that each record of the log repeats.
    pub uuid: [u8; 16],
}

impl Geometry {
    /// Reads it from the superblock.
    ///
    /// # Errors
    /// `Corrupt` if the numbers cannot be, `Device` if the device fails.
    pub(super) fn read(disk: &dyn BlockSource) -> Result<Self> {
        let mut superblock = [0; SUPERBLOCK_BYTES];
        disk.read_at(0, &mut superblock)?;
        let block_bytes = u64::from(u32_be(&superblock, 4));
        let inode_bytes = usize::from(u16_be(&superblock, 104));
        if !block_bytes.is_power_of_two() || !(512..=65536).contains(&block_bytes) || !(256..=2048).contains(&inode_bytes) {
            return Err(ReadError::corrupt(WHAT, format!("blocks of {block_bytes} bytes, inodes of {inode_bytes}")));
        }
        Ok(Self {
            log: log_place(&superblock, block_bytes).ok_or_else(|| ReadError::corrupt(WHAT, "its log cannot be where it says"))?,
            large_records: u16_be(&superblock, 100) & VERSION_LOG_2 != 0,
            inode_bytes,
            uuid: field(&superblock, 32),
        })
    }
}

/// The log begins at a block whose number has that of its allocation group in its upper bits.
fn log_place(superblock: &[u8], block_bytes: u64) -> Option<Range<u64>> {
    let (start, blocks) = (u64_be(superblock, 48), u64::from(u32_be(superblock, 96)));
    let (group_blocks, [group_shift]) = (u64::from(u32_be(superblock, 84)), field(superblock, 124));
    let group = start.checked_shr(u32::from(group_shift))?;
    let within = start & 1_u64.checked_shl(u32::from(group_shift))?.checked_sub(1)?;
    let from = group.checked_mul(group_blocks)?.checked_add(within)?.checked_mul(block_bytes)?;
    Some(from..from.checked_add(blocks.checked_mul(block_bytes)?)?)
}
