//! The journal of ext3 and ext4: which blocks have a newer copy in it. Nothing is written; reads are led to the copies.
//!
//! A transaction counts if its commit block is there. A block that a later transaction revoked is not taken from an earlier one. The
//! journal is a ring, so a transaction may go on at its beginning. Unlike metadata of the file system, it is big-endian.

use std::collections::{BTreeMap, HashMap};

use super::super::bytes::{crc32c, u16_be, u32_be, u64_be};
use super::inode::Inode;
use super::map::BlockMap;
use super::superblock::Superblock;
use crate::error::{ReadError, Result};
use crate::limits::{EXT_JOURNAL_BLOCKS_MAX, EXT_REVOKED_MAX};
use crate::source::{BlockSource, Source};

const MAGIC: u32 = 0xc03b_3998;
const HEADER_BYTES: usize = 12;
const UUID_BYTES: usize = 16;

const BLOCK_DESCRIPTOR: u32 = 1;
const BLOCK_COMMIT: u32 = 2;
const BLOCK_SUPERBLOCK_V1: u32 = 3;
const BLOCK_SUPERBLOCK_V2: u32 = 4;
const BLOCK_REVOKE: u32 = 5;

const INCOMPAT_64BIT: u32 = 0x2;
const INCOMPAT_CHECKSUM_V2: u32 = 0x8;
const INCOMPAT_CHECKSUM_V3: u32 = 0x10;
const INCOMPAT_FAST_COMMIT: u32 = 0x20;
/// Revocation, 64 bits, asynchronous commits, checksums and fast commits.
const INCOMPAT_KNOWN: u32 = 0x3f;
const FAST_COMMIT_BLOCKS_DEFAULT: u32 = 256;

const TAG_ESCAPED: u32 = 0x1;
const TAG_SAME_UUID: u32 = 0x2;
const TAG_LAST: u32 = 0x8;

/// A newer copy of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copied {
    /// The byte of the disk at which it begins.
    offset: u64,
    /// Its first four bytes were the journal's magic number, which is left out in the journal.
    escaped: bool,
}

/// What the journal holds.
#[derive(Debug, Default)]
pub(super) struct Replay {
    copies: BTreeMap<u64, Copied>,
    block_size: u64,
    /// What of it could not be taken into account.
    pub caveat: Option<String>,
}

/// A disk with the newer copies in their places.
pub(super) struct Replayed {
    disk: Source,
    replay: Replay,
}

impl Replayed {
    /// The disk as it is.
    pub(super) fn nothing(disk: Source) -> Self {
        Self { disk, replay: Replay::default() }
    }

    /// Puts the copies of `replay` in their places, and no others.
    pub(super) fn set(&mut self, replay: Replay) {
        self.replay = replay;
    }

    fn read_copy(&self, copied: Copied, within: u64, buf: &mut [u8]) -> Result<()> {
        self.disk.read_at(copied.offset + within, buf)?;
        if copied.escaped {
            let magic = MAGIC.to_be_bytes();
            for (byte, magic) in buf.iter_mut().zip(magic.iter().skip(within as usize)) {
                *byte = *magic;
            }
        }
        Ok(())
    }
}

impl BlockSource for Replayed {
    fn len(&self) -> u64 {
        self.disk.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let (block_size, copies) = (self.replay.block_size, &self.replay.copies);
        crate::source::checked_range(self.len(), offset, buf.len())?;
        if copies.is_empty() {
            return self.disk.read_at(offset, buf);
        }
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (block, within) = (at / block_size, at % block_size);
            let next = copies.range(block..).next();
            let there = match next {
                Some((number, _)) if *number == block => block_size - within,
                Some((number, _)) => (number - block).saturating_mul(block_size) - within,
                None => u64::MAX,
            };
            let count = there.min((buf.len() - done) as u64) as usize;
            let part = &mut buf[done..done + count];
            match next {
                Some((number, copied)) if *number == block => self.read_copy(*copied, within, part)?,
                _ => self.disk.read_at(at, part)?,
            }
            done += count;
        }
        Ok(())
    }
}

/// Goes through the journal of a file system.
///
/// # Errors
/// `Corrupt` or `Unsupported` if it cannot be replayed at all: nothing of it may then be used.
pub(super) fn replay(disk: &dyn BlockSource, superblock: &Superblock) -> Result<Replay> {
    if superblock.journal_inode == 0 {
        return Err(ReadError::unsupported("the journal", "it is on another device"));
    }
    let inode = Inode::read(disk, superblock, superblock.journal_inode)?;
    let map = BlockMap::of(&inode, disk, superblock)?;
    let mut first = vec![0; superblock.block_size as usize];
    map.read(disk, superblock, 0, &mut first)?;
    let ring = Ring::of(&first, superblock, &inode)?;
    if ring.start == 0 {
        return Ok(Replay::default());
    }
    let mut walk = Walk { disk, superblock, map, ring, transactions: Transactions::default(), revocations: 0, caveat: None };
    walk.run()?;
    let copies = walk.transactions.copies(superblock);
    Ok(Replay { copies, block_size: u64::from(superblock.block_size), caveat: walk.caveat })
}

/// The journal as its superblock describes it. Blocks are counted within the journal.
struct Ring {
    first: u64,
    end: u64,
    start: u64,
    sequence: u32,
    wide: bool,
    checksum_seed: Option<u32>,
    tag_bytes: usize,
    checksum_v3: bool,
    fast_commits: bool,
}

impl Ring {
    fn of(block: &[u8], superblock: &Superblock, inode: &Inode) -> Result<Self> {
        let corrupt = |why: &str| ReadError::corrupt("the superblock of the journal", why);
        let version = u32_be(block, 4);
        if u32_be(block, 0) != MAGIC || (version != BLOCK_SUPERBLOCK_V1 && version != BLOCK_SUPERBLOCK_V2) {
            return Err(corrupt("it is none"));
        }
        if u32_be(block, 0xc) != superblock.block_size {
            return Err(corrupt("its blocks are not as large as those of the file system"));
        }
        let incompat = if version == BLOCK_SUPERBLOCK_V2 { u32_be(block, 0x28) } else { 0 };
        if incompat & !INCOMPAT_KNOWN != 0 {
            return Err(ReadError::unsupported("the journal", format!("features {incompat:#x}")));
        }
        let has = |feature: u32| incompat & feature != 0;
        let fast_commit_blocks = match u32_be(block, 0x54) {
            _ if !has(INCOMPAT_FAST_COMMIT) => 0,
            0 => FAST_COMMIT_BLOCKS_DEFAULT,
            blocks => blocks,
        };
        let (first, start) = (u64::from(u32_be(block, 0x14)), u64::from(u32_be(block, 0x1c)));
        let end = u64::from(u32_be(block, 0x10).saturating_sub(fast_commit_blocks));
        if end > EXT_JOURNAL_BLOCKS_MAX {
            return Err(ReadError::Limit { what: "the journal".to_owned(), limit: EXT_JOURNAL_BLOCKS_MAX, unit: "blocks" });
        }
        if first == 0 || first >= end || start >= end || end > inode.size / u64::from(superblock.block_size) {
            return Err(corrupt("its blocks are not in the journal"));
        }
        let checksums = has(INCOMPAT_CHECKSUM_V2) || has(INCOMPAT_CHECKSUM_V3);
        Ok(Self {
            first,
            end,
            start,
            sequence: u32_be(block, 0x18),
            wide: has(INCOMPAT_64BIT),
            checksum_seed: checksums.then(|| crc32c(!0, &block[0x30..0x30 + UUID_BYTES])),
            tag_bytes: match (has(INCOMPAT_CHECKSUM_V3), has(INCOMPAT_CHECKSUM_V2), has(INCOMPAT_64BIT)) {
                (true, ..) => 16,
                (false, true, true) => 14,
                (false, false, true) => 12,
                (false, true, false) => 10,
                (false, false, false) => 8,
            },
            checksum_v3: has(INCOMPAT_CHECKSUM_V3),
            fast_commits: has(INCOMPAT_FAST_COMMIT),
        })
    }

    fn after(&self, block: u64) -> u64 {
        if block + 1 >= self.end { self.first } else { block + 1 }
    }
}

/// One block that a transaction wrote.
struct Write {
    sequence: u32,
    block: u64,
    copied: Copied,
}

/// What committed transactions wrote and revoked.
#[derive(Default)]
struct Transactions {
    writes: Vec<Write>,
    /// By block, the last transaction that revoked it.
    revoked: HashMap<u64, u32>,
}

impl Transactions {
    fn commit(&mut self, sequence: u32, open: &mut Self) {
        self.writes.append(&mut open.writes);
        self.revoked.extend(open.revoked.drain().map(|(block, _)| (block, sequence)));
    }

    /// By block, the newest copy that was not revoked.
    fn copies(&self, superblock: &Superblock) -> BTreeMap<u64, Copied> {
        let is_valid = |write: &&Write| {
            let revoked = self.revoked.get(&write.block).is_some_and(|sequence| at_or_after(*sequence, write.sequence));
            !revoked && write.block < superblock.blocks
        };
        self.writes.iter().filter(is_valid).map(|write| (write.block, write.copied)).collect()
    }
}

/// Whether transaction `a` is `b` or came after it; numbers start again behind the last.
fn at_or_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) <= u32::MAX / 2
}

struct Walk<'a> {
    disk: &'a dyn BlockSource,
    superblock: &'a Superblock,
    map: BlockMap,
    ring: Ring,
    transactions: Transactions,
    /// How many there were, those of the same block and those that mean nothing included.
    revocations: usize,
    caveat: Option<String>,
}

impl Walk<'_> {
    /// Goes once round the ring at most.
    fn run(&mut self) -> Result<()> {
        let (mut at, mut sequence) = (self.ring.start, self.ring.sequence);
        let mut left = self.ring.end - self.ring.first;
        let mut open = Transactions::default();
        while left > 0 {
            let block = self.read(at)?;
            if u32_be(&block, 0) != MAGIC || u32_be(&block, 8) != sequence {
                break;
            }
            let kind = u32_be(&block, 4);
            if !self.checksum_holds(&block, kind) {
                self.caveat = Some(format!("the journal is damaged in transaction {sequence}; that and what follows was not replayed"));
                return Ok(());
            }
            (at, left) = (self.ring.after(at), left - 1);
            match kind {
                BLOCK_DESCRIPTOR => (at, left) = self.descriptor(&block, sequence, at, left, &mut open)?,
                BLOCK_REVOKE => self.revoke(&block, sequence, &mut open)?,
                BLOCK_COMMIT => {
                    self.transactions.commit(sequence, &mut open);
                    sequence = sequence.wrapping_add(1);
                }
                _ => break,
            }
        }
        if self.ring.fast_commits {
            self.caveat = Some("the journal's fast commits were not replayed, so files of the last seconds may be older".to_owned());
        }
        Ok(())
    }

    fn read(&self, journal_block: u64) -> Result<Vec<u8>> {
        let mut block = vec![0; self.superblock.block_size as usize];
        let offset = journal_block * u64::from(self.superblock.block_size);
        self.map.read(self.disk, self.superblock, offset, &mut block)?;
        Ok(block)
    }

    /// Notes the blocks that follow a descriptor. They are not read: most are never asked for.
    fn descriptor(&self, block: &[u8], sequence: u32, mut at: u64, mut left: u64, open: &mut Transactions) -> Result<(u64, u64)> {
        let tail = if self.ring.checksum_seed.is_some() { 4 } else { 0 };
        let mut rest = &block[HEADER_BYTES..block.len() - tail];
        while rest.len() >= self.ring.tag_bytes && left > 0 {
            let (tag, after) = rest.split_at(self.ring.tag_bytes);
            let flags = if self.ring.checksum_v3 { u32_be(tag, 4) } else { u32::from(u16_be(tag, 6)) };
            let high = if self.ring.wide { u64::from(u32_be(tag, 8)) } else { 0 };
            let (disk_block, _) = self.map.find(at);
            let disk_block = disk_block.ok_or_else(|| ReadError::corrupt("the journal", "it has a hole"))?;
            open.writes.push(Write {
                sequence,
                block: high << 32 | u64::from(u32_be(tag, 0)),
                copied: Copied { offset: self.superblock.block_offset(disk_block)?, escaped: flags & TAG_ESCAPED != 0 },
            });
            (at, left) = (self.ring.after(at), left - 1);
            let uuid_bytes = if flags & TAG_SAME_UUID == 0 { UUID_BYTES } else { 0 };
            rest = after.get(uuid_bytes..).unwrap_or_default();
            if flags & TAG_LAST != 0 {
                break;
            }
        }
        Ok((at, left))
    }

    fn revoke(&mut self, block: &[u8], sequence: u32, open: &mut Transactions) -> Result<()> {
        const COUNT_END: usize = HEADER_BYTES + 4;
        let end = (u32_be(block, HEADER_BYTES) as usize).clamp(COUNT_END, block.len());
        let number_bytes = if self.ring.wide { 8 } else { 4 };
        for number in block[COUNT_END..end].chunks_exact(number_bytes) {
            self.revocations += 1;
            if self.revocations > EXT_REVOKED_MAX {
                return Err(ReadError::Limit { what: "the journal".to_owned(), limit: EXT_REVOKED_MAX as u64, unit: "revocations" });
            }
            let block = if self.ring.wide { u64_be(number, 0) } else { u64::from(u32_be(number, 0)) };
            if block < self.superblock.blocks {
                open.revoked.insert(block, sequence);
            }
        }
        Ok(())
    }

    /// Descriptors and revocations have their checksum in their last four bytes, commits behind their header.
    fn checksum_holds(&self, block: &[u8], kind: u32) -> bool {
        let Some(seed) = self.ring.checksum_seed else { return true };
        let at = match kind {
            BLOCK_DESCRIPTOR | BLOCK_REVOKE => block.len() - 4,
            BLOCK_COMMIT => HEADER_BYTES + 4,
            _ => return true,
        };
        let before = crc32c(seed, &block[..at]);
        crc32c(crc32c(before, &[0; 4]), &block[at + 4..]) == u32_be(block, at)
    }
}

#[cfg(test)]
mod tests;
