//! File systems: the tree that is read is the tree that was put in, and the one that the kernel and grub see, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use std::sync::Arc;

use houndigrade::ReadError;
use houndigrade::filesystem::{Btrfs, Ext, FileKind, FileSystem, Subvolume, Xfs};
use houndigrade::source::{FileSource, Source};
use sha2::{Digest, Sha256};

use crate::build::files::{Files, Node};
use crate::build::filesystems::{self, EXT4_OF_EL6, XFS_OF_EL7, XFS_OF_EL8, XFS_OF_EL9, XFS_OF_EL10, XFS_V4};
use crate::build::image::{Image, MIB};
use crate::build::loops::Mount;
use crate::tools::{self, have};

/// What is at a path: `dir`, `special`, a link's target, or a file's length and hash.
type Tree = BTreeMap<Vec<u8>, String>;

/// Entries of one directory in these tests.
const ENTRIES_MAX: usize = 100_000;

fn file(content: impl FnMut(u64, &mut [u8]), len: u64) -> String {
    let mut content = content;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let part = &mut buffer[..(len - at).min(1 << 20) as usize];
        content(at, part);
        hash.update(&*part);
        at += part.len() as u64;
    }
    format!("{len} {:x}", hash.finalize())
}

fn link(target: &[u8]) -> String {
    format!("-> {}", String::from_utf8_lossy(target))
}

/// The tree as houndigrade reads it.
fn read(filesystem: &dyn FileSystem) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![b"/".to_vec()];
    while let Some(folder) = folders.pop() {
        for entry in filesystem.read_dir(&folder, ENTRIES_MAX).unwrap() {
            let path = [folder.strip_suffix(b"/").unwrap_or(&folder), b"/", &entry.name].concat();
            let stat = filesystem.stat(&path).unwrap();
            let is = match stat.kind {
                FileKind::Directory => {
                    folders.push(path.clone());
                    "dir".to_owned()
                }
                FileKind::Symlink => link(&filesystem.read_link(&path).unwrap()),
                FileKind::Special => "special".to_owned(),
                FileKind::Regular => {
                    let open = filesystem.open(&path).unwrap();
                    file(|at, part| open.read_at(at, part).unwrap(), open.len())
                }
            };
            tree.insert(path, is);
        }
    }
    tree
}

/// The tree as this kernel reads it.
fn kernel(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let kind = meta.file_type();
            let is = if kind.is_dir() {
                folders.push(path.clone());
                "dir".to_owned()
            } else if kind.is_symlink() {
                link(fs::read_link(&path).unwrap().as_os_str().as_bytes())
            } else if kind.is_fifo() || kind.is_char_device() {
                "special".to_owned()
            } else {
                let open = fs::File::open(&path).unwrap();
                file(|at, part| open.read_exact_at(part, at).unwrap(), meta.len())
            };
            tree.insert([b"/", path.strip_prefix(root).unwrap().as_os_str().as_bytes()].concat(), is);
        }
    }
    tree
}

/// The tree that was given to mkfs.
fn given(files: &Files) -> Tree {
    let mut tree = Tree::new();
    for (path, node) in files.iter() {
        let is = match node {
            Node::File(content) => {
                file(|at, part| part.copy_from_slice(&content[at as usize..at as usize + part.len()]), content.len() as u64)
            }
            Node::Link(target) => link(target.as_bytes()),
            Node::Fifo => "special".to_owned(),
            Node::Folder => "dir".to_owned(),
        };
        tree.insert([b"/", path].concat(), is);
        for (slash, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            tree.insert([b"/", &path[..slash]].concat(), "dir".to_owned());
        }
    }
    tree
}

fn open(kind: &str, image: &Image) -> Box<dyn FileSystem> {
    let source: Source = Arc::new(FileSource::open(image.path()).unwrap());
    match kind {
        "ext" => Box::new(Ext::open(source).unwrap()),
        "xfs" => Box::new(Xfs::open(source).unwrap()),
        _ => Box::new(Btrfs::open(source, &Subvolume::Default).unwrap()),
    }
}

/// Files that use every form in which names, links and contents are kept.
fn all_forms() -> Files {
    let mut files = Files::new();
    for len in [0, 1, 60, 156, 1023, 4095, 4096, 4097, 65_536, 3 * MIB as usize + 5] {
        files.file(format!("sizes/{len}"), (0..len).map(|at| (at * 7 + at / 4096) as u8).collect::<Vec<u8>>());
    }
    files.file("zeros", vec![0; 300_000]);
    files.link("links/short", "../sizes/1").link("links/long", &"0123456789/".repeat(80)).link("links/absolute", "/zeros");
    files.file(format!("names/{}", "n".repeat(255)), "long name").file("names/a", "short name");
    files.put("fifo", Node::Fifo).put("empty", Node::Folder);
    for number in 0..1500 {
        files.file(format!("many/entry-number-{number}"), format!("{number}"));
    }
    files.file("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "deep");
    files
}

#[test]
fn ext_of_every_kind_gives_what_was_put_in() {
    if !have(&["mke2fs", "mkfifo"]) {
        return;
    }
    let files = all_forms();
    let variants: [&[&str]; 7] = [
        &["-t", "ext2", "-b", "1024"],
        &["-t", "ext2", "-I", "128", "-O", "^dir_index"],
        &["-t", "ext3", "-I", "128"],
        &EXT4_OF_EL6,
        &["-t", "ext4", "-b", "1024"],
        &["-t", "ext4"],
        &["-t", "ext4", "-b", "4096", "-O", "^extents,^64bit"],
    ];
    for options in variants {
        let image = filesystems::ext(&files, 48 * MIB, options);
        let mut found = read(&*open("ext", &image));
        found.remove(b"/lost+found".as_slice());
        assert_eq!(found, given(&files), "{options:?}");
    }
}

#[test]
fn xfs_of_every_generation_gives_what_was_put_in() {
    if !have(&["mkfs.xfs", "mkfifo"]) {
        return;
    }
    let files = all_forms();
    let small_blocks = ["-b", "size=1024", "-n", "size=4096", "-i", "size=512"];
    let large_sectors = ["-s", "size=4096", "-n", "size=16384"];
    for options in [&XFS_V4[..], &XFS_OF_EL7, &XFS_OF_EL8, &XFS_OF_EL9, &XFS_OF_EL10, &small_blocks, &large_sectors] {
        let image = filesystems::xfs(&files, 48 * MIB, options);
        assert_eq!(read(&*open("xfs", &image)), given(&files), "{options:?}");
    }
}

#[test]
fn btrfs_gives_what_was_put_in() {
    if !have(&["mkfs.btrfs", "mkfifo"]) {
        return;
    }
    let files = all_forms();
    for options in [&[][..], &["-n", "4096"], &["--mixed"]] {
        let image = filesystems::btrfs(&files, 160 * MIB, options);
        assert_eq!(read(&*open("btrfs", &image)), given(&files), "{options:?}");
    }
}

#[test]
fn a_btrfs_with_checksums_that_are_not_read_is_said_to_be_unsupported() {
    if !have(&["mkfs.btrfs"]) {
        return;
    }
    let image = filesystems::btrfs(&Files::new(), 128 * MIB, &["--csum", "xxhash"]);
    let source: Source = Arc::new(FileSource::open(image.path()).unwrap());
    assert!(matches!(Btrfs::open(source, &Subvolume::Default), Err(ReadError::Unsupported { .. })));
}

#[test]
fn names_that_are_not_utf8_are_kept_byte_for_byte() {
    if !have(&["mke2fs", "mkfs.btrfs"]) {
        return;
    }
    let mut files = Files::new();
    files.file(b"\xff\xfe/\x80".as_slice(), "bytes").file("with blank", "").file(b"new\nline".as_slice(), "");
    let mut ext = read(&*open("ext", &filesystems::ext(&files, 8 * MIB, &["-t", "ext4"])));
    ext.remove(b"/lost+found".as_slice());
    assert_eq!(ext, given(&files));
    assert_eq!(read(&*open("btrfs", &filesystems::btrfs(&files, 128 * MIB, &[]))), given(&files));
}

/// Has the kernel write a tree that mkfs could not: files of thousands of pieces, folders that have grown and shrunk, compressed files.
fn written_by_kernel(blank: &Image, options: &str) -> Option<()> {
    let mount = Mount::new(blank, options)?;
    let root = mount.path();
    let pieces = fs::File::create(root.join("pieces")).unwrap();
    for piece in 0..1500u64 {
        pieces.write_all_at(&[piece as u8; 4096], piece * 8192).unwrap();
    }
    fs::write(root.join("prose"), "what can be compressed, is\n".repeat(20_000)).unwrap();
    fs::create_dir_all(root.join("folder/below")).unwrap();
    for number in 0..1500 {
        fs::write(root.join(format!("folder/a-rather-long-name-for-a-file-{number}")), vec![b'x'; number % 50]).unwrap();
    }
    for number in (0..1500).step_by(3) {
        fs::remove_file(root.join(format!("folder/a-rather-long-name-for-a-file-{number}"))).unwrap();
    }
    fs::hard_link(root.join("prose"), root.join("folder/below/again")).unwrap();
    std::os::unix::fs::symlink("x".repeat(700), root.join("long-link")).unwrap();
    Some(())
}

#[test]
fn what_the_kernel_has_written_is_read_as_the_kernel_reads_it() {
    if !have(&["mke2fs", "mkfs.xfs", "mkfs.btrfs", "mount", "losetup"]) {
        return;
    }
    let none = Files::new();
    let ext = |options: &[&str]| filesystems::ext(&none, 128 * MIB, options);
    let xfs = |options: &[&str]| filesystems::xfs(&none, 128 * MIB, options);
    let btrfs = || filesystems::btrfs(&none, 192 * MIB, &[]);
    for (kind, options, image) in [
        ("ext", "rw", ext(&["-t", "ext4"])),
        ("ext", "rw", ext(&["-t", "ext3", "-b", "1024"])),
        ("xfs", "rw", xfs(&XFS_OF_EL7)),
        ("xfs", "rw", xfs(&XFS_OF_EL9)),
        ("xfs", "rw", xfs(&["-b", "size=1024"])),
        ("btrfs", "compress-force=zstd", btrfs()),
        ("btrfs", "compress-force=lzo", btrfs()),
        ("btrfs", "compress-force=zlib", btrfs()),
    ] {
        let Some(()) = written_by_kernel(&image, options) else { return };
        let before = image.sha256();
        let mut found = read(&*open(kind, &image));
        assert_eq!(image.sha256(), before, "{kind} was changed");
        let copy = image.copy();
        let Some(mount) = Mount::new(&copy, "ro") else { return };
        let mut expected = kernel(mount.path());
        found.remove(b"/lost+found".as_slice());
        expected.remove(b"/lost+found".as_slice());
        for (path, is) in &expected {
            assert_eq!(found.get(path), Some(is), "{kind} {options} {}", String::from_utf8_lossy(path));
        }
        assert_eq!(found.len(), expected.len(), "{kind} {options}");
    }
}

#[test]
fn grub_reads_the_same_bytes() {
    if !have(&["grub-fstest", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfifo"]) {
        return;
    }
    let files = all_forms();
    for (kind, image) in [
        ("ext", filesystems::ext(&files, 48 * MIB, &EXT4_OF_EL6)),
        ("xfs", filesystems::xfs(&files, 48 * MIB, &XFS_V4)),
        ("xfs", filesystems::xfs(&files, 48 * MIB, &XFS_OF_EL9)),
        ("btrfs", filesystems::btrfs(&files, 160 * MIB, &[])),
    ] {
        let tree = read(&*open(kind, &image));
        for path in ["/sizes/4097", "/sizes/3145733", "/many/entry-number-1499"] {
            let mut command = tools::command("grub-fstest");
            let content = tools::succeed(command.arg(image.path()).arg("cat").arg(format!("(loop0){path}"))).stdout;
            let said = file(|at, part| part.copy_from_slice(&content[at as usize..at as usize + part.len()]), content.len() as u64);
            assert_eq!(tree[path.as_bytes()], said, "{kind} {path}");
        }
    }
}
