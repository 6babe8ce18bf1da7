//! Paths, resolved within what was mounted and never out of it. This is the only place where a symbolic link is followed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::Files;
use crate::error::{ReadError, Result};
use crate::filesystem::{FileKind, FileSystem, RandomFile, Stat, expect_kind, shown};
use crate::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, PATH_COMPONENTS_MAX, PATH_DEPTH_MAX, RESOLVED_MAX, SYMLINKS_MAX};

/// A file system, or a directory of one, at a place of a tree.
struct Mount {
    /// Where, without links: the names from the root on.
    point: Vec<Vec<u8>>,
    system: Rc<dyn FileSystem>,
    /// The directory of the file system that is seen there; empty for its root.
    base: Vec<u8>,
}

/// File systems joined to one tree.
pub struct Tree {
    /// The root is first.
    mounts: Vec<Mount>,
    /// What was found at paths without links, if it was a directory or a link: they are passed again and again.
    passed: RefCell<HashMap<Vec<u8>, Passed>>,
}

#[derive(Clone)]
enum Passed {
    Directory(Stat),
    Link(Rc<[u8]>),
}

/// What a path led to.
struct Found<'a> {
    /// Its names from the root on, without links.
    names: Vec<Vec<u8>>,
    system: &'a dyn FileSystem,
    /// Where it is in that file system.
    path: Vec<u8>,
    stat: Stat,
}

impl Tree {
    /// A tree whose root is the directory `base` of a file system; `base` has no links and is empty for the whole.
    pub fn new(system: Rc<dyn FileSystem>, base: &[u8]) -> Self {
        let root = Mount { point: Vec::new(), system, base: base.to_vec() };
        Self { mounts: vec![root], passed: RefCell::default() }
    }

    /// Mounts the directory `base` of a file system. Links in `point` are followed, as mount(8) does; it need not exist.
    ///
    /// # Errors
    /// What hinders the links of `point` from being followed, other than that it does not exist.
    pub fn mount(&mut self, point: &[u8], system: Rc<dyn FileSystem>, base: &[u8]) -> Result<()> {
        let point = match self.find(point) {
            Ok(found) => found.names,
            Err(ReadError::NotFound { .. }) => names(point).filter(|name| !matches!(*name, b"." | b"..")).map(<[u8]>::to_vec).collect(),
            Err(error) => return Err(error),
        };
        self.passed.borrow_mut().clear();
        self.mounts.push(Mount { point, system, base: base.to_vec() });
        Ok(())
    }

    /// A directory's path without links.
    ///
    /// # Errors
    /// `WrongKind` if it is none, else as [`Files::stat`].
    pub fn directory(&self, path: &[u8]) -> Result<Vec<u8>> {
        let found = self.find(path)?;
        expect_kind(path, found.stat.kind, FileKind::Directory)?;
        Ok(joined(&[], &found.names))
    }

    fn find(&self, path: &[u8]) -> Result<Found<'_>> {
        let mut walk = Walk::new(path)?;
        let mut stat = self.stat_at(&walk.at)?;
        while let Some(name) = walk.next()? {
            if stat.kind != FileKind::Directory {
                return Err(ReadError::not_found(shown(path)));
            }
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    walk.at.pop();
                    stat = self.stat_at(&walk.at)?;
                    continue;
                }
                _ => walk.enter(name)?,
            }
            stat = match self.pass(&walk.at).map_err(|error| named(error, path))? {
                (stat, None) => stat,
                (_, Some(target)) => {
                    walk.follow(&target)?;
                    self.stat_at(&walk.at)?
                }
            };
        }
        let (mount, inner) = self.place(&walk.at);
        Ok(Found { names: walk.at, system: mount.system.as_ref(), path: inner, stat })
    }

    /// What is at a path without links, which is a directory unless it is the last.
    fn stat_at(&self, at: &[Vec<u8>]) -> Result<Stat> {
        self.pass(at).map(|(stat, _)| stat)
    }

    /// What is at a path without links before its last name, and where it leads if it is a link.
    fn pass(&self, at: &[Vec<u8>]) -> Result<(Stat, Option<Rc<[u8]>>)> {
        let key = joined(&[], at);
        match self.passed.borrow().get(&key) {
            Some(Passed::Directory(stat)) => return Ok((*stat, None)),
            Some(Passed::Link(target)) => {
                let stat = Stat { kind: FileKind::Symlink, len: target.len() as u64 };
                return Ok((stat, Some(Rc::clone(target))));
            }
            None => {}
        }
        let (mount, inner) = self.place(at);
        let stat = mount.system.stat(&inner)?;
        match stat.kind {
            FileKind::Directory => self.remember(key, Passed::Directory(stat)),
            FileKind::Symlink => {
                let target: Rc<[u8]> = mount.system.read_link(&inner)?.into();
                self.remember(key, Passed::Link(Rc::clone(&target)));
                return Ok((stat, Some(target)));
            }
            FileKind::Regular | FileKind::Special => {}
        }
        Ok((stat, None))
    }

    fn remember(&self, key: Vec<u8>, passed: Passed) {
        let mut all = self.passed.borrow_mut();
        if all.len() >= RESOLVED_MAX {
            all.clear();
        }
        all.insert(key, passed);
    }

    /// The file system that a path without links lies on, and its path there. Of several mounted at the same place, the last is seen.
    fn place(&self, at: &[Vec<u8>]) -> (&Mount, Vec<u8>) {
        let over = |mount: &&Mount| at.starts_with(&mount.point);
        let mount = self.mounts.iter().filter(over).max_by_key(|mount| mount.point.len()).unwrap_or(&self.mounts[0]);
        (mount, joined(&mount.base, &at[mount.point.len()..]))
    }
}

impl Files for Tree {
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        self.find(path).map(|found| found.stat)
    }

    fn list(&self, path: &[u8], entries_max: usize) -> Result<Vec<Vec<u8>>> {
        let found = self.find(path)?;
        expect_kind(path, found.stat.kind, FileKind::Directory)?;
        let entries = found.system.read_dir(&found.path, entries_max)?;
        let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        let found = self.find(path)?;
        expect_kind(path, found.stat.kind, FileKind::Regular)?;
        found.system.open(&found.path)
    }
}

/// A walk along a path.
struct Walk<'a> {
    path: &'a [u8],
    /// Where it is: names from the root on, without links.
    at: Vec<Vec<u8>>,
    /// The names that are still to be passed, the next one last.
    ahead: Vec<Vec<u8>>,
    links: usize,
    steps: usize,
}

impl<'a> Walk<'a> {
    fn new(path: &'a [u8]) -> Result<Self> {
        let mut walk = Self { path, at: Vec::new(), ahead: Vec::new(), links: 0, steps: 0 };
        walk.put(path)?;
        Ok(walk)
    }

    fn put(&mut self, path: &[u8]) -> Result<()> {
        if path.len() > PATH_BYTES_MAX {
            return Err(self.limit(PATH_BYTES_MAX, "bytes"));
        }
        if path.ends_with(b"/") {
            // What a slash follows must be a directory.
            self.ahead.push(b".".to_vec());
        }
        let names: Vec<_> = names(path).map(<[u8]>::to_vec).collect();
        self.ahead.extend(names.into_iter().rev());
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.steps += 1;
        if self.steps > PATH_COMPONENTS_MAX {
            return Err(self.limit(PATH_COMPONENTS_MAX, "components"));
        }
        match self.ahead.pop() {
            Some(name) if name.len() > NAME_BYTES_MAX => Err(ReadError::not_found(shown(self.path))),
            name => Ok(name),
        }
    }

    fn enter(&mut self, name: Vec<u8>) -> Result<()> {
        if self.at.len() >= PATH_DEPTH_MAX {
            return Err(self.limit(PATH_DEPTH_MAX, "names below each other"));
        }
        self.at.push(name);
        Ok(())
    }

    /// Goes from the link that it is at to where the link leads.
    fn follow(&mut self, target: &[u8]) -> Result<()> {
        self.links += 1;
        if self.links > SYMLINKS_MAX {
            let is = format!("a chain of more than {SYMLINKS_MAX} symbolic links");
            return Err(ReadError::WrongKind { what: shown(self.path), is });
        }
        if target.is_empty() {
            return Err(ReadError::not_found(shown(self.path)));
        }
        self.at.pop();
        if target.starts_with(b"/") {
            self.at.clear();
        }
        self.put(target)
    }

    fn limit(&self, limit: usize, unit: &'static str) -> ReadError {
        ReadError::Limit { what: shown(self.path), limit: limit as u64, unit }
    }
}

/// The names of a path.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

fn joined(base: &[u8], names: &[Vec<u8>]) -> Vec<u8> {
    let mut path = base.to_vec();
    for name in names {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// The error with the path that was asked for, where it is only that something on the way does not exist.
fn named(error: ReadError, path: &[u8]) -> ReadError {
    match error {
        ReadError::NotFound { .. } => ReadError::not_found(shown(path)),
        error => error,
    }
}

#[cfg(test)]
mod tests;
