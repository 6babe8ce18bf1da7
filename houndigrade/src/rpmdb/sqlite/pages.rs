//! The pages of a SQLite database as its last commit left them: those of the file, but of the write-ahead log where that has a newer one.
//! Each page may be used once, so that no reference leads in a circle. It knows nothing of tables.

use super::damaged;
use super::log::Log;
use crate::error::{ReadError, Result};
use crate::filesystem::RandomFile;
use crate::limits::{RPMDB_BYTES_MAX, RPMDB_READ_BYTES};
use crate::rpmdb::fields::Order;
use crate::rpmdb::pages::{Numbers, PageFile};

/// Bytes of the database's head, with which page 1 begins.
pub(super) const HEAD_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Least bytes of a page.
const PAGE_BYTES_MIN: usize = 512;
/// Least bytes of a page without those that are reserved at its end.
const USABLE_BYTES_MIN: usize = 480;
/// The text encoding UTF-8; 0 stands in a database without tables.
const ENCODINGS: std::ops::RangeInclusive<u32> = 0..=1;

/// The pages of a database, numbered from 1.
pub(super) struct Pages<'a> {
    file: PageFile<'a>,
    log: Option<Log<'a>>,
    page_bytes: usize,
    usable_bytes: usize,
    /// How many there are.
    count: u64,
    used: Numbers,
    /// A page of the log.
    newer: Vec<u8>,
}

impl<'a> Pages<'a> {
    /// The pages of `file` alone.
    ///
    /// # Errors
    /// If its head is not that of a database, or says what is not supported.
    pub(super) fn open(file: &'a dyn RandomFile) -> Result<Self> {
        let mut head = [0; HEAD_BYTES];
        if file.len() < HEAD_BYTES as u64 {
            return Err(damaged("it is shorter than its head"));
        }
        file.read_at(0, &mut head)?;
        if !head.starts_with(MAGIC) {
            return Err(damaged("its head is not that of a database"));
        }
        let page_bytes = match Order::Big.u16(&head, 16) {
            Some(1) => 65_536,
            bytes => usize::from(bytes.unwrap_or_default()),
        };
        if !page_bytes.is_power_of_two() || !(PAGE_BYTES_MIN..=RPMDB_READ_BYTES).contains(&page_bytes) {
            return Err(damaged(format!("its pages have {page_bytes} bytes")));
        }
        let usable_bytes = page_bytes - usize::from(head[20]);
        if usable_bytes < USABLE_BYTES_MIN {
            return Err(damaged(format!("of its pages' {page_bytes} bytes all but {usable_bytes} are reserved")));
        }
        if !Order::Big.u32(&head, 56).is_some_and(|encoding| ENCODINGS.contains(&encoding)) {
            return Err(ReadError::unsupported("the database rpmdb.sqlite", "its text is not UTF-8, as that of rpm is"));
        }
        let pages = PageFile::new(file, page_bytes);
        let count = pages.count();
        Ok(Self { file: pages, log: None, page_bytes, usable_bytes, count, used: Numbers::below(count + 1), newer: Vec::new() })
    }

    /// Takes a write-ahead log into account. The answer is what is to be said of it: that it is not sound, or not to its end.
    pub(super) fn overlay(&mut self, log: &'a dyn RandomFile) -> Result<Option<String>> {
        let (log, caveat) = Log::read(log, self.page_bytes)?;
        if let Some(log) = log {
            let count = u64::from(log.page_count());
            if count * self.page_bytes as u64 > RPMDB_BYTES_MAX {
                return Err(ReadError::Limit { what: "the database with its log".to_owned(), limit: RPMDB_BYTES_MAX, unit: "bytes" });
            }
            self.count = count;
            self.used = Numbers::below(count + 1);
            self.log = Some(log);
        }
        Ok(caveat)
    }

    /// Bytes of a page that hold content.
    pub(super) fn usable_bytes(&self) -> usize {
        self.usable_bytes
    }

    /// Says that a page will be used.
    ///
    /// # Errors
    /// If there is no such page, or if it was used before.
    pub(super) fn claim(&mut self, number: u64) -> Result<()> {
        if number == 0 || number > self.count {
            return Err(damaged(format!("it refers to page {number} of {}", self.count)));
        }
        if !self.used.insert(number) {
            return Err(damaged(format!("page {number} is used twice, or is not there")));
        }
        Ok(())
    }

    /// The content of a page that was claimed.
    pub(super) fn page(&mut self, number: u64) -> Result<&[u8]> {
        let page = match self.log.as_ref().and_then(|log| log.place(number).map(|place| (log, place))) {
            Some((log, place)) => {
                self.newer.resize(self.page_bytes, 0);
                log.file().read_at(place, &mut self.newer)?;
                &self.newer
            }
            None => self.file.page(number - 1)?,
        };
        Ok(&page[..self.usable_bytes])
    }
}
