//! What partition tables of all kinds have in common. This module knows no table's format.

use std::sync::Arc;

use crate::error::{ReadError, Result};
use crate::source::{Slice, Source};

/// A partition, within the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// As Linux numbers it, from 1.
    pub number: u32,
    /// In bytes from the disk's begin.
    pub start: u64,
    /// In bytes.
    pub len: u64,
    /// What the table says it is for, where that is no file system: `BIOS boot`.
    pub purpose: Option<&'static str>,
    /// `PARTUUID`.
    pub uuid: Option<String>,
    /// `PARTLABEL`.
    pub label: Option<String>,
}

impl Partition {
    /// Its bytes.
    pub(super) fn source(&self, disk: &Source) -> Result<Source> {
        Ok(Arc::new(Slice::new(disk.clone(), self.start, self.len)?))
    }
}

/// What is wrong with a table or one of its partitions.
#[derive(Clone, Debug)]
pub(super) struct Flaw {
    /// The partition, or none if it is the table.
    pub number: Option<u32>,
    /// What is wrong.
    pub error: ReadError,
    /// Whether something may be hidden by it.
    pub hides: bool,
}

/// A partition table that was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// In the table's order.
    pub partitions: Vec<Partition>,
    /// What is wrong with it.
    pub flaws: Vec<Flaw>,
}

impl Table {
    /// Notes something that may hide partitions.
    pub(super) fn flaw(&mut self, number: Option<u32>, error: ReadError) {
        self.flaws.push(Flaw { number, error, hides: true });
    }

    /// Adds a partition of `count` sectors of `sector` bytes from sector `first` on, as far as it lies within a disk of `disk_len` bytes.
    pub(super) fn add(&mut self, mut partition: Partition, first: u64, count: u64, sector: u64, disk_len: u64) {
        let number = partition.number;
        let what = || format!("partition {number}");
        let extent = first.checked_mul(sector).zip(count.checked_mul(sector));
        let Some((start, len)) = extent.filter(|(start, len)| start.checked_add(*len).is_some()) else {
            return self.flaw(Some(number), ReadError::corrupt(what(), format!("it begins at sector {first} and has {count}")));
        };
        let missing = (start + len).saturating_sub(disk_len);
        if missing > 0 {
            let why = format!("it ends {missing} bytes behind the disk's end");
            self.flaw(Some(number), ReadError::corrupt(what(), why));
        }
        if start < disk_len {
            (partition.start, partition.len) = (start, len - missing);
            self.partitions.push(partition);
        }
    }
}
