//! ext2, ext3 and ext4, with the journal replayed in memory.
//!
//! Nothing is read but what a path needs, and no number of the disk is believed before it is compared with what there is. The structures
//! are in the submodules; this one walks paths. It must not know what the files mean.

mod directory;
mod inode;
mod journal;
mod map;
mod superblock;

use self::inode::Inode;
use self::journal::{Replay, Replayed};
use self::map::BlockMap;
use self::superblock::Superblock;
use super::{DirEntry, FileKind, FileSystem, RandomFile, Stat, components, shown};
use crate::error::{ReadError, Result};
use crate::limits::SYMLINK_BYTES_MAX;
use crate::source::{Source, checked_range};

/// The inode of `/`.
const ROOT_INODE: u32 = 2;
/// Bytes of a link's target that fit into its inode.
const INLINE_LINK_BYTES_MAX: u64 = 59;

/// An ext file system.
pub struct Ext {
    disk: Replayed,
    superblock: Superblock,
    caveats: Vec<String>,
}

impl Ext {
    /// Opens the file system on `source`.
    ///
    /// A journal that cannot be replayed is a caveat, not an error.
    ///
    /// # Errors
    /// `Corrupt` if its superblock or its root directory make no sense, `Unsupported` for a feature that changes what is read and is not
    /// known, `Device` if the device fails.
    pub fn open(source: Source) -> Result<Self> {
        let source_bytes = source.len();
        let mut disk = Replayed::nothing(source);
        let mut superblock = Superblock::read(&disk)?;
        let mut caveats = Vec::new();
        if superblock.needs_recovery() {
            match recovered(&mut disk, &superblock) {
                Ok((newer, caveat)) => {
                    superblock = newer;
                    caveats.extend(caveat);
                }
                Err(error) => caveats.push(format!("the journal was not replayed, so files may be older than they were: {error}")),
            }
        }
        if superblock.bytes() > u128::from(source_bytes) {
            caveats.push(format!("the file system states {} bytes, of which {source_bytes} are there", superblock.bytes()));
        }
        let ext = Self { disk, superblock, caveats };
        match ext.inode(ROOT_INODE)?.kind() {
            FileKind::Directory => Ok(ext),
            _ => Err(ReadError::corrupt("the ext file system", "its root is no directory")),
        }
    }

    fn inode(&self, number: u32) -> Result<Inode> {
        Inode::read(&self.disk, &self.superblock, number)
    }

    fn map(&self, inode: &Inode) -> Result<BlockMap> {
        BlockMap::of(inode, &self.disk, &self.superblock)
    }

    fn find(&self, path: &[u8]) -> Result<Inode> {
        let mut inode = self.inode(ROOT_INODE)?;
        for name in components(path) {
            if inode.kind() != FileKind::Directory {
                return Err(ReadError::not_found(shown(path)));
            }
            let number = self.lookup(&inode, name)?.ok_or_else(|| ReadError::not_found(shown(path)))?;
            inode = self.inode(number)?;
        }
        Ok(inode)
    }

    fn lookup(&self, directory: &Inode, name: &[u8]) -> Result<Option<u32>> {
        let mut found = None;
        self.each_entry(directory, |entry_name, number| {
            if entry_name == name {
                found = Some(number);
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Calls `visit` with each name and inode number of a directory, until it returns false.
    fn each_entry(&self, inode: &Inode, visit: impl FnMut(&[u8], u32) -> Result<bool>) -> Result<()> {
        inode.check_readable()?;
        directory::each_entry(&self.disk, &self.superblock, inode, &self.map(inode)?, visit)
    }

    fn file(&self, inode: &Inode) -> Result<ExtFile<'_>> {
        inode.check_readable()?;
        Ok(ExtFile { ext: self, map: self.map(inode)?, len: inode.size })
    }
}

/// Replays the journal. It may hold a newer superblock: that of a file system that has just grown. If that makes no sense, nothing of the
/// journal is used.
fn recovered(disk: &mut Replayed, superblock: &Superblock) -> Result<(Superblock, Option<String>)> {
    let mut replay = journal::replay(disk, superblock)?;
    let caveat = replay.caveat.take();
    disk.set(replay);
    let newer = Superblock::read(disk).inspect_err(|_| disk.set(Replay::default()))?;
    Ok((newer, caveat))
}

impl FileSystem for Ext {
    fn kind(&self) -> &'static str {
        self.superblock.kind()
    }

    fn uuid(&self) -> Option<String> {
        self.superblock.uuid.clone()
    }

    fn label(&self) -> Option<String> {
        self.superblock.label.clone()
    }

    fn caveats(&self) -> Vec<String> {
        self.caveats.clone()
    }

    fn stat(&self, path: &[u8]) -> Result<Stat> {
        let inode = self.find(path)?;
        Ok(Stat { kind: inode.kind(), len: inode.size })
    }

    fn read_dir(&self, path: &[u8], entries_max: usize) -> Result<Vec<DirEntry>> {
        let inode = self.find(path)?;
        super::expect_kind(path, inode.kind(), FileKind::Directory)?;
        let mut entries = Vec::new();
        self.each_entry(&inode, |name, _| {
            if let Some(entry) = DirEntry::of(name) {
                if entries.len() >= entries_max {
                    return Err(super::too_many_entries(path, entries_max));
                }
                entries.push(entry);
            }
            Ok(true)
        })?;
        Ok(entries)
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let inode = self.find(path)?;
        super::expect_kind(path, inode.kind(), FileKind::Symlink)?;
        super::check_link_len(path, inode.size)?;
        if inode.size <= INLINE_LINK_BYTES_MAX {
            inode.check_readable()?;
            return Ok(inode.block.iter().copied().take(inode.size as usize).collect());
        }
        let mut target = vec![0; (inode.size as usize).min(SYMLINK_BYTES_MAX)];
        self.file(&inode)?.read_at(0, &mut target)?;
        Ok(target)
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        let inode = self.find(path)?;
        super::expect_kind(path, inode.kind(), FileKind::Regular)?;
        Ok(Box::new(self.file(&inode)?))
    }
}

/// A file whose pieces are known.
struct ExtFile<'a> {
    ext: &'a Ext,
    map: BlockMap,
    len: u64,
}

impl RandomFile for ExtFile<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        checked_range(self.len, offset, buf.len())?;
        self.map.read(&self.ext.disk, &self.ext.superblock, offset, buf)
    }
}

#[cfg(test)]
mod tests;
