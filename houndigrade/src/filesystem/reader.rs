//! How the crates for XFS and btrfs read a disk, and how a file is read through them. It must not know either format.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use super::RandomFile;
use super::cache::BlockCache;
use crate::error::{ReadError, Result};
use crate::limits::FILE_CACHE_BYTES_MAX;
use crate::source::{Source, checked_range};

/// A disk as those crates read it. They keep of a failure only that there was one; what it was is kept here.
pub(super) struct DiskReader {
    disk: Source,
    failure: Failure,
    /// Reads that lie within it give zeros, whatever the disk holds.
    blanked: Range<u64>,
}

/// The last failure of a [`DiskReader`].
pub(super) type Failure = Rc<Cell<Option<ReadError>>>;

impl DiskReader {
    pub(super) fn new(source: Source, blanked: Range<u64>) -> (Self, Failure) {
        let failure = Failure::default();
        (Self { disk: source, failure: Rc::clone(&failure), blanked }, failure)
    }

    fn read(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset >= self.blanked.start && self.blanked.end.checked_sub(offset).is_some_and(|left| buf.len() as u64 <= left) {
            buf.fill(0);
            return Ok(());
        }
        self.failure.take();
        self.disk.read_at(offset, buf).inspect_err(|error| self.failure.set(Some(error.clone())))?;
        Ok(())
    }
}

impl lamxfs::BlockRead for DiskReader {
    type Error = ReadError;

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.read(offset, buf)
    }
}

impl lambutter::BlockRead for DiskReader {
    type Error = ReadError;

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.read(offset, buf)
    }
}

/// A file whose file system looks for its pieces anew at each read: it is asked for windows, of which some are kept.
pub(super) struct WindowedFile<F> {
    len: u64,
    fill: F,
    windows: RefCell<BlockCache>,
}

impl<F: Fn(u64, &mut [u8]) -> Result<()>> WindowedFile<F> {
    /// A file of `len` bytes, of which `fill` reads those from an offset on, `window_bytes` at once.
    pub(super) fn new(len: u64, window_bytes: usize, fill: F) -> Self {
        Self { len, fill, windows: RefCell::new(BlockCache::new(window_bytes, FILE_CACHE_BYTES_MAX / window_bytes)) }
    }
}

impl<F: Fn(u64, &mut [u8]) -> Result<()>> RandomFile for WindowedFile<F> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        checked_range(self.len, offset, buf.len())?;
        self.windows.borrow_mut().read(self.len, offset, buf, &self.fill)
    }
}

/// Fills all of `buf` by calls of `read`, which may fill less at once.
pub(super) fn fill(what: &str, buf: &mut [u8], mut read: impl FnMut(u64, &mut [u8]) -> Result<usize>) -> Result<()> {
    let mut done = 0;
    while done < buf.len() {
        match read(done as u64, &mut buf[done..])? {
            0 => return Err(ReadError::corrupt(what, "it ends before the length that its inode states")),
            count => done += count,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::source::{Budget, Counted};

    #[test]
    fn reads_of_the_same_bytes_are_counted_so_that_a_loop_over_them_ends() {
        let disk = Counted::new(Arc::new(vec![0; 4096]), "disk", Budget { bytes: 100, reads: 100 });
        let (reader, failure) = DiskReader::new(Arc::new(disk), 0..0);
        let done = (0..1000).take_while(|_| reader.read(0, &mut [0; 10]).is_ok()).count();
        assert_eq!(done, 10);
        assert!(matches!(failure.take(), Some(ReadError::Limit { .. })));
    }
}
