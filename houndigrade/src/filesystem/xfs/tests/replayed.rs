//! Logs of version 4, written by hand into images of `mkfs.xfs`: what is read is what would be read had all of it been done on the disk.

use std::sync::OnceLock;

use super::super::overlay::Overlay;
use super::super::replay::replay;
use super::items::{BLOCK, INODE, Item, buffer, buffer_description, difference, freed, inode, is_of_inodes};
use super::writer::{COMMIT, CONTINUED, CONTINUES, Layout, Writer};
use super::*;
use crate::filesystem::testing::content;

const UUID: &str = "crc=0,finobt=0,uuid=01234567-89ab-cdef-0123-456789abcdef";

/// A system before and after some changes: images and, of the second, the tree.
pub(super) struct Change {
    pub before: Vec<u8>,
    pub after: Vec<u8>,
    pub tree: Tree,
}

/// `None` if there is no mkfs.
pub(super) fn change() -> Option<&'static Change> {
    static CHANGE: OnceLock<Option<Change>> = OnceLock::new();
    let made = CHANGE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let [before, after] = ["before", "after"].map(|name| folder.path().join(name));
        fs::create_dir_all(before.join("etc")).unwrap();
        fs::write(before.join("etc/os-release"), "ID=before\n").unwrap();
        fs::create_dir_all(after.join("etc/many")).unwrap();
        fs::write(after.join("etc/os-release"), "ID=after\n".repeat(700)).unwrap();
        for number in 0..200 {
            fs::write(after.join(format!("etc/many/entry-with-a-long-name-{number}")), format!("{number}")).unwrap();
        }
        std::os::unix::fs::symlink("../short", after.join("etc/short-link")).unwrap();
        std::os::unix::fs::symlink("/long".repeat(60), after.join("etc/long-link")).unwrap();
        run("mkfifo", &[after.join("etc/fifo").as_os_str()])?;
        let [old, new] = [&before, &after].map(|root| image_of(root, &folder.path().join("image")));
        Some(Change { before: old?, after: new?, tree: folder_tree(&after) })
    });
    made.as_ref()
}

fn image_of(root: &std::path::Path, image: &std::path::Path) -> Option<Vec<u8>> {
    fs::write(image.with_extension("list"), xfs_prototype(root)).unwrap();
    blank_image(image, 32 << 20);
    let options = ["--unsupported", "-q", "-f", "-m", UUID, "-n", "ftype=0", "-p"].map(OsStr::new);
    run("mkfs.xfs", &[&options[..], &[image.with_extension("list").as_os_str(), image.as_os_str()]].concat())?;
    Some(fs::read(image).unwrap())
}

/// How systems write their logs, and where the ring's end lies when they do.
pub(super) const LAYOUTS: [Layout; 8] = [
    Layout::USUAL,
    Layout { checksums: false, ..Layout::USUAL },
    Layout { version: 1, checksums: false, ..Layout::USUAL },
    Layout { record_bytes: 256 << 10, ..Layout::USUAL },
    Layout { cycle: 7, before_end: 100, ..Layout::USUAL },
    Layout { cycle: 7, before_end: 1, record_bytes: 256 << 10, ..Layout::USUAL },
    Layout { cycle: 2, before_end: 5, record_bytes: 128 << 10, checksums: false, ..Layout::USUAL },
    Layout { cycle: 9, before_end: 65, record_bytes: 16 << 10, ..Layout::USUAL },
];

/// The whole change as a log: transactions of some items each, two at a time written into each other, the last without its commit.
pub(super) fn log_of_change(change: &Change, layout: Layout, narrow: bool) -> Writer {
    let mut writer = Writer::new(change.before.clone(), layout);
    let items = difference(&change.before, &change.after, narrow);
    for (number, pair) in items.chunks(30).enumerate() {
        let (first, second) = (2 * number as u32 + 100, 2 * number as u32 + 101);
        let (of_first, of_second) = pair.split_at(pair.len() / 2);
        writer.start(first);
        writer.start(second);
        for (one, other) in of_first.iter().zip(of_second) {
            writer.item(first, one);
            writer.item(second, other);
        }
        of_second.iter().skip(of_first.len()).for_each(|item| writer.item(second, item));
        writer.operation(first, COMMIT, &[]);
        writer.operation(second, COMMIT, &[]);
    }
    writer.start(99);
    writer.item(99, &overwritten(change, 0));
    writer
}

/// A buffer over a block of metadata that makes nonsense of it.
fn overwritten(change: &Change, place: usize) -> Item {
    buffer(&change.after[place..place + BLOCK], &[0x66; BLOCK], place)
}

pub(super) fn open(image: Vec<u8>) -> Xfs {
    Xfs::open(Arc::new(image)).unwrap()
}

#[track_caller]
fn assert_is_changed(image: Vec<u8>, change: &Change) {
    let xfs = open(image);
    assert_eq!(xfs.caveats(), [] as [String; 0]);
    assert!(tree_of(&xfs) == change.tree);
}

#[test]
fn what_is_only_in_the_log_is_read() {
    let Some(change) = change() else { return };
    for layout in LAYOUTS {
        for narrow in [false, true] {
            assert_is_changed(log_of_change(change, layout, narrow).finish(), change);
        }
    }
}

#[test]
fn every_byte_is_what_it_would_have_become() {
    let Some(change) = change() else { return };
    let image = log_of_change(change, Layout::USUAL, false).finish();
    let geometry = Geometry::read(&image).unwrap();
    let overlay: Overlay = replay(&(Arc::new(image) as Source), &geometry).unwrap();
    let log = geometry.log.start as usize..geometry.log.end as usize;
    for place in (0..change.after.len()).step_by(BLOCK).filter(|place| !log.contains(place)) {
        let (mut block, mut expected) = ([0; BLOCK], change.after[place..place + BLOCK].to_vec());
        crate::source::BlockSource::read_at(&overlay, place as u64, &mut block).unwrap();
        if is_of_inodes(&expected) {
            // Of a fork only what is used is logged; which that is, reading shows.
            let forks = block.chunks_exact_mut(INODE).chain(expected.chunks_exact_mut(INODE));
            forks.for_each(|inode| inode[100..].fill(0));
        }
        assert!(block == *expected, "block at {place}");
    }
}

#[test]
fn an_unmounted_log_changes_nothing() {
    let Some(change) = change() else { return };
    for layout in LAYOUTS {
        let mut writer = Writer::new(change.after.clone(), layout);
        writer.transaction(1, &[overwritten(change, 0)]);
        writer.record();
        writer.unmount();
        assert_is_changed(writer.finish(), change);
    }
}

#[test]
fn what_was_freed_later_is_not_written() {
    let Some(change) = change() else { return };
    let root = place_of(change, b"/");
    let block = root / BLOCK * BLOCK;
    let garbage = overwritten(change, block);
    for (transactions, is_written) in [
        (vec![vec![garbage.clone()], vec![freed(block)]], false),
        (vec![vec![freed(block), garbage.clone()]], false),
        (vec![vec![garbage.clone()], vec![freed(block)], vec![garbage.clone()], vec![freed(block)]], false),
        (vec![vec![freed(block)], vec![garbage.clone()]], true),
        (vec![vec![garbage.clone()]], true),
    ] {
        let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
        for (number, items) in transactions.iter().enumerate() {
            writer.transaction(number as u32, items);
        }
        let image = writer.finish();
        let xfs = open(image);
        assert!(xfs.caveats().is_empty(), "{:?}", xfs.caveats());
        assert_eq!(xfs.read_dir(b"/", 10).is_err(), is_written);
    }
}

#[test]
fn an_inode_in_a_buffer_that_was_freed_later_is_not_written() {
    let Some(change) = change() else { return };
    let place = place_of(change, b"/etc/os-release");
    let mut shorter = change.after.clone();
    shorter[place + 56..place + 64].copy_from_slice(&3_u64.to_be_bytes());
    for (with, len) in [(vec![freed(place / BLOCK * BLOCK)], 6300), (vec![], 3)] {
        let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
        writer.transaction(1, &[inode(&shorter, place, false)]);
        if !with.is_empty() {
            writer.transaction(2, &with);
        }
        let xfs = open(writer.finish());
        assert_eq!(content(&xfs, b"/etc/os-release").len(), len);
    }
}

#[test]
fn an_inode_that_went_to_the_disk_later_is_kept() {
    let Some(change) = change() else { return };
    let place = place_of(change, b"/etc/os-release");
    // Flushes counted on the disk, those in the log with the lengths that it states, and the length that is read.
    for (on_disk, logged, len) in [
        (5, vec![(4, 1)], 6300),
        (5, vec![(5, 1)], 1),
        (5, vec![(6, 1)], 1),
        (0xffff, vec![(0x7ffe, 1)], 1),
        (0xffff, vec![(0x7fff, 1)], 6300),
        (5, vec![(4, 1), (6, 2), (1, 3)], 3),
        (5, vec![(4, 1), (3, 2)], 6300),
    ] {
        let mut image = change.after.clone();
        image[place + 30..place + 32].copy_from_slice(&u16::to_be_bytes(on_disk));
        let mut writer = Writer::new(image, Layout::USUAL);
        for (number, (flushes, bytes)) in logged.iter().enumerate() {
            let mut changed = change.after.clone();
            changed[place + 30..place + 32].copy_from_slice(&u16::to_be_bytes(*flushes));
            changed[place + 56..place + 64].copy_from_slice(&u64::to_be_bytes(*bytes));
            writer.transaction(number as u32, &[inode(&changed, place, false)]);
        }
        let xfs = open(writer.finish());
        assert_eq!(content(&xfs, b"/etc/os-release").len(), len, "{on_disk} {logged:?}");
    }
}

#[test]
fn of_a_buffer_with_deleted_inodes_nothing_is_written() {
    let Some(change) = change() else { return };
    let block = place_of(change, b"/") / BLOCK * BLOCK;
    for (flags, is_written) in [(0x1, false), (0x4, false), (0x10, false), (0x2800, true)] {
        let mut item = overwritten(change, block);
        item[0][4..6].copy_from_slice(&u16::to_le_bytes(flags));
        let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
        writer.transaction(1, &[item]);
        assert_eq!(open(writer.finish()).read_dir(b"/", 10).is_err(), is_written, "{flags:#x}");
    }
}

#[test]
fn a_region_may_be_in_several_pieces_and_a_run_of_a_buffer_in_several_regions() {
    let Some(change) = change() else { return };
    let place = place_of(change, b"/etc/os-release") / BLOCK * BLOCK;
    let bytes = &change.after[place..place + 512];
    let mut writer = Writer::new(change.before.clone(), Layout::USUAL);
    for item in difference(&change.before, &change.after, false) {
        writer.transaction(1, &[item]);
    }
    writer.start(2);
    writer.operation(2, 0, &buffer_description(place, 0, 4, 0b1111));
    writer.operation(2, 0, &bytes[..128]);
    writer.operation(2, CONTINUES, &bytes[128..200]);
    writer.operation(2, CONTINUED | CONTINUES, &bytes[200..300]);
    writer.operation(2, CONTINUED, &bytes[300..384]);
    writer.operation(2, 0, &bytes[384..]);
    writer.operation(2, COMMIT, &[]);
    assert_is_changed(writer.finish(), change);
}

#[test]
fn a_transaction_of_which_the_begin_is_gone_is_in_its_place_already() {
    let Some(change) = change() else { return };
    let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
    writer.item(5, &overwritten(change, 0));
    writer.operation(5, COMMIT, &[]);
    writer.transaction(6, &[overwritten(change, 0), freed(0)]);
    assert_is_changed(writer.finish(), change);
}

/// The byte at which the inode of a path begins in the image after the change.
pub(super) fn place_of(change: &Change, path: &[u8]) -> usize {
    let xfs = open(change.after.clone());
    let (found, _) = xfs.find(path).unwrap();
    let superblock = &change.after[..512];
    let (group_blocks, block_shift, inode_shift) = (u64::from(u32_be(superblock, 84)), superblock[124], superblock[123]);
    let (block, within) = (found.ino >> inode_shift, found.ino & ((1 << inode_shift) - 1));
    let (group, block) = (block >> block_shift, block & ((1 << block_shift) - 1));
    ((group * group_blocks + block) * BLOCK as u64 + within * INODE as u64) as usize
}
