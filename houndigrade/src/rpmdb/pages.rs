//! A file in pages of one size, of which each may be used once. It knows nothing of what is in them.
//!
//! Pages that lie together are read together, once: a part of the file that is needed again after it was dropped is read page by page. So
//! no more than twice the file's bytes are ever read, wherever its pages refer to.

use crate::error::{ReadError, Result};
use crate::filesystem::RandomFile;
use crate::limits::{RPMDB_READ_BYTES, RPMDB_READS_KEPT};

/// A set of small numbers.
pub(super) struct Numbers {
    words: Vec<u64>,
}

impl Numbers {
    /// An empty set that numbers below `end` can be put into.
    pub(super) fn below(end: u64) -> Self {
        Self { words: vec![0; end.div_ceil(64) as usize] }
    }

    /// Adds a number; `false` if it was there or is not below the end.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let Some(word) = self.words.get_mut((number / 64) as usize) else { return false };
        let bit = 1 << (number % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

/// A part of the file that is kept in memory.
struct Kept {
    /// Which of the parts of [`RPMDB_READ_BYTES`] it is.
    part: u64,
    /// When it was last used, in uses.
    used: u64,
    bytes: Vec<u8>,
}

/// Reads pages of a file.
pub(super) struct PageFile<'a> {
    file: &'a dyn RandomFile,
    page_bytes: usize,
    kept: Vec<Kept>,
    uses: u64,
    read_ahead: Numbers,
    /// A page that was read alone.
    lone: Vec<u8>,
}

impl<'a> PageFile<'a> {
    /// Pages of `page_bytes` bytes, a power of two of at most [`RPMDB_READ_BYTES`]. The file's length must have been checked.
    pub(super) fn new(file: &'a dyn RandomFile, page_bytes: usize) -> Self {
        let parts = file.len().div_ceil(RPMDB_READ_BYTES as u64);
        Self { file, page_bytes, kept: Vec::new(), uses: 0, read_ahead: Numbers::below(parts), lone: Vec::new() }
    }

    /// How many whole pages the file has.
    pub(super) fn count(&self) -> u64 {
        self.file.len() / self.page_bytes as u64
    }

    /// The page of this number, counted from 0.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] if the file has no such page; what reading the file gives.
    pub(super) fn page(&mut self, number: u64) -> Result<&[u8]> {
        if number >= self.count() {
            return Err(ReadError::corrupt(format!("a reference to page {number}"), format!("there are {} pages", self.count())));
        }
        let offset = number * self.page_bytes as u64;
        let part = offset / RPMDB_READ_BYTES as u64;
        let within = (offset % RPMDB_READ_BYTES as u64) as usize;
        self.uses += 1;
        match self.kept_part(part)? {
            Some(slot) => Ok(&self.kept[slot].bytes[within..within + self.page_bytes]),
            None => {
                self.lone.resize(self.page_bytes, 0);
                self.file.read_at(offset, &mut self.lone)?;
                Ok(&self.lone)
            }
        }
    }

    /// Where a part is kept, reading it if it never was read.
    fn kept_part(&mut self, part: u64) -> Result<Option<usize>> {
        if let Some(slot) = self.kept.iter().position(|kept| kept.part == part) {
            self.kept[slot].used = self.uses;
            return Ok(Some(slot));
        }
        if !self.read_ahead.insert(part) {
            return Ok(None);
        }
        let start = part * RPMDB_READ_BYTES as u64;
        let len = (self.file.len() - start).min(RPMDB_READ_BYTES as u64) as usize;
        let slot = self.slot_to_fill();
        let kept = &mut self.kept[slot];
        // Until the bytes are there, the slot is no part's.
        (kept.part, kept.used) = (u64::MAX, self.uses);
        kept.bytes.resize(len, 0);
        // A part that cannot be read as a whole may have pages that can.
        if self.file.read_at(start, &mut kept.bytes).is_err() {
            return Ok(None);
        }
        kept.part = part;
        Ok(Some(slot))
    }

    /// A new slot while there may be more, else the one that was used longest ago.
    fn slot_to_fill(&mut self) -> usize {
        if self.kept.len() < RPMDB_READS_KEPT {
            self.kept.push(Kept { part: u64::MAX, used: 0, bytes: Vec::new() });
            return self.kept.len() - 1;
        }
        (0..self.kept.len()).min_by_key(|slot| self.kept[*slot].used).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A file that counts the bytes that are read of it, and has a place that cannot be read.
    struct Counting {
        bytes: Vec<u8>,
        read: Cell<usize>,
        unreadable: Option<u64>,
    }

    impl Counting {
        /// `count` pages of 512 bytes, each filled with its number.
        fn pages(count: usize, unreadable: Option<u64>) -> Self {
            let bytes = (0..count).flat_map(|number| [number as u8; 512]).collect();
            Self { bytes, read: Cell::new(0), unreadable }
        }
    }

    impl RandomFile for Counting {
        fn len(&self) -> u64 {
            self.bytes.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            if self.unreadable.is_some_and(|place| (offset..offset + buf.len() as u64).contains(&place)) {
                return Err(ReadError::corrupt("a place", "it cannot be read"));
            }
            self.read.set(self.read.get() + buf.len());
            RandomFile::read_at(&self.bytes, offset, buf)
        }
    }

    #[test]
    fn each_page_once_in_any_order_reads_at_most_twice_the_file() {
        let count = 10_000;
        for step in [1, 7, 4_999, 9_999] {
            let file = Counting::pages(count, None);
            let mut pages = PageFile::new(&file, 512);
            for index in 0..count {
                let number = index * step % count;
                assert_eq!(pages.page(number as u64).unwrap(), [number as u8; 512]);
            }
            assert!(file.read.get() <= 2 * file.bytes.len(), "step {step}: {} bytes", file.read.get());
        }
    }

    #[test]
    fn a_place_that_cannot_be_read_does_not_hide_the_pages_beside_it() {
        let file = Counting::pages(300, Some(5 * 512));
        let mut pages = PageFile::new(&file, 512);
        for number in 0..300 {
            assert_eq!(pages.page(number).is_ok(), number != 5, "page {number}");
        }
    }

    #[test]
    fn a_page_that_is_not_whole_is_none() {
        let mut file = Counting::pages(3, None);
        file.bytes.pop();
        let mut pages = PageFile::new(&file, 512);
        assert!(pages.page(1).is_ok());
        assert!(matches!(pages.page(2), Err(ReadError::Corrupt { .. })));
        assert!(pages.page(u64::MAX).is_err());
    }
}
