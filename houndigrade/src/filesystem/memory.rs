//! A file system made of what a test says. It holds to the contract of [`FileSystem`], so what is shown with it holds for real ones.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::{DirEntry, FileKind, FileSystem, RandomFile, Stat, components, expect_kind, shown, too_many_entries};
use crate::error::{ReadError, Result};

#[derive(Clone, Debug)]
enum Node {
    Directory(BTreeMap<Vec<u8>, Node>),
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Special,
}

/// A file system in memory.
#[derive(Debug)]
pub struct Memory {
    root: Node,
    uuid: Option<String>,
    label: Option<String>,
    torn: Vec<Vec<u8>>,
    calls: Cell<u64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { root: Node::Directory(BTreeMap::new()), uuid: None, label: None, torn: Vec::new(), calls: Cell::new(0) }
    }
}

impl Memory {
    /// One without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a UUID.
    #[must_use]
    pub fn with_uuid(mut self, uuid: &str) -> Self {
        self.uuid = Some(uuid.to_owned());
        self
    }

    /// With a label.
    #[must_use]
    pub fn with_label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// With a file; directories above it are made.
    #[must_use]
    pub fn with_file(self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> Self {
        self.with(path.as_ref(), Node::File(content.into()))
    }

    /// With an empty directory.
    #[must_use]
    pub fn with_dir(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path.as_ref(), Node::Directory(BTreeMap::new()))
    }

    /// With a symbolic link.
    #[must_use]
    pub fn with_link(self, path: impl AsRef<[u8]>, target: impl Into<Vec<u8>>) -> Self {
        self.with(path.as_ref(), Node::Symlink(target.into()))
    }

    /// With a FIFO.
    #[must_use]
    pub fn with_fifo(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path.as_ref(), Node::Special)
    }

    /// Torn at a path: what is there and below cannot be read.
    #[must_use]
    pub fn with_torn(mut self, path: impl AsRef<[u8]>) -> Self {
        self.torn.push(path.as_ref().to_vec());
        self
    }

    /// How often it was asked for something.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// Puts a node at a path; what is no directory on the way there becomes one.
    fn with(mut self, path: &[u8], node: Node) -> Self {
        let mut at = &mut self.root;
        for name in components(path) {
            if !matches!(at, Node::Directory(_)) {
                *at = Node::Directory(BTreeMap::new());
            }
            if let Node::Directory(entries) = at {
                at = entries.entry(name.to_vec()).or_insert_with(|| Node::Directory(BTreeMap::new()));
            }
        }
        *at = node;
        self
    }

    fn find(&self, path: &[u8]) -> Result<&Node> {
        self.calls.set(self.calls.get() + 1);
        if self.torn.iter().any(|torn| path.starts_with(torn)) {
            return Err(ReadError::corrupt(shown(path), "it is torn"));
        }
        components(path).try_fold(&self.root, |node, name| match node {
            Node::Directory(entries) => entries.get(name).ok_or_else(|| ReadError::not_found(shown(path))),
            _ => Err(ReadError::not_found(shown(path))),
        })
    }
}

impl Node {
    fn stat(&self) -> Stat {
        match self {
            Self::Directory(entries) => Stat { kind: FileKind::Directory, len: entries.len() as u64 },
            Self::File(content) => Stat { kind: FileKind::Regular, len: content.len() as u64 },
            Self::Symlink(target) => Stat { kind: FileKind::Symlink, len: target.len() as u64 },
            Self::Special => Stat { kind: FileKind::Special, len: 0 },
        }
    }

    fn refuse<T>(&self, path: &[u8], expected: FileKind) -> Result<T> {
        expect_kind(path, self.stat().kind, expected)?;
        Err(ReadError::not_found(shown(path)))
    }
}

impl FileSystem for Memory {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn uuid(&self) -> Option<String> {
        self.uuid.clone()
    }

    fn label(&self) -> Option<String> {
        self.label.clone()
    }

    fn caveats(&self) -> Vec<String> {
        Vec::new()
    }

    fn stat(&self, path: &[u8]) -> Result<Stat> {
        self.find(path).map(Node::stat)
    }

    fn read_dir(&self, path: &[u8], entries_max: usize) -> Result<Vec<DirEntry>> {
        match self.find(path)? {
            Node::Directory(entries) if entries.len() > entries_max => Err(too_many_entries(path, entries_max)),
            Node::Directory(entries) => Ok(entries.keys().filter_map(|name| DirEntry::of(name)).collect()),
            other => other.refuse(path, FileKind::Directory),
        }
    }

    fn read_link(&self, path: &[u8]) -> Result<Vec<u8>> {
        match self.find(path)? {
            Node::Symlink(target) => {
                super::check_link_len(path, target.len() as u64)?;
                Ok(target.clone())
            }
            other => other.refuse(path, FileKind::Symlink),
        }
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        match self.find(path)? {
            Node::File(content) => Ok(Box::new(content.clone())),
            other => other.refuse(path, FileKind::Regular),
        }
    }
}
