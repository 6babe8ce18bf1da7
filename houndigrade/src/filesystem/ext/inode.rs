//! An inode: what a file is and where its content begins.

use super::super::bytes::{field, u16_le, u32_le};
use super::super::{FileKind, kind_of_mode};
use super::superblock::Superblock;
use crate::error::{ReadError, Result};
use crate::source::BlockSource;

/// Bytes of an inode that every ext file system has.
const BYTES: usize = 128;

const FLAG_ENCRYPTED: u32 = 0x800;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_INLINE_DATA: u32 = 0x1000_0000;

/// What is needed of an inode.
#[derive(Debug)]
pub(super) struct Inode {
    /// Its number.
    pub number: u32,
    /// Bytes of its content, as it states.
    pub size: u64,
    /// Where its content is: a map of blocks, the root of a tree of extents, or a link's target.
    pub block: [u8; 60],
    mode: u16,
    flags: u32,
}

impl Inode {
    pub(super) fn read(disk: &dyn BlockSource, superblock: &Superblock, number: u32) -> Result<Self> {
        let offset = superblock.inode_place(disk, number)?;
        let mut bytes = [0; BYTES];
        disk.read_at(offset, &mut bytes)?;
        let inode = Self {
            number,
            size: u64::from(u32_le(&bytes, 0x6c)) << 32 | u64::from(u32_le(&bytes, 0x4)),
            block: field(&bytes, 0x28),
            mode: u16_le(&bytes, 0x0),
            flags: u32_le(&bytes, 0x20),
        };
        if inode.mode == 0 {
            return Err(inode.corrupt("it is referred to but not in use"));
        }
        Ok(inode)
    }

    pub(super) fn kind(&self) -> FileKind {
        kind_of_mode(u32::from(self.mode))
    }

    pub(super) fn has_extents(&self) -> bool {
        self.flags & FLAG_EXTENTS != 0
    }

    /// Refuses what has no blocks of its own or blocks that mean nothing.
    pub(super) fn check_readable(&self) -> Result<()> {
        let why = match self.flags {
            flags if flags & FLAG_ENCRYPTED != 0 => "it is encrypted",
            flags if flags & FLAG_INLINE_DATA != 0 => "its content is in the inode",
            _ => return Ok(()),
        };
        Err(ReadError::unsupported(format!("inode {}", self.number), why))
    }

    pub(super) fn corrupt(&self, why: impl Into<String>) -> ReadError {
        ReadError::corrupt(format!("inode {}", self.number), why)
    }
}
