//! btrfs: one subvolume of it. The crate `lambutter` knows the format.

use std::cell::RefCell;

use lambutter::{Error, Inode, Path, SuperblockReason};

use super::bytes::{field, label, u64_le, uuid};
use super::reader::{DiskReader, Failure, WindowedFile, fill};
use super::{DirEntry, FileKind, FileSystem, RandomFile, Stat, shown};
use crate::error::{ReadError, Result};
use crate::limits::{BTRFS_WINDOW_BYTES, DIRECTORY_BYTES_MAX};
use crate::source::Source;

const WHAT: &str = "the btrfs file system";
const SUPERBLOCK_OFFSET: u64 = 64 << 10;

/// Which subvolume of a btrfs file system is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subvolume {
    /// The one that a plain mount shows.
    Default,
    /// By its number, as `subvolid=` in fstab; 5 is the top level.
    Id(u64),
    /// By its path from the top level, as `subvol=` in fstab.
    Path(Vec<u8>),
}

/// A subvolume of a btrfs file system. Those below it are seen as its directories.
pub struct Btrfs {
    btrfs: RefCell<lambutter::Btrfs<DiskReader>>,
    failure: Failure,
    uuid: Option<String>,
    label: Option<String>,
    caveats: Vec<String>,
}

impl Btrfs {
    /// Opens a subvolume of the file system on `source`.
    ///
    /// # Errors
    /// `Corrupt` if the file system makes no sense, `Unsupported` for a feature that is not read, `NotFound` if there is no such subvolume,
    /// `Device` if the device fails.
    pub fn open(source: Source, subvolume: &Subvolume) -> Result<Self> {
        let mut superblock = [0; 1024];
        source.read_at(SUPERBLOCK_OFFSET, &mut superblock)?;
        let caveats = caveats(&superblock, source.len());
        let len = source.len();
        let (reader, failure) = DiskReader::new(source, 0..0);
        let opened = match subvolume {
            Subvolume::Default => lambutter::Btrfs::open(reader, len),
            Subvolume::Id(id) => lambutter::Btrfs::open_subvol_id(reader, len, *id),
            Subvolume::Path(path) => {
                let path = [b"/", path.as_slice()].concat();
                let path = Path::new(&path).ok_or_else(|| ReadError::not_found(WHAT))?;
                lambutter::Btrfs::open_subvol_path(reader, len, path)
            }
        };
        let btrfs = opened.map_err(|why| read_error(&why, failure.take(), WHAT))?;
        Ok(Self {
            btrfs: RefCell::new(btrfs),
            failure,
            uuid: uuid(field(&superblock, 0x20)),
            label: label(&superblock[0x12b..0x12b + 256]),
            caveats,
        })
    }

    /// Calls the crate and says what went wrong in our terms.
    fn call<T>(&self, what: &str, call: impl FnOnce(&mut lambutter::Btrfs<DiskReader>) -> lambutter::Result<T>) -> Result<T> {
        call(&mut self.btrfs.borrow_mut()).map_err(|why| read_error(&why, self.failure.take(), what))
    }

    fn find(&self, path: &[u8]) -> Result<(Inode, Stat)> {
        let what = shown(path);
        let absolute = absolute(path)?;
        let inode = self.call(&what, |btrfs| btrfs.resolve(absolute))?;
        let metadata = self.call(&what, |btrfs| btrfs.metadata(&inode))?;
        let stat = Stat { kind: super::kind_of_mode(metadata.mode), len: metadata.size };
        if stat.kind == FileKind::Directory && stat.len > DIRECTORY_BYTES_MAX {
            return Err(ReadError::Limit { what, limit: DIRECTORY_BYTES_MAX, unit: "bytes" });
        }
        Ok((inode, stat))
    }
}

impl FileSystem for Btrfs {
    fn kind(&self) -> &'static str {
        "btrfs"
    }

    fn uuid(&self) -> Option<String> {
        self.uuid.clone()
    }

    fn label(&self) -> Option<String> {
        self.label.clone()
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
        let absolute = absolute(path)?;
        let entries = self.call(&shown(path), |btrfs| btrfs.read_dir(absolute))?;
        if entries.len() > entries_max {
            return Err(super::too_many_entries(path, entries_max));
        }
        Ok(entries.iter().filter_map(|entry| DirEntry::of(&entry.name)).collect())
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (_, stat) = self.find(path)?;
        super::expect_kind(path, stat.kind, FileKind::Symlink)?;
        super::check_link_len(path, stat.len)?;
        let absolute = absolute(path)?;
        self.call(&shown(path), |btrfs| btrfs.read_link(absolute))
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        let (inode, stat) = self.find(path)?;
        super::expect_kind(path, stat.kind, FileKind::Regular)?;
        let what = shown(path);
        Ok(Box::new(WindowedFile::new(stat.len, BTRFS_WINDOW_BYTES, move |offset, buf: &mut [u8]| {
            fill(&what, buf, |done, rest| self.call(&what, |btrfs| btrfs.read_file_at(&inode, offset + done, rest)))
        })))
    }
}

fn absolute(path: &[u8]) -> Result<Path<'_>> {
    Path::new(path).ok_or_else(|| ReadError::not_found(shown(path)))
}

fn caveats(superblock: &[u8], source_bytes: u64) -> Vec<String> {
    let (stated, log_root, devices) = (u64_le(superblock, 0x70), u64_le(superblock, 0x60), u64_le(superblock, 0x88));
    let mut caveats = Vec::new();
    if log_root != 0 {
        caveats.push("the log of the last writes was not replayed, so files of the last seconds may be older".to_owned());
    }
    if devices > 1 {
        caveats.push(format!("this is one of {devices} devices of the file system; what lies only on others cannot be read"));
    } else if stated > source_bytes {
        caveats.push(format!("the file system states {stated} bytes, of which {source_bytes} are there"));
    }
    caveats
}

/// What the crate's error means; `failure` is that of the disk, if it was asked for.
fn read_error(why: &Error, failure: Option<ReadError>, what: &str) -> ReadError {
    match why {
        Error::Io { offset, .. } => failure.unwrap_or_else(|| ReadError::corrupt(what, format!("byte {offset} cannot be read"))),
        Error::NotFound | Error::NotASubvolume => ReadError::not_found(what),
        Error::UnsupportedFeature(_) | Error::UnsupportedProfile(_) | Error::UnsupportedChecksum(_) => {
            ReadError::unsupported(what, why.to_string())
        }
        Error::BadSuperblock(SuperblockReason::UnsupportedCsumType | SuperblockReason::UnsupportedIncompat) => {
            ReadError::unsupported(what, why.to_string())
        }
        why => ReadError::corrupt(what, why.to_string()),
    }
}

#[cfg(test)]
mod tests;
