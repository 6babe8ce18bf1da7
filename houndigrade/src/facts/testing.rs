//! Files in memory, for tests.

use std::collections::BTreeMap;

use crate::error::{ReadError, Result};
use crate::filesystem::{FileKind, RandomFile, Stat};
use crate::tree::Files;

#[derive(Clone)]
enum Node {
    File(Vec<u8>),
    Fails(ReadError),
}

/// Files by path; a directory is what something lies below.
#[derive(Clone, Default)]
pub(crate) struct MemoryFiles {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl MemoryFiles {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        files.iter().fold(Self::default(), |all, (path, text)| all.with(path, text.as_bytes()))
    }

    pub(crate) fn with(mut self, path: &str, content: &[u8]) -> Self {
        self.nodes.insert(path.as_bytes().to_vec(), Node::File(content.to_vec()));
        self
    }

    /// Something that cannot be read.
    pub(crate) fn failing(mut self, path: &str, error: ReadError) -> Self {
        self.nodes.insert(path.as_bytes().to_vec(), Node::Fails(error));
        self
    }

    /// What is there but is no regular file.
    pub(crate) fn odd(self, path: &str, is: &str) -> Self {
        self.failing(path, ReadError::WrongKind { what: path.to_owned(), is: is.to_owned() })
    }

    /// The first component below a directory of everything that lies in it.
    fn below(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        let prefix = super::joined(directory, b"");
        let rests = self.nodes.keys().filter_map(|path| path.strip_prefix(prefix.as_slice()));
        let mut names: Vec<Vec<u8>> = rests.filter_map(|rest| rest.split(|byte| *byte == b'/').next()).map(<[u8]>::to_vec).collect();
        names.dedup();
        names
    }
}

impl Files for MemoryFiles {
    fn stat(&self, path: &[u8]) -> Result<Stat> {
        match self.nodes.get(path) {
            Some(Node::File(content)) => Ok(Stat { kind: FileKind::Regular, len: content.len() as u64 }),
            Some(Node::Fails(error)) => Err(error.clone()),
            None if self.below(path).is_empty() => Err(ReadError::not_found(super::shown(path))),
            None => Ok(Stat { kind: FileKind::Directory, len: 0 }),
        }
    }

    fn list(&self, path: &[u8], entries_max: usize) -> Result<Vec<Vec<u8>>> {
        if let Some(Node::Fails(error)) = self.nodes.get(path) {
            return Err(error.clone());
        }
        let names = self.below(path);
        match names.len() {
            0 => Err(ReadError::not_found(super::shown(path))),
            count if count > entries_max => Err(ReadError::Limit { what: super::shown(path), limit: entries_max as u64, unit: "entries" }),
            _ => Ok(names),
        }
    }

    fn open<'a>(&'a self, path: &[u8]) -> Result<Box<dyn RandomFile + 'a>> {
        match self.nodes.get(path) {
            Some(Node::File(content)) => Ok(Box::new(content.clone())),
            Some(Node::Fails(error)) => Err(error.clone()),
            None if self.below(path).is_empty() => Err(ReadError::not_found(super::shown(path))),
            None => Err(ReadError::WrongKind { what: super::shown(path), is: "a directory".to_owned() }),
        }
    }
}
