//! The superblock of an ext file system, and where it says that the inodes are.

use super::super::bytes::{field, label, u16_le, u32_le, uuid};
use crate::error::{ReadError, Result};
use crate::source::BlockSource;

const OFFSET: u64 = 1024;
const BYTES: usize = 1024;
const MAGIC: u16 = 0xef53;
const LOG_BLOCK_SIZE_MAX: u32 = 6;
const INODE_BYTES_MIN: u16 = 128;
const DESCRIPTOR_BYTES_SMALL: u16 = 32;
const DESCRIPTOR_BYTES_LARGE: u16 = 64;

const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_EXTENTS: u32 = 0x40;
const INCOMPAT_64BIT: u32 = 0x80;
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
/// Features that change nothing of what is read here, or are heeded: file types in entries, recovery, meta block groups, extents, 64 bits,
/// protection from several mounts, flexible groups, large attributes, checksum seed, large directories, inline data, encryption and
/// case-insensitive names. Inline data and encryption are refused for the files that have them.
const INCOMPAT_KNOWN: u32 = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000;
const INCOMPAT_NAMES: [(u32, &str); 3] = [(0x1, "compression"), (0x8, "a journal device"), (0x1000, "data in directory entries")];

/// What is needed of the superblock.
#[derive(Clone, Debug)]
pub(super) struct Superblock {
    /// Bytes of a block, a power of two from 1024 to 65536.
    pub block_size: u32,
    /// Blocks of the file system, as it states.
    pub blocks: u64,
    /// The journal's inode, 0 if it has none or it is on another device.
    pub journal_inode: u32,
    pub uuid: Option<String>,
    pub label: Option<String>,
    first_data_block: u32,
    blocks_per_group: u32,
    inodes: u32,
    inodes_per_group: u32,
    inode_size: u16,
    descriptor_size: u16,
    first_meta_group: u32,
    compat: u32,
    incompat: u32,
    ro_compat: u32,
}

impl Superblock {
    /// Reads and checks it.
    pub(super) fn read(disk: &dyn BlockSource) -> Result<Self> {
        let mut bytes = [0; BYTES];
        disk.read_at(OFFSET, &mut bytes)?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8; BYTES]) -> Result<Self> {
        let log_block_size = u32_le(bytes, 0x18);
        if u16_le(bytes, 0x38) != MAGIC {
            return Err(corrupt("it has no magic number"));
        }
        if log_block_size > LOG_BLOCK_SIZE_MAX {
            return Err(corrupt("its block size is not possible"));
        }
        let incompat = u32_le(bytes, 0x60);
        let wide = incompat & INCOMPAT_64BIT != 0;
        let first_revision = u32_le(bytes, 0x4c) == 0;
        let superblock = Self {
            block_size: 1024 << log_block_size,
            blocks: u64::from(u32_le(bytes, 0x4)) | if wide { u64::from(u32_le(bytes, 0x150)) << 32 } else { 0 },
            journal_inode: u32_le(bytes, 0xe0),
            uuid: uuid(field(bytes, 0x68)),
            label: label(&bytes[0x78..0x88]),
            first_data_block: u32_le(bytes, 0x14),
            blocks_per_group: u32_le(bytes, 0x20),
            inodes: u32_le(bytes, 0x0),
            inodes_per_group: u32_le(bytes, 0x28),
            inode_size: if first_revision { INODE_BYTES_MIN } else { u16_le(bytes, 0x58) },
            descriptor_size: if wide { u16_le(bytes, 0xfe) } else { DESCRIPTOR_BYTES_SMALL },
            first_meta_group: u32_le(bytes, 0x104),
            compat: u32_le(bytes, 0x5c),
            incompat,
            ro_compat: u32_le(bytes, 0x64),
        };
        superblock.check(wide)?;
        Ok(superblock)
    }

    fn check(&self, wide: bool) -> Result<()> {
        let unknown = self.incompat & !INCOMPAT_KNOWN;
        if unknown != 0 {
            let name = INCOMPAT_NAMES.iter().find(|(bit, _)| unknown & bit != 0);
            let why = name.map_or_else(|| format!("features {unknown:#x}"), |(_, name)| (*name).to_owned());
            return Err(ReadError::unsupported("the ext file system", why));
        }
        let descriptor_min = if wide { DESCRIPTOR_BYTES_LARGE } else { DESCRIPTOR_BYTES_SMALL };
        let fits_block = |size: u16, min: u16| size.is_power_of_two() && size >= min && u32::from(size) <= self.block_size;
        if self.blocks <= u64::from(self.first_data_block) || self.first_data_block > 1 {
            return Err(corrupt("its count of blocks is not possible"));
        }
        if self.blocks_per_group == 0 || self.inodes_per_group == 0 {
            return Err(corrupt("its groups are empty"));
        }
        if !fits_block(self.inode_size, INODE_BYTES_MIN) {
            return Err(corrupt("its inode size is not possible"));
        }
        if !fits_block(self.descriptor_size, descriptor_min) {
            return Err(corrupt("its descriptor size is not possible"));
        }
        Ok(())
    }

    /// Bytes of the file system, as it states.
    pub(super) fn bytes(&self) -> u128 {
        u128::from(self.blocks) * u128::from(self.block_size)
    }

    /// `ext2` without a journal, `ext4` with one of its features, else `ext3`.
    pub(super) fn kind(&self) -> &'static str {
        match (self.incompat & (INCOMPAT_EXTENTS | INCOMPAT_64BIT) != 0, self.compat & COMPAT_HAS_JOURNAL != 0) {
            (true, _) => "ext4",
            (false, true) => "ext3",
            (false, false) => "ext2",
        }
    }

    /// Whether the journal holds what has not reached its place.
    pub(super) fn needs_recovery(&self) -> bool {
        self.incompat & INCOMPAT_RECOVER != 0
    }

    /// The byte at which a block begins.
    pub(super) fn block_offset(&self, block: u64) -> Result<u64> {
        match block.checked_mul(u64::from(self.block_size)) {
            Some(offset) if block < self.blocks => Ok(offset),
            _ => Err(ReadError::corrupt("the ext file system", format!("block {block} is referred to, of {}", self.blocks))),
        }
    }

    /// The byte at which an inode begins.
    pub(super) fn inode_place(&self, disk: &dyn BlockSource, number: u32) -> Result<u64> {
        let impossible = || ReadError::corrupt("the ext file system", format!("inode {number} is referred to, of {}", self.inodes));
        if number > self.inodes {
            return Err(impossible());
        }
        let index = number.checked_sub(1).ok_or_else(impossible)?;
        let table = self.inode_table(disk, index / self.inodes_per_group)?;
        let within = u64::from(index % self.inodes_per_group) * u64::from(self.inode_size);
        let block_size = u64::from(self.block_size);
        let block = table.checked_add(within / block_size).ok_or_else(impossible)?;
        Ok(self.block_offset(block)? + within % block_size)
    }

    /// The block at which the inodes of a group begin.
    fn inode_table(&self, disk: &dyn BlockSource, group: u32) -> Result<u64> {
        let mut descriptor = [0; DESCRIPTOR_BYTES_LARGE as usize];
        let used = usize::from(self.descriptor_size).min(descriptor.len());
        disk.read_at(self.descriptor_place(group)?, &mut descriptor[..used])?;
        let high = if self.incompat & INCOMPAT_64BIT != 0 { u64::from(u32_le(&descriptor, 0x28)) } else { 0 };
        Ok(high << 32 | u64::from(u32_le(&descriptor, 0x8)))
    }

    fn descriptor_place(&self, group: u32) -> Result<u64> {
        let per_block = self.block_size / u32::from(self.descriptor_size);
        let (table_block, within) = (group / per_block, group % per_block);
        let block = if self.incompat & INCOMPAT_META_BG != 0 && table_block >= self.first_meta_group {
            // Each meta group has its descriptors in its first group, behind the copy of the superblock if there is one.
            let first_group = table_block * per_block;
            let start = u64::from(first_group) * u64::from(self.blocks_per_group) + u64::from(self.first_data_block);
            start + u64::from(self.has_superblock(first_group))
        } else {
            u64::from(self.first_data_block) + 1 + u64::from(table_block)
        };
        Ok(self.block_offset(block)? + u64::from(within) * u64::from(self.descriptor_size))
    }

    fn has_superblock(&self, group: u32) -> bool {
        let power_of = |base: u32| {
            let mut power = 1_u64;
            while power < u64::from(group) {
                power *= u64::from(base);
            }
            power == u64::from(group)
        };
        self.ro_compat & RO_COMPAT_SPARSE_SUPER == 0 || group <= 1 || power_of(3) || power_of(5) || power_of(7)
    }
}

fn corrupt(why: &str) -> ReadError {
    ReadError::corrupt("the superblock of the ext file system", why)
}
