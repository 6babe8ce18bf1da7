//! The files of a root file system, before they are in any file system.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::tools;

/// What is at a path. Folders come into being with what is in them.
#[derive(Clone, Debug)]
pub enum Node {
    /// A regular file.
    File(Vec<u8>),
    /// A symbolic link.
    Link(String),
    /// A FIFO.
    Fifo,
    /// A folder, also if nothing is in it.
    Folder,
}

/// Files by path, relative and without `..`.
#[derive(Clone, Debug, Default)]
pub struct Files(BTreeMap<Vec<u8>, Node>);

impl Files {
    /// No files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts something at a path, in place of what was there.
    pub fn put(&mut self, path: impl AsRef<[u8]>, node: Node) -> &mut Self {
        self.0.insert(path.as_ref().to_vec(), node);
        self
    }

    /// Puts a regular file at a path.
    pub fn file(&mut self, path: impl AsRef<[u8]>, content: impl Into<Vec<u8>>) -> &mut Self {
        self.put(path, Node::File(content.into()))
    }

    /// Puts a symbolic link at a path.
    pub fn link(&mut self, path: impl AsRef<[u8]>, target: &str) -> &mut Self {
        self.put(path, Node::Link(target.to_owned()))
    }

    /// Takes away what is at a path.
    pub fn remove(&mut self, path: &str) -> &mut Self {
        self.0.remove(path.as_bytes());
        self
    }

    /// Moves all that is below a folder into files of their own, the folder's name taken off.
    pub fn split_off(&mut self, folder: &str) -> Self {
        let prefix = format!("{folder}/").into_bytes();
        let below: Vec<_> = self.0.keys().filter(|path| path.starts_with(&prefix)).cloned().collect();
        Self(below.into_iter().map(|path| (path[prefix.len()..].to_vec(), self.0.remove(&path).unwrap())).collect())
    }

    /// The same files below a folder.
    pub fn below(&self, folder: &str) -> Self {
        let prefix = format!("{folder}/").into_bytes();
        Self(self.0.iter().map(|(path, node)| ([prefix.as_slice(), path].concat(), node.clone())).collect())
    }

    /// Paths with what is there, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.0.iter().map(|(path, node)| (path.as_slice(), node))
    }

    /// Makes the files in a folder of this machine.
    pub fn write_to(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (path, node) in &self.0 {
            let to = folder.join(OsStr::from_bytes(path));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            match node {
                Node::File(content) => std::fs::write(to, content).unwrap(),
                Node::Link(target) => std::os::unix::fs::symlink(target, to).unwrap(),
                Node::Fifo => drop(tools::run("mkfifo", [to])),
                Node::Folder => std::fs::create_dir_all(to).unwrap(),
            }
        }
    }
}
