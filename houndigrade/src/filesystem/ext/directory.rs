//! The entries of a directory. An indexed directory is read like any other: its index is hidden in entries without a file.

use super::super::bytes::{u16_le, u32_le};
use super::inode::Inode;
use super::map::BlockMap;
use super::superblock::Superblock;
use crate::error::{ReadError, Result};
use crate::limits::DIRECTORY_BYTES_MAX;
use crate::source::BlockSource;

/// Bytes of an entry before its name.
const HEADER_BYTES: usize = 8;

/// Calls `visit` with each name and inode number, `.` and `..` included, until it returns false.
pub(super) fn each_entry(
    disk: &dyn BlockSource,
    superblock: &Superblock,
    inode: &Inode,
    map: &BlockMap,
    mut visit: impl FnMut(&[u8], u32) -> Result<bool>,
) -> Result<()> {
    if inode.size > DIRECTORY_BYTES_MAX {
        return Err(ReadError::Limit { what: format!("directory {}", inode.number), limit: DIRECTORY_BYTES_MAX, unit: "bytes" });
    }
    let block_size = superblock.block_size as usize;
    let mut block = vec![0; block_size];
    for number in 0..inode.size.div_ceil(block_size as u64) {
        if let (Some(disk_block), _) = map.find(number) {
            disk.read_at(superblock.block_offset(disk_block)?, &mut block)?;
            if !each_entry_of(&block, inode, &mut visit)? {
                break;
            }
        }
    }
    Ok(())
}

fn each_entry_of(block: &[u8], inode: &Inode, visit: &mut impl FnMut(&[u8], u32) -> Result<bool>) -> Result<bool> {
    let mut rest = block;
    while !rest.is_empty() {
        let number = u32_le(rest, 0);
        // A block of 64 KiB does not fit into the length's 16 bits.
        let len = match usize::from(u16_le(rest, 4)) {
            0 | 0xffff if block.len() > 0xffff => rest.len(),
            len => len,
        };
        let name_end = HEADER_BYTES + usize::from(rest.get(6).copied().unwrap_or(0));
        if len < HEADER_BYTES || len > rest.len() || name_end > len {
            return Err(inode.corrupt("an entry of this directory has an impossible length"));
        }
        if number != 0 && !visit(&rest[HEADER_BYTES..name_end], number)? {
            return Ok(false);
        }
        rest = &rest[len..];
    }
    Ok(true)
}
