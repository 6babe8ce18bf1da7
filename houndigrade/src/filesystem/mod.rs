//! File systems, all seen through one trait. Paths given to it hold no symbolic links: [`crate::tree`] has resolved them, so no file
//! system ever follows one.

use crate::error::Result;

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
