//! What reading costs, counted and ended: a loop that a disk provokes runs out of its budget.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{BlockSource, Source};
use crate::error::{ReadError, Result};
use crate::limits::{DISK_DEVICE_BYTES_MAX, DISK_DEVICE_READS_MAX, DISK_REQUESTED_BYTES_MAX, DISK_REQUESTS_MAX};

/// What may be read of a source in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub bytes: u64,
    /// Calls of [`BlockSource::read_at`].
    pub reads: u64,
}

impl Budget {
    /// For a device, below a cache.
    pub fn of_device() -> Self {
        Self { bytes: DISK_DEVICE_BYTES_MAX, reads: DISK_DEVICE_READS_MAX }
    }

    /// For what is asked of a disk, above its cache.
    pub fn of_requests() -> Self {
        Self { bytes: DISK_REQUESTED_BYTES_MAX, reads: DISK_REQUESTS_MAX }
    }
}

/// A source that counts what is read of it, and refuses what is beyond its budget.
pub struct Counted {
    of: Source,
    name: String,
    budget: Budget,
    bytes: AtomicU64,
    reads: AtomicU64,
}

impl Counted {
    /// Counts for a source that messages call `name`.
    pub fn new(of: Source, name: impl Into<String>, budget: Budget) -> Self {
        Self { of, name: name.into(), budget, bytes: AtomicU64::new(0), reads: AtomicU64::new(0) }
    }

    /// Bytes that were asked for.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Calls that were made.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    fn take(&self, counter: &AtomicU64, amount: u64, limit: u64, unit: &'static str) -> Result<()> {
        let more = |now: u64| now.checked_add(amount).filter(|sum| *sum <= limit);
        match counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(ReadError::Limit { what: format!("reading {}", self.name), limit, unit }),
        }
    }
}

impl BlockSource for Counted {
    fn len(&self) -> u64 {
        self.of.len()
    }

    /// # Errors
    /// Besides those of the source, [`ReadError::Limit`] once the budget is spent.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.take(&self.reads, 1, self.budget.reads, "reads")?;
        self.take(&self.bytes, buf.len() as u64, self.budget.bytes, "bytes read")?;
        self.of.read_at(offset, buf)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn counted(bytes: u64, reads: u64) -> Counted {
        Counted::new(Arc::new(vec![0; 100]), "disk", Budget { bytes, reads })
    }

    #[test]
    fn bytes_and_reads_are_counted() {
        let source = counted(1000, 1000);
        source.read_at(0, &mut [0; 60]).unwrap();
        source.read_at(0, &mut [0; 60]).unwrap();
        assert_eq!((source.bytes(), source.reads()), (120, 2));
    }

    #[test]
    fn reading_ends_when_either_budget_is_spent() {
        let by_bytes = counted(100, 1000);
        by_bytes.read_at(0, &mut [0; 100]).unwrap();
        assert!(matches!(by_bytes.read_at(0, &mut [0; 1]), Err(ReadError::Limit { limit: 100, .. })));
        let by_reads = counted(1000, 1);
        by_reads.read_at(0, &mut []).unwrap();
        assert!(matches!(by_reads.read_at(0, &mut []), Err(ReadError::Limit { limit: 1, .. })));
    }
}
