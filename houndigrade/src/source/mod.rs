//! Where the bytes of a disk come from. This module knows nothing of what is in them.

mod cached;
mod counted;
mod file;
mod fingerprint;
mod served;
mod slice;

use std::sync::Arc;

pub use cached::Cached;
pub use counted::{Budget, Counted};
pub use file::FileSource;
pub use fingerprint::{Fingerprinted, fingerprint};
pub use served::{Served, serve};
pub use slice::Slice;

use crate::error::{ReadError, Result};

/// A disk, or a part of one, as bytes that can be read at any place. Never written.
///
/// Implementations: a file or block device ([`FileSource`]), a disk that another process reads ([`Served`]), a part of another source
/// ([`Slice`]), bytes in memory (`Vec<u8>`), an LVM volume.
pub trait BlockSource: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills all of `buf` with the bytes from `offset` (in bytes) on. Holes of sparse files read as zeros.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] if a byte at or behind the end is asked for, [`ReadError::Device`] if the device fails.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
}

/// A source that is shared between all who read of it.
pub type Source = Arc<dyn BlockSource>;

/// A device as it is read for an inspection: cached, and with an end to what reading may cost.
pub struct Guarded {
    /// What is read from.
    pub source: Source,
    /// Counts what the device itself had to deliver: the bytes read, as they are reported.
    pub device: Arc<Counted>,
    /// The same by its contents.
    pub contents: Arc<Fingerprinted>,
}

impl Guarded {
    /// Puts a cache and two budgets of [`crate::limits`] before a device that messages call `name`. The one above the cache ends a loop
    /// that only reads what is cached.
    pub fn new(device: Source, name: &str) -> Self {
        let contents = Arc::new(Fingerprinted::new(device));
        let device = Arc::new(Counted::new(contents.clone(), name, Budget::of_device()));
        let cached = Arc::new(Cached::new(device.clone()));
        Self { source: Arc::new(Counted::new(cached, name, Budget::of_requests())), device, contents }
    }
}

impl BlockSource for Vec<u8> {
    fn len(&self) -> u64 {
        Vec::len(self) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let from = checked_range(self.as_slice().len() as u64, offset, buf.len())? as usize;
        buf.copy_from_slice(&self[from..from + buf.len()]);
        Ok(())
    }
}

/// `offset`, if all `count` bytes from it on lie within `len`.
///
/// # Errors
/// [`ReadError::Corrupt`] if they do not.
pub fn checked_range(len: u64, offset: u64, count: usize) -> Result<u64> {
    match offset.checked_add(count as u64) {
        Some(end) if end <= len => Ok(offset),
        _ => Err(ReadError::corrupt(
            format!("a reference to byte {offset}"),
            format!("{count} bytes from there on end behind the {len} that there are"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guarded_device_is_asked_for_less_than_its_readers_ask() {
        let guarded = Guarded::new(Arc::new(vec![7; 1 << 20]), "disk");
        let mut buf = [0; 512];
        for _ in 0..1000 {
            guarded.source.read_at(4096, &mut buf).unwrap();
        }
        assert_eq!((buf, guarded.device.reads()), ([7; 512], 1));
    }
}
