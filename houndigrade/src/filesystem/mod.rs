//! File systems, all seen through one trait. Paths given to it hold no symbolic links: [`crate::tree`] has resolved them, so no file
//! system ever follows one.

mod btrfs;
mod bytes;
mod cache;
mod ext;
pub mod memory;
mod reader;
#[cfg(test)]
pub(crate) mod testing;
mod xfs;

use std::rc::Rc;

use crate::error::{ReadError, Result};
use crate::limits::{NAME_BYTES_MAX, SYMLINK_BYTES_MAX};
use crate::volumes::{Contents, Volume};

pub use btrfs::{Btrfs, Subvolume};
pub use ext::Ext;
pub use xfs::Xfs;

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file: the only kind whose content is read.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device node: never opened.
    Special,
}

/// What is known of a path without reading its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub kind: FileKind,
    /// Length in bytes, as its inode states it: a claim of the disk, not to be trusted with an allocation.
    pub len: u64,
}

/// One entry of a directory, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name's bytes: no slash, not empty, often but not always UTF-8.
    pub name: Vec<u8>,
}

impl DirEntry {
    /// An entry of that name; `None` for `.`, `..` and what can be no name.
    fn of(name: &[u8]) -> Option<Self> {
        let possible = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.iter().any(|byte| matches!(byte, b'/' | 0));
        (possible && name != b"." && name != b"..").then(|| Self { name: name.to_vec() })
    }
}

/// A regular file's content, read at any place.
pub trait RandomFile {
    /// Length in bytes, as the inode states it.
    fn len(&self) -> u64;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills all of `buf` from `offset` (in bytes) on.
    ///
    /// # Errors
    /// `Corrupt` if a byte at or behind the end is asked for or the file system contradicts itself, `Device` if the device fails.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()>;
}

impl RandomFile for Vec<u8> {
    fn len(&self) -> u64 {
        crate::source::BlockSource::len(self)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        crate::source::BlockSource::read_at(self, offset, buf)
    }
}

/// A file system on one volume.
///
/// Paths are absolute within the file system (`/etc/os-release`), normalised (no `.`, `..`, `//`), and every component but the last is a
/// directory, not a link.
pub trait FileSystem {
    /// What it is, for people: `ext4`, `xfs`, `btrfs`.
    fn kind(&self) -> &'static str;

    /// Its UUID in lower-case hyphenated form, as fstab names it.
    fn uuid(&self) -> Option<String>;

    /// Its label, as fstab names it.
    fn label(&self) -> Option<String>;

    /// What could not be taken into account, such as a journal that cannot be replayed: what is read may be older than it was. Empty if all
    /// was.
    fn caveats(&self) -> Vec<String>;

    /// What is at a path; a link is not followed.
    fn stat(&self, path: &[u8]) -> Result<Stat>;

    /// The entries of a directory; `Limit` if there are more than `entries_max`.
    fn read_dir(&self, path: &[u8], entries_max: usize) -> Result<Vec<DirEntry>>;

    /// Where a symbolic link leads, at most [`crate::limits::SYMLINK_BYTES_MAX`] bytes.
    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>>;

    /// Opens a regular file.
    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>>;
}

/// Opens the file system on a volume; of btrfs, the subvolume that a plain mount shows.
///
/// # Errors
/// As [`open_subvolume`].
pub fn open(volume: &Volume) -> Result<Rc<dyn FileSystem>> {
    open_subvolume(volume, &Subvolume::Default)
}

/// Opens the file system on a volume; `subvolume` is heeded if it is btrfs.
///
/// # Errors
/// `Unsupported` if the volume holds nothing with files that are read, else what the file system's own `open` says.
pub fn open_subvolume(volume: &Volume, subvolume: &Subvolume) -> Result<Rc<dyn FileSystem>> {
    let source = volume.source.clone();
    Ok(match &volume.contents {
        Contents::Ext => Rc::new(Ext::open(source)?),
        Contents::Xfs => Rc::new(Xfs::open(source)?),
        Contents::Btrfs => Rc::new(Btrfs::open(source, subvolume)?),
        contents => return Err(ReadError::unsupported(&volume.name, format!("it holds {}", describe(contents)))),
    })
}

/// What a volume holds, for people.
pub fn describe(contents: &Contents) -> String {
    match contents {
        Contents::Ext => "ext".to_owned(),
        Contents::Xfs => "xfs".to_owned(),
        Contents::Btrfs => "btrfs".to_owned(),
        Contents::Known(name) => (*name).to_owned(),
        Contents::Luks { version } => format!("LUKS version {version}"),
        Contents::Member(of) => of.clone(),
        Contents::Blank => "zeros".to_owned(),
        Contents::Unknown => "nothing that is known".to_owned(),
    }
}

/// The names of a path, without empty ones.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// A path for people.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The kind that the bits of a Unix mode state.
fn kind_of_mode(mode: u32) -> FileKind {
    match mode & 0o17_0000 {
        0o10_0000 => FileKind::Regular,
        0o04_0000 => FileKind::Directory,
        0o12_0000 => FileKind::Symlink,
        _ => FileKind::Special,
    }
}

impl FileKind {
    /// What it is, with its article.
    pub(crate) fn with_article(self) -> &'static str {
        match self {
            Self::Regular => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Special => "a FIFO, socket or device",
        }
    }
}

/// Refuses what is not of the kind that was asked for.
pub(crate) fn expect_kind(path: &[u8], is: FileKind, expected: FileKind) -> Result<()> {
    if is == expected {
        return Ok(());
    }
    Err(ReadError::WrongKind { what: shown(path), is: is.with_article().to_owned() })
}

/// Refuses a link whose target is longer than Linux allows.
fn check_link_len(path: &[u8], len: u64) -> Result<()> {
    if len <= SYMLINK_BYTES_MAX as u64 {
        return Ok(());
    }
    Err(ReadError::Limit { what: format!("the target of {}", shown(path)), limit: SYMLINK_BYTES_MAX as u64, unit: "bytes" })
}

fn too_many_entries(path: &[u8], entries_max: usize) -> ReadError {
    ReadError::Limit { what: shown(path), limit: entries_max as u64, unit: "entries" }
}
