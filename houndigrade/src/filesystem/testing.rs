//! Images that tests make with the tools that make them everywhere, and the tree that must be found on them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::{FileKind, FileSystem};
use crate::source::Source;

/// Runs a tool; `None`, said loudly, if it is not installed.
pub(crate) fn run(tool: &str, args: &[&OsStr]) -> Option<Vec<u8>> {
    match Command::new(tool).args(args).stdin(Stdio::null()).output() {
        Ok(output) => {
            assert!(output.status.success(), "{tool} failed: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(error) => {
            eprintln!("SKIPPED: {tool} cannot be run ({error}); install e2fsprogs, xfsprogs and btrfs-progs");
            None
        }
    }
}

/// An image file of `bytes` zeros.
pub(crate) fn blank_image(path: &Path, bytes: u64) {
    fs::File::create(path).unwrap().set_len(bytes).unwrap();
}

/// An image file's bytes.
pub(crate) fn image(path: &Path) -> Source {
    Arc::new(fs::read(path).unwrap())
}

/// A tree with what systems have: deep and large directories, links long and short, names that are no UTF-8, sparse and large files.
pub(crate) fn sample_tree(root: &Path) {
    fs::create_dir_all(root.join("etc/pki/product")).unwrap();
    fs::create_dir_all(root.join("usr/lib/rpm/many")).unwrap();
    fs::write(root.join("etc/empty"), "").unwrap();
    fs::write(root.join("etc/os-release"), "ID=rhel\n").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"etc/\xff\xfe-name")), "odd").unwrap();
    for i in 0..300 {
        fs::write(root.join(format!("usr/lib/rpm/many/entry-with-a-long-name-{i:04}")), format!("{i}")).unwrap();
    }
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[..1].to_vec()).collect();
    fs::write(root.join("usr/lib/rpm/large"), &large).unwrap();
    let sparse = fs::File::create(root.join("usr/lib/rpm/sparse")).unwrap();
    sparse.set_len(5_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"in the middle", 2_500_000).unwrap();
    std::os::unix::fs::symlink("../usr/lib/os-release", root.join("etc/short-link")).unwrap();
    std::os::unix::fs::symlink("/long".repeat(60), root.join("etc/long-link")).unwrap();
    run("mkfifo", &[root.join("etc/fifo").as_os_str()]);
}

/// What a tree holds, by path: a link's target, a file's bytes.
pub(crate) type Tree = BTreeMap<Vec<u8>, (FileKind, Vec<u8>)>;

/// The tree that is in a folder of this machine.
pub(crate) fn folder_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let node = if kind.is_dir() {
                folders.push(path.clone());
                (FileKind::Directory, Vec::new())
            } else if kind.is_symlink() {
                (FileKind::Symlink, fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
            } else if kind.is_file() {
                (FileKind::Regular, fs::read(&path).unwrap())
            } else {
                (FileKind::Special, Vec::new())
            };
            let inner = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            tree.insert([b"/", inner].concat(), node);
        }
    }
    tree
}

/// The tree that a file system shows, read in pieces that fit no block.
pub(crate) fn tree_of(system: &dyn FileSystem) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![b"/".to_vec()];
    while let Some(folder) = folders.pop() {
        for entry in system.read_dir(&folder, 100_000).unwrap() {
            let path = [folder.strip_suffix(b"/").unwrap_or(&folder), b"/", &entry.name].concat();
            let kind = system.stat(&path).unwrap().kind;
            let content = match kind {
                FileKind::Directory => {
                    folders.push(path.clone());
                    Vec::new()
                }
                FileKind::Symlink => system.read_link(&path).unwrap(),
                FileKind::Regular => content(system, &path),
                FileKind::Special => Vec::new(),
            };
            tree.insert(path, (kind, content));
        }
    }
    tree.remove(b"/lost+found".as_slice());
    tree
}

/// A file's content.
pub(crate) fn content(system: &dyn FileSystem, path: &[u8]) -> Vec<u8> {
    let file = system.open(path).unwrap();
    let mut content = vec![0xa5; file.len() as usize];
    for (i, piece) in content.chunks_mut(77_777).enumerate() {
        file.read_at(i as u64 * 77_777, piece).unwrap();
    }
    content
}

/// The sample tree as mkfs.xfs takes it: a list of what to put where.
pub(crate) fn xfs_prototype(root: &Path) -> Vec<u8> {
    fn folder(path: &Path, list: &mut Vec<u8>) {
        for entry in fs::read_dir(path).unwrap() {
            let (name, path) = (entry.as_ref().unwrap().file_name(), entry.as_ref().unwrap().path());
            let kind = path.symlink_metadata().unwrap().file_type();
            list.extend_from_slice(name.as_bytes());
            if kind.is_dir() {
                list.extend_from_slice(b" d--755 0 0\n");
                folder(&path, list);
                list.extend_from_slice(b"$");
            } else if kind.is_symlink() {
                list.extend_from_slice(b" l--777 0 0 ");
                list.extend_from_slice(fs::read_link(&path).unwrap().as_os_str().as_bytes());
            } else if kind.is_file() {
                list.extend_from_slice(b" ---644 0 0 ");
                list.extend_from_slice(path.as_os_str().as_bytes());
            } else {
                list.extend_from_slice(b" p--644 0 0");
            }
            list.push(b'\n');
        }
    }
    let mut list = b"-\n0 0\nd--755 0 0\n".to_vec();
    folder(root, &mut list);
    list.extend_from_slice(b"$\n");
    list
}
