//! XFS, versions 4 and 5, with the log replayed in memory where it can be.
//!
//! The crate `lamxfs` knows the format, and replays the log of version 5. That of version 4 is replayed by the submodules. A log that cannot be
//! replayed is hidden from the crate: better files that may be older than none, and a caveat that says so.

mod geometry;
mod head;
mod inode;
mod log;
mod overlay;
mod replay;
mod transaction;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use lamxfs::{Error, Inode, Path, SuperblockReason};

use self::geometry::Geometry;
use super::bytes::{u32_be, u64_be, uuid};
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
        let opened = match geometry::version(source.as_ref())? {
            4 => open_version_4(&source)?,
            _ => open_version_5(&source)?,
        };
        let (xfs, failure) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                caveats.push(format!("the log was not replayed, so files may be older than they were: {why}"));
                let log = Geometry::read(source.as_ref())?.log;
                open_with(source, log).map_err(|why| read_error(&why, None, WHAT))?
            }
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

type Opened = (lamxfs::Xfs<DiskReader>, Failure);

/// Opens with the log replayed by the submodules. The inner error is a trouble of the log alone.
fn open_version_4(source: &Source) -> Result<std::result::Result<Opened, String>> {
    let geometry = Geometry::read(source.as_ref())?;
    let opened = replay::replay(source, &geometry)
        .and_then(|disk| open_with(Arc::new(disk), geometry.log).map_err(|why| read_error(&why, None, WHAT)));
    Ok(opened.map_err(|why| why.to_string()))
}

/// Opens with the log replayed by the crate. The inner error is a trouble of the log alone.
fn open_version_5(source: &Source) -> Result<std::result::Result<Opened, String>> {
    match open_with(source.clone(), 0..0) {
        Err(why) if is_of_log(&why) => Ok(Err(log_trouble(&why).to_owned())),
        opened => opened.map(Ok).map_err(|why| read_error(&why, None, WHAT)),
    }
}

/// Opens with a part of the disk read as zeros.
fn open_with(source: Source, blanked: Range<u64>) -> std::result::Result<Opened, Error> {
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
        _ => "it is damaged, or has what is not known",
    }
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
