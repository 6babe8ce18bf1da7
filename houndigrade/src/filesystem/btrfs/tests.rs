//! Images by `mkfs.btrfs`.

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::filesystem::testing::{Tree, blank_image, changed_bytes_end, folder_tree, run, sample_tree, tree_of};

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// An image with the sample tree, and the tree; `None` if there is no mkfs.
fn make() -> Option<(Vec<u8>, Tree)> {
    let folder = TempDir::new().unwrap();
    let [tree, image] = ["tree", "image"].map(|name| folder.path().join(name));
    sample_tree(&tree);
    blank_image(&image, 128 << 20);
    let args = ["-q", "-L", "the label", "-U", UUID, "--rootdir"].map(OsStr::new);
    run("mkfs.btrfs", &[&args[..], &[tree.as_os_str(), image.as_os_str()]].concat())?;
    Some((fs::read(image).unwrap(), folder_tree(&tree)))
}

#[test]
fn it_is_read_whole() {
    let Some((image, tree)) = make() else { return };
    let btrfs = Btrfs::open(Arc::new(image), &Subvolume::Default).unwrap();
    assert_eq!((btrfs.uuid().as_deref(), btrfs.label().as_deref()), (Some(UUID), Some("the label")));
    assert!(btrfs.caveats().is_empty(), "{:?}", btrfs.caveats());
    assert!(tree_of(&btrfs) == tree);
}

#[test]
fn a_subvolume_that_is_not_there_is_not_found() {
    let Some((image, _)) = make() else { return };
    let image: Source = Arc::new(image);
    for subvolume in [Subvolume::Id(999), Subvolume::Path(b"no".to_vec()), Subvolume::Path(b"etc".to_vec())] {
        assert!(matches!(Btrfs::open(image.clone(), &subvolume), Err(ReadError::NotFound { .. })));
    }
    assert!(Btrfs::open(image, &Subvolume::Id(5)).is_ok());
}

#[test]
fn writes_that_are_only_in_the_log_are_a_caveat() {
    let Some((image, _)) = make() else { return };
    let mut superblock = image[SUPERBLOCK_OFFSET as usize..][..1024].to_vec();
    superblock[0x60] = 1;
    assert_eq!(caveats(&superblock, image.len() as u64).len(), 1);
}

#[test]
fn zeros_are_no_file_system() {
    assert!(matches!(Btrfs::open(Arc::new(vec![0; 1 << 20]), &Subvolume::Default), Err(ReadError::Corrupt { .. })));
    assert!(Btrfs::open(Arc::new(Vec::new()), &Subvolume::Default).is_err());
}

#[test]
fn changed_bytes_never_panic() {
    let Some((image, _)) = make() else { return };
    changed_bytes_end(&image, 50, |source| Btrfs::open(source, &Subvolume::Default));
}
