//! Images that tests make with the tools that make them everywhere, and the tree that must be found on them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{FileKind, FileSystem};
use crate::error::Result;
use crate::source::{BlockSource, Source, checked_range};

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

/// A disk with some bytes changed.
struct Changed {
    image: Source,
    bytes: BTreeMap<u64, u8>,
}

impl BlockSource for Changed {
    fn len(&self) -> u64 {
        self.image.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        checked_range(self.len(), offset, buf.len())?;
        self.image.read_at(offset, buf)?;
        for (at, byte) in self.bytes.range(offset..offset + buf.len() as u64) {
            buf[(at - offset) as usize] = *byte;
        }
        Ok(())
    }
}

/// Opens an image with bytes changed where there is something to change, and goes through what there is: all that is asked is that it ends.
pub(crate) fn changed_bytes_end<F: FileSystem>(image: &[u8], cases: u32, open: impl Fn(Source) -> Result<F>) {
    // Of each block only the beginning, where structures have their headers, so that file contents do not draw all changes.
    let used: Vec<u64> = (0..image.len()).filter(|at| at % 512 < 192 && image[*at] != 0).map(|at| at as u64).collect();
    let image: Source = Arc::new(image.to_vec());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), 0_u64..8, any::<u8>()), 1..12);
    TestRunner::new(ProptestConfig::with_cases(cases))
        .run(&changes, |changes| {
            let bytes = changes.into_iter().map(|(index, further, byte)| (used[index.index(used.len())] + further, byte)).collect();
            if let Ok(system) = open(Arc::new(Changed { image: image.clone(), bytes })) {
                walk(&system);
            }
            Ok(())
        })
        .unwrap();
}

pub(crate) fn walk(system: &dyn FileSystem) {
    let mut folders = vec![b"/".to_vec()];
    for _ in 0..40 {
        let Some(folder) = folders.pop() else { return };
        for entry in system.read_dir(&folder, 1000).unwrap_or_default().into_iter().take(40) {
            let path = [folder.strip_suffix(b"/").unwrap_or(&folder), b"/", &entry.name].concat();
            let _ = system.read_link(&path);
            if let Ok(file) = system.open(&path) {
                let mut bytes = vec![0; file.len().min(1 << 16) as usize];
                let _ = file.read_at(0, &mut bytes);
                let _ = file.read_at(file.len() - bytes.len() as u64, &mut bytes);
            }
            folders.push(path);
        }
    }
}
