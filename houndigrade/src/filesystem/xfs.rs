//! XFS, versions 4 and 5, with the log replayed in memory where it can be.
//!
//! The crate `lamxfs` knows the format. Where it refuses a file system for its log alone, the log is hidden from it: better files that may be
//! older than none, and a caveat that says so.

use std::cell::RefCell;
use std::ops::Range;

use lamxfs::{Error, Inode, Path, SuperblockReason};

use super::bytes::{field, u32_be, u64_be, uuid};
use super::reader::{DiskReader, Failure, WindowedFile, fill};
use super::{DirEntry, FileKind, FileSystem, RandomFile, Stat, shown};
use crate::error::{ReadError, Result};
use crate::limits::{DIRECTORY_BYTES_MAX, XFS_WINDOW_BYTES};
use crate::source::Source;

const WHAT: &str = "the XFS file system";

/// An XFS file system.
pub struct Xfs {
    xfs: RefCell<lamxfs::Xfs<DiskReader>>,
    failure: Failure,
    caveats: Vec<String>,
}

impl Xfs {
    /// Opens the file system on `source`.
    ///
    /// A log that cannot be replayed is a caveat, not an error.
    ///
    /// # Errors
    /// `Corrupt` if its superblock makes no sense, `Unsupported` for a feature that is not read, such as a log on another device, `Device` if
    /// the device fails.
    pub fn open(source: Source) -> Result<Self> {
        let mut caveats = missing_bytes(&source)?;
        let (xfs, failure) = match open_with(source.clone(), 0..0) {
            Err(why) if is_of_log(&why) => {
                let log = log_place(&source)?;
                let opened = open_with(source, log).map_err(|why| read_error(&why, None, WHAT))?;
                let why = log_trouble(&why);
                caveats.push(format!("the log was not replayed, so files may be older than they were: {why}"));
                opened
            }
            opened => opened.map_err(|why| read_error(&why, None, WHAT))?,
        };
        Ok(Self { xfs: RefCell::new(xfs), failure, caveats })
    }

    /// Calls the crate and says what went wrong in our terms.
    fn call<T>(&self, what: &str, call: impl FnOnce(&mut lamxfs::Xfs<DiskReader>) -> std::result::Result<T, Error>) -> Result<T> {
        call(&mut self.xfs.borrow_mut()).map_err(|why| read_error(&why, self.failure.take(), what))
    }

    fn find(&self, path: &[u8]) -> Result<(Inode, Stat)> {
        let what = shown(path);
        let inode = self.call(&what, |xfs| xfs.resolve(Path::new(path)))?;
        let metadata = self.call(&what, |xfs| xfs.metadata(&inode))?;
        let stat = Stat { kind: super::kind_of_mode(metadata.mode()), len: metadata.size() };
        if stat.kind == FileKind::Directory && stat.len > DIRECTORY_BYTES_MAX {
            return Err(ReadError::Limit { what, limit: DIRECTORY_BYTES_MAX, unit: "bytes" });
        }
        Ok((inode, stat))
    }
}

impl FileSystem for Xfs {
    fn kind(&self) -> &'static str {
        "xfs"
    }

    fn uuid(&self) -> Option<String> {
        uuid(self.xfs.borrow().uuid())
    }

    fn label(&self) -> Option<String> {
        self.xfs.borrow().label().map(str::to_owned)
    }

    fn caveats(&self) -> Vec<String> {
        self.caveats.clone()
    }

    fn stat(&self, path: &[u8]) -> Result<Stat> {
        self.find(path).map(|(_, stat)| stat)
    }

    fn read_dir(&self, path: &[u8], entries_max: usize) -> Result<Vec<DirEntry>> {
        let (_, stat) = self.find(path)?;
        super::expect_kind(path, stat.kind, FileKind::Directory)?;
        let entries = self.call(&shown(path), |xfs| xfs.read_dir(Path::new(path)))?;
        if entries.len() > entries_max {
            return Err(super::too_many_entries(path, entries_max));
        }
        Ok(entries.iter().filter_map(|entry| DirEntry::of(&entry.name)).collect())
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (_, stat) = self.find(path)?;
        super::expect_kind(path, stat.kind, FileKind::Symlink)?;
        super::check_link_len(path, stat.len)?;
        self.call(&shown(path), |xfs| xfs.read_link(Path::new(path)))
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        let (inode, stat) = self.find(path)?;
        super::expect_kind(path, stat.kind, FileKind::Regular)?;
        let what = shown(path);
        Ok(Box::new(WindowedFile::new(stat.len, XFS_WINDOW_BYTES, move |offset, buf: &mut [u8]| {
            fill(&what, buf, |done, rest| self.call(&what, |xfs| xfs.read_file_at(&inode, offset + done, rest)))
        })))
    }
}

fn open_with(source: Source, blanked: Range<u64>) -> std::result::Result<(lamxfs::Xfs<DiskReader>, Failure), Error> {
    let len = source.len();
    let (reader, failure) = DiskReader::new(source, blanked);
    lamxfs::Xfs::open(reader, len).map(|xfs| (xfs, failure))
}

fn is_of_log(why: &Error) -> bool {
    matches!(why, Error::BadSuperblock(SuperblockReason::DirtyLog) | Error::Io { token: "io_log" | "io_log_replay", .. })
}

fn log_trouble(why: &Error) -> &'static str {
    match why {
        Error::Io { .. } => "it cannot be read",
        _ => "it is of version 4, damaged, or has what is not known",
    }
}

/// The bytes of the disk that the log occupies.
fn log_place(source: &Source) -> Result<Range<u64>> {
    let mut superblock = [0; 512];
    source.read_at(0, &mut superblock)?;
    let block_size = u64::from(u32_be(&superblock, 4));
    let (start, blocks) = (u64_be(&superblock, 48), u64::from(u32_be(&superblock, 96)));
    let (group_blocks, [group_shift]) = (u64::from(u32_be(&superblock, 84)), field(&superblock, 124));
    let place = || {
        let group = start.checked_shr(u32::from(group_shift))?;
        let within = start & 1_u64.checked_shl(u32::from(group_shift))?.checked_sub(1)?;
        let from = group.checked_mul(group_blocks)?.checked_add(within)?.checked_mul(block_size)?;
        Some(from..from.checked_add(blocks.checked_mul(block_size)?)?)
    };
    place().ok_or_else(|| ReadError::corrupt(WHAT, "its log cannot be where it says"))
}

/// A caveat, if the file system states more bytes than there are.
fn missing_bytes(source: &Source) -> Result<Vec<String>> {
    let mut superblock = [0; 512];
    source.read_at(0, &mut superblock)?;
    let stated = u128::from(u64_be(&superblock, 8)) * u128::from(u32_be(&superblock, 4));
    let there = source.len();
    Ok((stated > u128::from(there))
        .then(|| format!("the file system states {stated} bytes, of which {there} are there"))
        .into_iter()
        .collect())
}

/// What the crate's error means; `failure` is that of the disk, if it was asked for.
fn read_error(why: &Error, failure: Option<ReadError>, what: &str) -> ReadError {
    match why {
        Error::Io { offset, .. } => failure.unwrap_or_else(|| ReadError::corrupt(what, format!("byte {offset} cannot be read"))),
        Error::NotFound { .. } => ReadError::not_found(what),
        Error::UnsupportedFeature(feature) => ReadError::unsupported(what, *feature),
        Error::BadSuperblock(
            reason @ (SuperblockReason::ExternalLog | SuperblockReason::RealtimeDevice | SuperblockReason::UnsupportedVersion),
        ) => ReadError::unsupported(what, format!("{reason:?}")),
        Error::FileTooLarge { max, .. } => ReadError::Limit { what: what.to_owned(), limit: *max, unit: "bytes" },
        why => ReadError::corrupt(what, why.token()),
    }
}

#[cfg(test)]
mod tests;
