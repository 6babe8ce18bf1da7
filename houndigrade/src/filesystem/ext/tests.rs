//! Images by `mkfs.ext4`, journals by `debugfs`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::filesystem::testing::{blank_image, changed_bytes_end, content, folder_tree, image, run, sample_tree, tree_of};
use crate::source::{Budget, Counted};

/// An image with the sample tree on it, in `folder/image`; `None` if there is no mkfs.
fn make(folder: &Path, options: &[&str]) -> Option<()> {
    let (tree, image) = (folder.join("tree"), folder.join("image"));
    sample_tree(&tree);
    blank_image(&image, 48 << 20);
    let fixed = ["-q", "-F", "-L", "the label", "-U", "01234567-89ab-cdef-0123-456789abcdef", "-d"].map(OsStr::new);
    let args: Vec<&OsStr> = options.iter().map(OsStr::new).chain(fixed).chain([tree.as_os_str(), image.as_os_str()]).collect();
    run("mkfs.ext4", &args).map(drop)
}

fn is_read_whole(kind: &str, options: &[&str]) {
    let folder = TempDir::new().unwrap();
    let Some(()) = make(folder.path(), options) else { return };
    let ext = Ext::open(image(&folder.path().join("image"))).unwrap();
    assert_eq!(ext.kind(), kind);
    assert_eq!(ext.uuid().as_deref(), Some("01234567-89ab-cdef-0123-456789abcdef"));
    assert_eq!(ext.label().as_deref(), Some("the label"));
    assert!(ext.caveats().is_empty(), "{:?}", ext.caveats());
    assert!(tree_of(&ext) == folder_tree(&folder.path().join("tree")));
}

#[test]
fn an_ext4_of_today_is_read_whole() {
    is_read_whole("ext4", &[]);
}

#[test]
fn an_ext4_of_rhel_6_is_read_whole() {
    is_read_whole("ext4", &["-O", "^64bit,^metadata_csum,^flex_bg", "-I", "128"]);
}

#[test]
fn an_ext3_is_read_whole() {
    is_read_whole("ext3", &["-t", "ext3", "-b", "1024"]);
}

#[test]
fn an_ext2_of_the_first_revision_is_read_whole() {
    is_read_whole("ext2", &["-t", "ext2", "-O", "none", "-r", "0"]);
}

#[test]
fn small_blocks_without_preallocation_and_meta_groups_are_read_whole() {
    is_read_whole("ext4", &["-b", "1024", "-g", "1024", "-O", "meta_bg,^resize_inode,mmp"]);
}

/// Writes the block of `/etc/os-release` anew, but into the journal only.
fn write_to_journal(image: &Path, journal_options: &str, write: &str, content: &[u8]) -> Option<()> {
    let (image_name, commands, new) = (image.as_os_str(), image.with_extension("commands"), image.with_extension("new"));
    let blocks = run("debugfs", &[OsStr::new("-R"), OsStr::new("blocks /etc/os-release"), image_name])?;
    let block: u32 = String::from_utf8(blocks).unwrap().trim().parse().unwrap();
    let mut padded = content.to_vec();
    padded.resize(4096, 0);
    fs::write(&new, padded).unwrap();
    let write = write.replace("BLOCK", &block.to_string()).replace("FILE", new.to_str().unwrap());
    fs::write(&commands, format!("jo {journal_options}\n{write}\njc\n")).unwrap();
    run("debugfs", &[OsStr::new("-w"), OsStr::new("-f"), commands.as_os_str(), image_name]).map(drop)
}

/// What `/etc/os-release` holds after the journal.
fn replayed(options: &[&str], journal_options: &str, writes: &[(&str, &[u8])]) -> Option<(Vec<u8>, Vec<String>)> {
    let folder = TempDir::new().unwrap();
    make(folder.path(), options)?;
    let path = folder.path().join("image");
    for (write, content) in writes {
        write_to_journal(&path, journal_options, write, content)?;
    }
    let before = fs::read(&path).unwrap();
    let ext = Ext::open(image(&path)).unwrap();
    let content = content(&ext, b"/etc/os-release");
    assert!(before == fs::read(&path).unwrap());
    Some((content, ext.caveats()))
}

const WRITE: &str = "jw -b BLOCK FILE";

#[test]
fn a_journal_with_checksums_is_replayed() {
    let Some((content, caveats)) = replayed(&["-O", "metadata_csum,64bit"], "-c", &[(WRITE, b"ID=new!\n")]) else { return };
    assert_eq!((content.as_slice(), caveats.len()), (b"ID=new!\n".as_slice(), 0));
}

#[test]
fn a_journal_of_rhel_6_without_checksums_is_replayed() {
    let Some((content, caveats)) = replayed(&["-O", "^64bit,^metadata_csum"], "", &[(WRITE, b"ID=new!\n")]) else { return };
    assert_eq!((content.as_slice(), caveats.len()), (b"ID=new!\n".as_slice(), 0));
}

#[test]
fn a_block_that_begins_like_a_journal_block_is_replayed() {
    let Some((content, _)) = replayed(&[], "", &[(WRITE, b"\xc0\x3b\x39\x98ID=\n")]) else { return };
    assert_eq!(content, b"\xc0\x3b\x39\x98ID=\n");
}

#[test]
fn a_revoked_block_is_not_replayed() {
    let Some((content, _)) = replayed(&[], "", &[(WRITE, b"ID=new!\n"), ("jw -r BLOCK", b"")]) else { return };
    assert_eq!(content, b"ID=rhel\n");
}

#[test]
fn a_transaction_without_its_commit_is_not_replayed() {
    let Some((content, _)) = replayed(&[], "", &[("jw -b BLOCK FILE -c", b"ID=new!\n")]) else { return };
    assert_eq!(content, b"ID=rhel\n");
}

/// A small image for tests that change it.
fn small() -> Option<Vec<u8>> {
    let folder = TempDir::new().unwrap();
    let (tree, image) = (folder.path().join("tree"), folder.path().join("image"));
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=rhel\n").unwrap();
    std::os::unix::fs::symlink("/long".repeat(60), tree.join("etc/link")).unwrap();
    blank_image(&image, 1 << 20);
    let args = ["-q", "-F", "-O", "^has_journal,^metadata_csum", "-d"].map(OsStr::new);
    run("mkfs.ext4", &[&args[..], &[tree.as_os_str(), image.as_os_str()]].concat())?;
    Some(fs::read(image).unwrap())
}

fn with_bytes(image: &[u8], at: usize, bytes: &[u8]) -> Result<Ext> {
    let mut image = image.to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    Ext::open(Arc::new(image))
}

#[test]
fn an_impossible_geometry_is_corrupt_and_allocates_nothing() {
    let Some(image) = small() else { return };
    let superblock = 1024;
    let changes: [(usize, &[u8]); 8] = [
        (0x18, &[7, 0, 0, 0]),
        (0x18, &[0xff; 4]),
        (0x20, &[0; 4]),
        (0x28, &[0; 4]),
        (0x58, &[0; 2]),
        (0x58, &[0xff; 2]),
        (0xfe, &[3, 0]),
        (0x4, &[0; 4]),
    ];
    for (at, bytes) in changes {
        let error = with_bytes(&image, superblock + at, bytes).err();
        assert!(matches!(error, Some(ReadError::Corrupt { .. })), "{at:#x}: {error:?}");
    }
}

#[test]
fn more_blocks_than_the_disk_has_are_a_caveat() {
    let Some(image) = small() else { return };
    let ext = with_bytes(&image, 1024 + 0x4, &[0xff; 4]).unwrap();
    assert_eq!(content(&ext, b"/etc/os-release"), b"ID=rhel\n");
    assert_eq!(ext.caveats().len(), 1);
}

#[test]
fn a_link_with_an_absurd_size_is_refused() {
    let Some(image) = small() else { return };
    let ext = Ext::open(Arc::new(image.clone())).unwrap();
    let inode = ext.find(b"/etc/link").unwrap().number;
    let place = ext.superblock.inode_place(&ext.disk, inode).unwrap() as usize;
    let ext = with_bytes(&image, place + 4, &[0xff; 4]).unwrap();
    assert!(matches!(ext.read_link(b"/etc/link"), Err(ReadError::Limit { .. })));
}

#[test]
fn an_entry_of_length_zero_is_corrupt() {
    let Some(image) = small() else { return };
    let ext = Ext::open(Arc::new(image.clone())).unwrap();
    let (block, _) = ext.map(&ext.find(b"/etc").unwrap()).unwrap().find(0);
    let place = ext.superblock.block_offset(block.unwrap()).unwrap() as usize;
    let ext = with_bytes(&image, place + 4, &[0; 2]).unwrap();
    assert!(matches!(ext.stat(b"/etc/os-release"), Err(ReadError::Corrupt { .. })));
}

#[test]
fn changed_bytes_never_panic() {
    let Some(image) = small() else { return };
    changed_bytes_end(&image, 400, Ext::open);
}

#[test]
fn looking_at_the_same_path_again_is_counted_so_that_a_loop_over_it_ends() {
    let Some(image) = small() else { return };
    let disk = Counted::new(Arc::new(image), "disk", Budget { bytes: 1 << 20, reads: 1000 });
    let ext = Ext::open(Arc::new(disk)).unwrap();
    let ended_by = (0..1000).find_map(|_| ext.stat(b"/etc/os-release").err());
    assert!(matches!(ended_by, Some(ReadError::Limit { .. })), "{ended_by:?}");
}
