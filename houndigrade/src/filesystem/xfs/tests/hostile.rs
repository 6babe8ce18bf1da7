//! Logs of version 4 that are torn, damaged or made to harm: they are hidden, which is said, or replayed as far as they are whole.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::items::{BLOCK, Item, buffer_description, inode};
use super::replayed::{Change, LAYOUTS, change, log_of_change, open, place_of};
use super::writer::{COMMIT, CONTINUED, Layout, START, UNMOUNTED, Writer, without_checksums};
use super::*;
use crate::filesystem::testing::{content, walk};

/// A change of the length of `/etc/os-release`, one byte more each time.
fn one_byte_more(change: &Change, writer: &mut Writer, len: u64) -> u64 {
    let place = place_of(change, b"/etc/os-release");
    let mut changed = change.after.clone();
    changed[place + 56..place + 64].copy_from_slice(&len.to_be_bytes());
    writer.transaction(len as u32, &[inode(&changed, place, false)]);
    writer.record()
}

fn len_read(image: Vec<u8>) -> (usize, Vec<String>) {
    let xfs = open(image);
    (content(&xfs, b"/etc/os-release").len(), xfs.caveats())
}

#[test]
fn records_that_were_torn_at_the_end_are_left_out() {
    let Some(change) = change() else { return };
    for (torn, len) in [(9, 9), (7, 7), (2, 2)] {
        let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
        let records: Vec<u64> = (1..=10).map(|len| one_byte_more(change, &mut writer, len)).collect();
        let place = writer.place(records[torn] + 1);
        writer.image[place + 100] ^= 1;
        assert_eq!(len_read(writer.finish()), (len, Vec::new()));
    }
}

#[test]
fn a_record_that_was_torn_long_ago_hides_the_log() {
    let Some(change) = change() else { return };
    let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
    let records: Vec<u64> = (1..=10).map(|len| one_byte_more(change, &mut writer, len)).collect();
    let place = writer.place(records[1] + 1);
    writer.image[place + 100] ^= 1;
    let (len, caveats) = len_read(writer.finish());
    assert_eq!(len, 6300);
    assert!(caveats[0].contains("wrong checksum"), "{caveats:?}");
}

#[test]
fn a_hole_among_the_last_records_ends_the_log() {
    let Some(change) = change() else { return };
    for layout in [Layout { checksums: false, ..Layout::USUAL }, Layout { cycle: 5, before_end: 9, checksums: false, ..Layout::USUAL }] {
        for hole in [4, 6, 9] {
            let mut writer = Writer::new(change.after.clone(), layout);
            let records: Vec<u64> = (1..=10).map(|len| one_byte_more(change, &mut writer, len)).collect();
            // Its second block is as it was a pass before.
            let block = (records[hole] + 1) % writer.blocks;
            let place = writer.place(block);
            let before = if block < records[0] && layout.cycle > 1 { layout.cycle } else { layout.cycle - 1 };
            writer.image[place..place + 4].copy_from_slice(&before.to_be_bytes());
            assert_eq!(len_read(writer.finish()), (hole, Vec::new()), "{layout:?}");
        }
    }
}

#[test]
fn the_tail_may_be_later_than_the_first_record() {
    let Some(change) = change() else { return };
    let mut writer = Writer::new(change.before.clone(), Layout::USUAL);
    // Nonsense, which a sound tail leaves out.
    writer.operation(1, 0x77, b"none");
    writer.record();
    writer.tail = (1, writer.head());
    let tail = writer.tail;
    let mut rest = log_of_change(change, Layout::USUAL, false);
    rest.record();
    let mut image = rest.finish();
    assert!(open(image.clone()).caveats().is_empty());
    // A tail at which no record begins.
    let log = Geometry::read(&image).unwrap().log.start as usize;
    for block in image[log..].chunks_exact_mut(512).take(4000).filter(|block| u32_be(block, 0) == 0xfeed_babe) {
        block[28..32].copy_from_slice(&(tail.1 as u32 + 3).to_be_bytes());
    }
    without_checksums(&mut image);
    assert!(open(image).caveats()[0].contains("has no header"));
}

#[track_caller]
fn assert_hidden(change: &Change, image: Vec<u8>, why: &str) {
    let xfs = open(image);
    let caveats = xfs.caveats();
    assert!(caveats.len() == 1 && caveats[0].contains(why), "{caveats:?}");
    assert!(tree_of(&xfs) == change.tree);
}

#[test]
fn impossible_items_hide_the_whole_log() {
    let Some(change) = change() else { return };
    let sound = place_of(change, b"/");
    let block = sound / BLOCK * BLOCK;
    let described = |differently: &dyn Fn(&mut Vec<u8>)| {
        let mut item = inode(&change.after, sound, false);
        differently(&mut item[0]);
        item
    };
    let map = |map: u32, pieces: &[usize]| -> Item {
        let regions = pieces.iter().map(|bytes| vec![0x66; *bytes]);
        std::iter::once(buffer_description(block, 0, 1 + pieces.len() as u16, map)).chain(regions).collect()
    };
    let at =
        |field: usize, bytes: Vec<u8>| move |description: &mut Vec<u8>| description[field..field + bytes.len()].copy_from_slice(&bytes);
    for (item, why) in [
        (vec![[0x1240_u16, 1].map(u16::to_le_bytes).concat()], "kind 0x1240"),
        (vec![[0x123f_u16, 1].map(u16::to_le_bytes).concat()], "kind 0x123f"),
        (map(0b1, &[]), "contradicts"),
        (map(0b1, &[256]), "contradicts"),
        (map(0b1, &[100]), "contradicts"),
        (map(0b11, &[128]), "contradicts"),
        (map(0b1, &[128, 128]), "contradicts"),
        (vec![buffer_description(usize::MAX / 512 * 512, 0, 1, 0)], "not there"),
        (vec![buffer_description(change.after.len(), 0, 1, 0)], "not there"),
        (described(&at(40, vec![0xff; 8])), "not there"),
        (described(&at(52, vec![0xff; 4])), "behind the end"),
        (described(&at(52, vec![1, 15, 0, 0])), "behind the end"),
        (described(&at(40, vec![8, 0, 0, 0, 0, 0, 0, 0])), "where none is"),
        (described(&at(4, vec![0])), "no core"),
        (described(&at(4, vec![0x43, 0, 0, 0])), "none of version 4"),
        (described(&|description| description.truncate(40)), "40 bytes"),
    ] {
        let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
        one_byte_more(change, &mut writer, 1);
        writer.transaction(2, &[item]);
        assert_hidden(change, writer.finish(), why);
    }
}

#[test]
fn impossible_operations_hide_the_whole_log() {
    let Some(change) = change() else { return };
    let header = [0x5452_414e_u32, 40, 1, 1].map(u32::to_le_bytes).concat();
    let item = vec![0x3c, 0x12, 2, 0];
    for (operations, why) in [
        (vec![(START, vec![]), (START, vec![])], "impossible flags"),
        (vec![(START, vec![]), (0x40, vec![1])], "impossible flags"),
        (vec![(START, vec![]), (0, vec![1; 16])], "begins as none does"),
        (vec![(START, vec![]), (0, vec![1; 17])], "begins as none does"),
        (vec![(START, vec![]), (0, header.clone()), (0, vec![1, 2, 0, 0])], "regions"),
        (vec![(START, vec![]), (0, header.clone()), (0, vec![1, 2, 0xff, 0xff])], "regions"),
        (vec![(START, vec![]), (0, header.clone()), (0, item.clone()), (COMMIT, vec![])], "part is missing"),
        (vec![(START, vec![]), (CONTINUED, header.clone()), (CONTINUED, header.clone())], "begins as none does"),
    ] {
        let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
        for (flags, bytes) in operations {
            writer.operation(1, flags, &bytes);
        }
        assert_hidden(change, writer.finish(), why);
    }
    let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
    writer.operation(1, START, &[]);
    writer.operation(1, 0, &header);
    writer.operation(1, 0, &item);
    for _ in 0..5 {
        writer.operation(1, CONTINUED, &[0; 16_000]);
    }
    assert_hidden(change, writer.finish(), "too long");
}

#[test]
fn a_transaction_that_an_unmount_ends_never_happened() {
    let Some(change) = change() else { return };
    let mut writer = Writer::new(change.after.clone(), Layout::USUAL);
    writer.start(1);
    writer.operation(1, UNMOUNTED, &[0; 8]);
    writer.operation(1, COMMIT, &[]);
    let xfs = open(writer.finish());
    assert!(xfs.caveats().is_empty() && tree_of(&xfs) == change.tree);
}

#[test]
fn impossible_headers_hide_the_whole_log() {
    let Some(change) = change() else { return };
    let log = Geometry::read(&change.before).unwrap().log.start as usize;
    let sound = log_of_change(change, Layout { checksums: false, ..Layout::USUAL }, false).finish();
    for (field, bytes) in [
        (8, vec![0xff; 4]),
        (12, vec![0; 4]),
        (12, vec![0xff; 4]),
        (12, vec![0, 4, 0, 0]),
        (20, vec![0, 0, 0, 9]),
        (40, vec![0xff; 4]),
        (300, vec![0, 0, 0, 2]),
        (304, vec![0; 16]),
        (320, vec![0xff; 4]),
    ] {
        let mut image = sound.clone();
        image[log + field..log + field + bytes.len()].copy_from_slice(&bytes);
        let xfs = open(image);
        // That more operations are stated than there are is no harm.
        assert_eq!(xfs.caveats().is_empty(), field == 40, "{field} {bytes:?}");
    }
}

#[test]
fn no_change_of_a_log_panics() {
    let Some(change) = change() else { return };
    let images: Vec<Vec<u8>> = LAYOUTS
        .iter()
        .map(|layout| {
            let mut image = log_of_change(change, *layout, layout.cycle == 2).finish();
            without_checksums(&mut image);
            image
        })
        .collect();
    let log = Geometry::read(&images[0]).unwrap().log;
    let used: Vec<Vec<usize>> =
        images.iter().map(|image| (log.start as usize..log.end as usize).filter(|at| image[*at] != 0).collect()).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6);
    TestRunner::new(ProptestConfig::with_cases(100))
        .run(&(0..images.len(), changes), |(number, changes)| {
            let mut image = images[number].clone();
            for (index, byte) in changes {
                image[used[number][index.index(used[number].len())]] = byte;
            }
            if let Ok(xfs) = Xfs::open(Arc::new(image)) {
                walk(&xfs);
            }
            Ok(())
        })
        .unwrap();
}
