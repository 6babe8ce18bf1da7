//! The log as a ring of basic blocks of 512 bytes, and the records in it.
//!
//! The first four bytes of each block are the number of the pass over the ring, the cycle, in which it was written. What stood there is
//! kept in the record's header, whose own first bytes are a magic number. Headers are big-endian. The layout is that of "XFS Algorithms &
//! Data Structures", chapter "Journaling Log".

use super::super::bytes::{crc32c, field, u32_be, u32_le};
use super::geometry::{BASIC_BLOCK_BYTES, Geometry};
use crate::error::{ReadError, Result};
use crate::source::BlockSource;

pub(super) const WHAT: &str = "the log of XFS";

pub(super) const BLOCK_BYTES: usize = BASIC_BLOCK_BYTES as usize;
pub(super) const HEADER_MAGIC: u32 = 0xfeed_babe;
const VERSION_2: u32 = 2;
const VERSIONS_KNOWN: u32 = 3;
/// Bytes of a record without its headers.
const RECORD_BYTES_MAX: u32 = 256 << 10;
/// Bytes of a record whose cycles one header keeps.
const BYTES_PER_HEADER: u32 = 32 << 10;
const WORDS_PER_HEADER: usize = BYTES_PER_HEADER as usize / BLOCK_BYTES;
/// Blocks that are read at once in search of a header.
const SEARCH_BLOCKS: u64 = 64;

/// Where a header's checksum is, how many bytes of a header it is over, on processors of 64 and of 32 bits, and of a further header.
const CHECKSUM: usize = 32;
const CHECKED_BYTES: [usize; 2] = [328, 324];
const CHECKED_BYTES_FURTHER: usize = 4 + 4 * WORDS_PER_HEADER;

/// Bytes of what begins an operation, and the flag of the one that says that the file system was unmounted.
pub(super) const OPERATION_BYTES: usize = 12;
pub(super) const OPERATION_FLAGS: usize = 9;
pub(super) const UNMOUNTED: u8 = 0x20;

/// A log. Blocks are counted within it.
pub(super) struct Log<'a> {
    disk: &'a dyn BlockSource,
    begin: u64,
    /// How many there are: at least one.
    pub blocks: u64,
    uuid: [u8; 16],
    /// Blocks that one record may have, its headers included.
    pub record_blocks_max: u64,
}

/// The first header of a record.
pub(super) struct Header {
    /// The block in which it is.
    pub at: u64,
    /// The block of the oldest record that is still needed.
    pub tail: u64,
    /// How many operations the record holds.
    pub operations: u32,
    /// The format in which operations are, which is that of the machine.
    pub format: u32,
    header_blocks: u64,
    body_bytes: usize,
}

/// A record as it was before the cycles were written into it.
pub(super) struct Record {
    /// Its first header.
    pub header: Header,
    /// The operations.
    pub body: Vec<u8>,
    /// That there is a checksum and that it is wrong. RHEL 6 wrote none.
    pub is_torn: bool,
}

impl Header {
    /// Blocks of the whole record.
    pub(super) fn blocks(&self) -> u64 {
        self.header_blocks + self.body_bytes.div_ceil(BLOCK_BYTES) as u64
    }
}

impl<'a> Log<'a> {
    /// The log of a file system on `disk`.
    ///
    /// # Errors
    /// `Unsupported` if it is on another device, `Corrupt` if there is none.
    pub(super) fn of(disk: &'a dyn BlockSource, geometry: &Geometry) -> Result<Self> {
        let place = &geometry.log;
        if place.start == 0 {
            return Err(ReadError::unsupported(WHAT, "it is on another device"));
        }
        if place.end - place.start < BASIC_BLOCK_BYTES || place.end > disk.len() {
            return Err(ReadError::corrupt(WHAT, "it does not lie within the disk"));
        }
        Ok(Self {
            disk,
            begin: place.start,
            blocks: (place.end - place.start) / BASIC_BLOCK_BYTES,
            uuid: geometry.uuid,
            record_blocks_max: if geometry.large_records { 512 } else { 64 },
        })
    }

    /// The block `count` after `block`.
    pub(super) fn after(&self, block: u64, count: u64) -> u64 {
        (block + count) % self.blocks
    }

    /// How many blocks it is from one to another.
    pub(super) fn distance(&self, from: u64, to: u64) -> u64 {
        (to + self.blocks - from) % self.blocks
    }

    /// The bytes of blocks, over the ring's end if need be.
    pub(super) fn read(&self, block: u64, count: u64) -> Result<Vec<u8>> {
        let before_end = count.min(self.blocks - block);
        let mut bytes = vec![0; (count * BASIC_BLOCK_BYTES) as usize];
        let (first, second) = bytes.split_at_mut((before_end * BASIC_BLOCK_BYTES) as usize);
        self.disk.read_at(self.begin + block * BASIC_BLOCK_BYTES, first)?;
        if !second.is_empty() {
            self.disk.read_at(self.begin, second)?;
        }
        Ok(bytes)
    }

    /// The cycle in which a block was written.
    pub(super) fn cycle(&self, block: u64) -> Result<u32> {
        Ok(cycle_of(&self.read(block, 1)?))
    }

    /// The last header before `head`, at most as far before it as a record can be long.
    pub(super) fn last_before(&self, head: u64) -> Result<Header> {
        let mut left = self.record_blocks_max.min(self.blocks);
        let mut end = head;
        while left > 0 {
            let count = left.min(SEARCH_BLOCKS);
            let begin = self.after(end, self.blocks - count);
            let bytes = self.read(begin, count)?;
            if let Some(at) = bytes.chunks_exact(BLOCK_BYTES).rposition(|block| u32_be(block, 0) == HEADER_MAGIC) {
                return self.header(self.after(begin, at as u64), field(&bytes, at * BLOCK_BYTES));
            }
            (end, left) = (begin, left - count);
        }
        Err(ReadError::corrupt(WHAT, format!("there is no record before block {head}")))
    }

    fn header(&self, at: u64, block: [u8; BLOCK_BYTES]) -> Result<Header> {
        let corrupt = |why: &str| ReadError::corrupt(WHAT, format!("the record at block {at} {why}"));
        let (version, body_bytes, size) = (u32_be(&block, 8), u32_be(&block, 12), u32_be(&block, 320));
        if u32_be(&block, 0) != HEADER_MAGIC {
            return Err(corrupt("has no header"));
        }
        if field(&block, 304) != self.uuid {
            return Err(corrupt("is of another file system"));
        }
        let is_large = version & VERSION_2 != 0 && size > BYTES_PER_HEADER;
        let header_blocks = if is_large { size.div_ceil(BYTES_PER_HEADER) } else { 1 };
        let is_small = body_bytes <= RECORD_BYTES_MAX && header_blocks <= RECORD_BYTES_MAX / BYTES_PER_HEADER;
        if version & !VERSIONS_KNOWN != 0 || body_bytes == 0 || !is_small {
            return Err(corrupt("has an impossible header"));
        }
        // Places in the log are a cycle and a block.
        if u64::from(u32_be(&block, 20)) != at {
            return Err(corrupt("belongs elsewhere"));
        }
        let header = Header {
            at,
            tail: u64::from(u32_be(&block, 28)),
            operations: u32_be(&block, 40),
            format: u32_be(&block, 300),
            header_blocks: u64::from(header_blocks),
            body_bytes: body_bytes as usize,
        };
        if header.blocks() > self.blocks {
            return Err(corrupt("is longer than the log"));
        }
        Ok(header)
    }

    /// Whether a record says that the file system was unmounted, and nothing else.
    pub(super) fn says_unmounted(&self, header: &Header) -> Result<bool> {
        let first = self.read(self.after(header.at, header.header_blocks), 1)?;
        Ok(header.operations == 1 && first[OPERATION_FLAGS] & UNMOUNTED != 0)
    }

    /// The record whose header is in a block.
    pub(super) fn record(&self, at: u64) -> Result<Record> {
        let header = self.header(at, field(&self.read(at, 1)?, 0))?;
        if header.body_bytes.div_ceil(BYTES_PER_HEADER as usize) as u64 > header.header_blocks {
            return Err(ReadError::corrupt(
                WHAT,
                format!("the record at block {} has more blocks than its headers keep cycles of", header.at),
            ));
        }
        let mut bytes = self.read(header.at, header.blocks())?;
        let mut body = bytes.split_off((header.header_blocks * BASIC_BLOCK_BYTES) as usize);
        let is_torn = !checksum_holds(&bytes, &body[..header.body_bytes]);
        for (number, block) in body.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            let (header, word) = (number / WORDS_PER_HEADER, number % WORDS_PER_HEADER);
            let words = if header == 0 { 44 } else { header * BLOCK_BYTES + 4 };
            block[..4].copy_from_slice(&field::<4>(&bytes, words + 4 * word));
        }
        body.truncate(header.body_bytes);
        Ok(Record { header, body, is_torn })
    }
}

/// The cycle in which a block was written: its first word, or the second of a header.
pub(super) fn cycle_of(block: &[u8]) -> u32 {
    match u32_be(block, 0) {
        HEADER_MAGIC => u32_be(block, 4),
        cycle => cycle,
    }
}

/// The checksum is over the first header without it, those further headers that keep cycles of the body, and the body as it is on the disk.
fn checksum_holds(headers: &[u8], body: &[u8]) -> bool {
    let stated = u32_le(headers, CHECKSUM);
    let further = body.len().div_ceil(BYTES_PER_HEADER as usize).saturating_sub(1);
    stated == 0
        || CHECKED_BYTES.iter().any(|checked| {
            let before = crc32c(crc32c(!0, &headers[..CHECKSUM]), &[0; 4]);
            let first = crc32c(before, &headers[CHECKSUM + 4..*checked]);
            let all = headers
                .chunks_exact(BLOCK_BYTES)
                .skip(1)
                .take(further)
                .fold(first, |sum, header| crc32c(sum, &header[..CHECKED_BYTES_FURTHER]));
            !crc32c(all, body) == stated
        })
}
