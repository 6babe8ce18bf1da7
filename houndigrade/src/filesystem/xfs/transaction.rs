//! Transactions put together from the operations of records, in the order of their commits.
//!
//! Operations of several transactions may lie between each other. An operation is a region of an item, such as an inode or a buffer, or a
//! piece of one that did not fit into a record. The first region of an item says what it is and how many regions it has. A transaction
//! without a commit never happened; of one that began before the log's tail all is in its place already.

use std::collections::HashMap;
use std::ops::Range;

use super::super::bytes::{field, u16_le, u32_be, u32_le};
use super::log::{OPERATION_BYTES, OPERATION_FLAGS, Record, UNMOUNTED, WHAT};
use crate::error::{ReadError, Result};
use crate::limits::XFS_TRANSACTIONS_BYTES_MAX;

/// Whose operation it is: a transaction's or the log's own.
const OF_TRANSACTION: u8 = 0x69;
const OF_LOG: u8 = 0xaa;

const START: u8 = 0x1;
const COMMIT: u8 = 0x2;
/// The region goes on in the next record.
const CONTINUES: u8 = 0x4;
/// The region began in a record before.
const CONTINUED: u8 = 0x8;
/// It did both, more than a record long.
const CONTINUED_AGAIN: u8 = CONTINUED | CONTINUES;
/// The last piece of a region; it means nothing more.
const END: u8 = 0x10;

const HEADER_BYTES: usize = 16;
const HEADER_MAGIC: u32 = 0x5452_414e;
/// Regions of an item: those of a buffer of 64 KiB of which every other piece is logged, and one that describes it.
const REGIONS_MAX: usize = 257;
/// Bytes of a region: no more than what of a buffer can be logged.
const REGION_BYTES_MAX: usize = 68 << 10;
/// What a region, and an open transaction, cost in memory besides their bytes.
const REGION_OVERHEAD_BYTES: usize = 32;
const OPEN_OVERHEAD_BYTES: usize = 512;

/// What a transaction changed, in the order in which it was written.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Of all regions, one after the other.
    bytes: Vec<u8>,
    /// Where each region is in `bytes`.
    regions: Vec<Range<usize>>,
    /// Which of the regions each item has, or shall have.
    items: Vec<Range<usize>>,
}

/// Something that a transaction changed: what it is, and how the change is laid out.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    bytes: &'a [u8],
    regions: &'a [Range<usize>],
}

impl Transaction {
    /// What was changed.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.items.iter().filter_map(|item| Some(Item { bytes: &self.bytes, regions: self.regions.get(item.clone())? }))
    }

    /// Whether the last item has all its regions.
    fn is_whole(&self) -> bool {
        self.items.last().is_none_or(|item| item.end == self.regions.len())
    }
}

impl<'a> Item<'a> {
    /// The number that says what is changed.
    pub(super) fn kind(self) -> u16 {
        u16_le(self.description(), 0)
    }

    /// The first region.
    pub(super) fn description(self) -> &'a [u8] {
        self.regions().next().unwrap_or_default()
    }

    /// All regions, the description first.
    pub(super) fn regions(self) -> impl Iterator<Item = &'a [u8]> {
        self.regions.iter().filter_map(move |region| self.bytes.get(region.clone()))
    }
}

/// A transaction whose commit was not yet found.
#[derive(Default)]
struct Open {
    header: Vec<u8>,
    transaction: Transaction,
    /// What it holds in memory.
    held_bytes: usize,
}

/// The transactions that are open.
#[derive(Default)]
pub(super) struct Transactions {
    open: HashMap<u32, Open>,
    held_bytes: usize,
}

impl Transactions {
    /// Goes through a record; `committed` is called with each transaction whose commit is in it.
    ///
    /// # Errors
    /// `Corrupt` if the operations contradict each other, `Limit` if too much is open at once, and what `committed` says.
    pub(super) fn record(&mut self, record: &Record, mut committed: impl FnMut(&Transaction) -> Result<()>) -> Result<()> {
        let mut rest = record.body.as_slice();
        for _ in 0..record.header.operations {
            if rest.is_empty() {
                break;
            }
            let (operation, behind) = rest.split_at_checked(OPERATION_BYTES).ok_or_else(|| corrupt(record, "ends within an operation"))?;
            let bytes = u32_be(operation, 4) as usize;
            let (region, behind) = behind.split_at_checked(bytes).ok_or_else(|| corrupt(record, "ends within a region"))?;
            rest = behind;
            let (number, [client, flags]) = (u32_be(operation, 0), field(operation, OPERATION_FLAGS - 1));
            if client != OF_TRANSACTION && client != OF_LOG {
                return Err(corrupt(record, "has an operation of nobody"));
            }
            if let Some(transaction) = self.operation(number, flags, region).map_err(|why| corrupt_or_limit(record, why))? {
                committed(&transaction)?;
            }
        }
        Ok(())
    }

    /// Takes an operation; gives the transaction that is committed by it.
    fn operation(&mut self, number: u32, flags: u8, region: &[u8]) -> Result<Option<Transaction>, Why> {
        let Some(open) = self.open.get_mut(&number) else {
            if flags & START != 0 {
                self.hold(OPEN_OVERHEAD_BYTES)?;
                self.open.insert(number, Open { held_bytes: OPEN_OVERHEAD_BYTES, ..Open::default() });
            }
            return Ok(None);
        };
        let held_bytes = region.len() + REGION_OVERHEAD_BYTES;
        match flags & !END {
            0 | CONTINUES if !region.is_empty() => open.add(region)?,
            CONTINUED | CONTINUED_AGAIN if !region.is_empty() => open.go_on(region)?,
            0 | CONTINUES | CONTINUED | CONTINUED_AGAIN => return Ok(None),
            COMMIT => return self.close(number).map(Some),
            UNMOUNTED => {
                self.close(number).ok();
                return Ok(None);
            }
            _ => return Err(Why::Corrupt("has an operation with impossible flags")),
        }
        open.held_bytes += held_bytes;
        self.hold(held_bytes)?;
        Ok(None)
    }

    /// Takes a transaction out.
    fn close(&mut self, number: u32) -> Result<Transaction, Why> {
        let open = self.open.remove(&number).unwrap_or_default();
        self.held_bytes = self.held_bytes.saturating_sub(open.held_bytes);
        if !open.transaction.is_whole() {
            return Err(Why::Corrupt("commits a transaction of which a part is missing"));
        }
        Ok(open.transaction)
    }

    fn hold(&mut self, bytes: usize) -> Result<(), Why> {
        self.held_bytes += bytes;
        if self.held_bytes > XFS_TRANSACTIONS_BYTES_MAX { Err(Why::Limit) } else { Ok(()) }
    }
}

impl Open {
    /// Takes a region or the begin of one. The first is the transaction's header, of which only the begin may be there.
    fn add(&mut self, region: &[u8]) -> Result<(), Why> {
        if self.header.len() < HEADER_BYTES {
            return self.add_header(region);
        }
        let Transaction { bytes, regions, items } = &mut self.transaction;
        if items.last().is_none_or(|item| item.end == regions.len()) {
            let wanted = usize::from(u16_le(region, 2));
            if wanted == 0 || wanted > REGIONS_MAX {
                return Err(Why::Corrupt("has an item of no or too many regions"));
            }
            items.push(regions.len()..regions.len() + wanted);
        }
        regions.push(bytes.len()..bytes.len() + region.len());
        bytes.extend_from_slice(region);
        Ok(())
    }

    /// Takes more of the region that was added last.
    fn go_on(&mut self, more: &[u8]) -> Result<(), Why> {
        let Transaction { bytes, regions, .. } = &mut self.transaction;
        match regions.last_mut() {
            Some(region) if region.len() + more.len() > REGION_BYTES_MAX => Err(Why::Corrupt("has a region that is too long")),
            Some(region) => {
                region.end += more.len();
                bytes.extend_from_slice(more);
                Ok(())
            }
            None => self.add_header(more),
        }
    }

    fn add_header(&mut self, part: &[u8]) -> Result<(), Why> {
        self.header.extend_from_slice(part);
        let is_header = self.header.len() < HEADER_BYTES || u32_le(&self.header, 0) == HEADER_MAGIC;
        if self.header.len() > HEADER_BYTES || !is_header {
            return Err(Why::Corrupt("has a transaction that begins as none does"));
        }
        Ok(())
    }
}

/// Why an operation cannot be taken.
#[derive(Debug)]
enum Why {
    Corrupt(&'static str),
    Limit,
}

fn corrupt(record: &Record, why: &str) -> ReadError {
    ReadError::corrupt(WHAT, format!("the record at block {} {why}", record.header.at))
}

fn corrupt_or_limit(record: &Record, why: Why) -> ReadError {
    match why {
        Why::Corrupt(why) => corrupt(record, why),
        Why::Limit => ReadError::Limit {
            what: "the transactions that are open at once in the log of XFS".to_owned(),
            limit: XFS_TRANSACTIONS_BYTES_MAX as u64,
            unit: "bytes",
        },
    }
}

#[cfg(test)]
mod tests;
