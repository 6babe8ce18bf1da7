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
