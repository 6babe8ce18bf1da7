//! Images by `mkfs.xfs`.

mod hostile;
mod items;
mod logprint;
mod replayed;
mod writer;

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::filesystem::testing::{Tree, blank_image, changed_bytes_end, folder_tree, run, sample_tree, tree_of, xfs_prototype};

const V4: &[&str] = &["--unsupported", "-m", "crc=0,finobt=0", "-n", "ftype=0"];
const V5: &[&str] = &["--unsupported", "-m", "uuid=01234567-89ab-cdef-0123-456789abcdef"];

/// An image with the sample tree, and the tree; `None` if there is no mkfs.
fn make(options: &[&str]) -> Option<(Vec<u8>, Tree)> {
    let folder = TempDir::new().unwrap();
    let [tree, image, prototype] = ["tree", "image", "prototype"].map(|name| folder.path().join(name));
    sample_tree(&tree);
    fs::write(&prototype, xfs_prototype(&tree)).unwrap();
    blank_image(&image, 48 << 20);
    let fixed = ["-q", "-L", "the-label", "-p"].map(OsStr::new);
    let args: Vec<&OsStr> = options.iter().map(OsStr::new).chain(fixed).chain([prototype.as_os_str(), image.as_os_str()]).collect();
    run("mkfs.xfs", &args)?;
    Some((fs::read(image).unwrap(), folder_tree(&tree)))
}

fn is_read_whole(options: &[&str]) {
    let Some((image, tree)) = make(options) else { return };
    let xfs = Xfs::open(Arc::new(image)).unwrap();
    assert_eq!(xfs.label().as_deref(), Some("the-label"));
    assert!(xfs.caveats().is_empty(), "{:?}", xfs.caveats());
    assert!(tree_of(&xfs) == tree);
}

#[test]
fn version_5_is_read_whole() {
    is_read_whole(V5);
}

#[test]
fn version_4_is_read_whole() {
    is_read_whole(V4);
}

#[test]
fn small_blocks_and_large_sectors_are_read_whole() {
    is_read_whole(&["--unsupported", "-b", "size=1024"]);
    is_read_whole(&["--unsupported", "-s", "size=4096"]);
}

#[test]
fn the_uuid_is_that_of_fstab() {
    let Some((image, _)) = make(V5) else { return };
    let xfs = Xfs::open(Arc::new(image)).unwrap();
    assert_eq!(xfs.uuid().as_deref(), Some("01234567-89ab-cdef-0123-456789abcdef"));
}

/// Takes from the log the mark that the file system was unmounted.
fn make_dirty(image: &mut Vec<u8>) {
    let log = Geometry::read(image).unwrap().log;
    let record = log.start as usize;
    assert_eq!(u32_be(image, record), 0xfeed_babe);
    image[record + 512 + 9] = 0;
}

#[test]
fn a_log_that_cannot_be_replayed_is_a_caveat() {
    let Some((mut image, tree)) = make(V5) else { return };
    make_dirty(&mut image);
    let xfs = Xfs::open(Arc::new(image)).unwrap();
    assert_eq!(xfs.caveats().len(), 1);
    assert!(tree_of(&xfs) == tree);
}

#[test]
fn logs_of_version_4_that_tools_make_are_clean() {
    for options in [
        &["-l", "version=1"][..],
        &["-l", "su=32k"],
        &["-l", "su=256k"],
        &["-s", "size=4096"],
        &["-b", "size=512"],
        &["-b", "size=1024", "-i", "size=512"],
    ] {
        is_read_whole(&[V4, options].concat());
    }
}

#[test]
fn a_block_that_the_log_needs_and_that_cannot_be_read_is_a_trouble_of_the_log() {
    for token in ["io_log", "io_log_replay"] {
        assert!(is_of_log(&Error::Io { token, offset: 0 }));
    }
    assert!(!is_of_log(&Error::Io { token: "io_inode", offset: 0 }));
}

#[test]
fn an_image_cut_off_before_its_log_is_read_as_far_as_it_goes() {
    let Some((mut image, _)) = make(V5) else { return };
    let log = Geometry::read(&image).unwrap().log;
    image.truncate(log.start as usize);
    let xfs = Xfs::open(Arc::new(image)).unwrap();
    assert_eq!(xfs.caveats().len(), 2, "{:?}", xfs.caveats());
    assert_eq!(xfs.read_dir(b"/", 9).unwrap().len(), 2);
    assert!(matches!(xfs.stat(b"/etc/os-release"), Err(ReadError::Corrupt { .. })));
}

#[test]
fn zeros_are_no_file_system() {
    assert!(matches!(Xfs::open(Arc::new(vec![0; 1 << 20])), Err(ReadError::Corrupt { .. })));
    assert!(Xfs::open(Arc::new(Vec::new())).is_err());
}

#[test]
fn changed_bytes_never_panic() {
    // Version 4 has no checksums that would hide what comes after them.
    let Some((image, _)) = make(V4) else { return };
    changed_bytes_end(&image, 100, Xfs::open);
}
