//! The write-ahead log of a SQLite database: pages that were committed but not yet copied into its file. On a running system they are the
//! newest packages, and soon after an installation nearly all. It knows nothing of what is in the pages.

use std::collections::HashMap;

use super::damaged;
use crate::error::{ReadError, Result};
use crate::filesystem::RandomFile;
use crate::limits::RPMDB_LOG_BYTES_MAX;
use crate::rpmdb::fields::Order;

/// Bytes of the log's head.
const HEAD_BYTES: usize = 32;
/// Bytes before each page: its number, the database's pages if this is a commit, two salts, two checksums.
const FRAME_HEAD_BYTES: usize = 24;
/// What a log begins with; the lowest bit says that checksums are of big-endian words.
const MAGIC: u32 = 0x377F_0682;
const VERSION: u32 = 3_007_000;

/// The pages of a log that were committed.
pub(super) struct Log<'a> {
    file: &'a dyn RandomFile,
    /// Where in the log the newest content of a page is, in bytes.
    places: HashMap<u32, u64>,
    page_count: u32,
}

/// The running checksum of a log.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Checksum {
    order: Order,
    sums: (u32, u32),
}

impl<'a> Log<'a> {
    /// Reads a log of a database with pages of `page_bytes`. There is no log if none was committed. With it comes what is to be said of it.
    ///
    /// # Errors
    /// If it is too large or cannot be read.
    pub(super) fn read(file: &'a dyn RandomFile, page_bytes: usize) -> Result<(Option<Self>, Option<String>)> {
        if file.len() > RPMDB_LOG_BYTES_MAX {
            return Err(ReadError::Limit { what: "the write-ahead log".to_owned(), limit: RPMDB_LOG_BYTES_MAX, unit: "bytes" });
        }
        if file.len() < (HEAD_BYTES + FRAME_HEAD_BYTES + page_bytes) as u64 {
            return Ok((None, None));
        }
        let (salts, checksum) = read_head(file, page_bytes)?;
        let mut frames = Frames { file, frame: vec![0; FRAME_HEAD_BYTES + page_bytes], at: HEAD_BYTES as u64, salts, checksum };
        let mut log = Self { file, places: HashMap::new(), page_count: 0 };
        let mut uncommitted = Vec::new();
        let ended = loop {
            match frames.next() {
                Ok(Some(frame)) => {
                    uncommitted.push((frame.page, frame.place));
                    if frame.committed_pages > 0 {
                        log.places.extend(uncommitted.drain(..));
                        log.page_count = frame.committed_pages;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(format!("the write-ahead log is taken into account up to where it is damaged: {error}")),
            }
        };
        Ok(((log.page_count > 0).then_some(log), ended))
    }

    /// Where the content of a page is in [`Log::file`], if the log has the page.
    pub(super) fn place(&self, page: u64) -> Option<u64> {
        self.places.get(&u32::try_from(page).ok()?).copied()
    }

    /// The log itself.
    pub(super) fn file(&self) -> &'a dyn RandomFile {
        self.file
    }

    /// How many pages the database has after the last commit.
    pub(super) fn page_count(&self) -> u32 {
        self.page_count
    }
}

/// Salts and checksum of the log's head.
fn read_head(file: &dyn RandomFile, page_bytes: usize) -> Result<([u8; 8], Checksum)> {
    let mut head = [0; HEAD_BYTES];
    file.read_at(0, &mut head)?;
    let number = |at| Order::Big.u32(&head, at).unwrap_or_default();
    let order = match number(0) {
        MAGIC => Order::Little,
        magic if magic == MAGIC | 1 => Order::Big,
        _ => return Err(damaged("the write-ahead log's head is not that of a log")),
    };
    if number(4) != VERSION || number(8) as usize != page_bytes {
        return Err(damaged("the write-ahead log's version or size of pages is not the database's"));
    }
    let mut checksum = Checksum { order, sums: (0, 0) };
    checksum.add(&head[..24]);
    if checksum.sums != (number(24), number(28)) {
        return Err(damaged("the write-ahead log's head contradicts its checksum"));
    }
    let mut salts = [0; 8];
    salts.copy_from_slice(&head[16..24]);
    Ok((salts, checksum))
}

/// One page in a log.
struct Frame {
    page: u32,
    /// Where its content is in the log, in bytes.
    place: u64,
    /// If this ends a commit, how many pages the database then has; else 0.
    committed_pages: u32,
}

/// The frames of a log, one after the other, as long as they are sound.
struct Frames<'a> {
    file: &'a dyn RandomFile,
    frame: Vec<u8>,
    at: u64,
    salts: [u8; 8],
    checksum: Checksum,
}

impl Frames<'_> {
    /// The next frame; `None` at the end, where the file ends or frames of an older use of the log follow.
    fn next(&mut self) -> Result<Option<Frame>> {
        let end = self.at + self.frame.len() as u64;
        if end > self.file.len() {
            return Ok(None);
        }
        self.file.read_at(self.at, &mut self.frame)?;
        let (head, content) = self.frame.split_at(FRAME_HEAD_BYTES);
        if head[8..16] != self.salts {
            return Ok(None);
        }
        self.checksum.add(&head[..8]);
        self.checksum.add(content);
        let number = |at| Order::Big.u32(head, at).unwrap_or_default();
        let (page, committed_pages) = (number(0), number(4));
        if page == 0 || self.checksum.sums != (number(16), number(20)) {
            return Err(damaged(format!("the write-ahead log contradicts its checksum at byte {}", self.at)));
        }
        let place = self.at + FRAME_HEAD_BYTES as u64;
        self.at = end;
        Ok(Some(Frame { page, place, committed_pages }))
    }
}

impl Checksum {
    /// Adds bytes, a multiple of eight.
    fn add(&mut self, bytes: &[u8]) {
        let word = |four: [u8; 4]| match self.order {
            Order::Little => u32::from_le_bytes(four),
            Order::Big => u32::from_be_bytes(four),
        };
        let (mut first, mut second) = self.sums;
        for pair in bytes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            first = first.wrapping_add(word([a, b, c, d])).wrapping_add(second);
            second = second.wrapping_add(word([e, f, g, h])).wrapping_add(first);
        }
        self.sums = (first, second);
    }
}
