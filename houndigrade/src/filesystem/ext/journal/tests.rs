//! Journals written by hand into an image of `mkfs.ext4`.

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::Ext;
use super::*;
use crate::filesystem::FileSystem;
use crate::filesystem::testing::{blank_image, content, run};

const BLOCK: usize = 1024;
/// Blocks of the journal that mkfs makes here.
const JOURNAL_BLOCKS: u32 = 1024;

/// An image with a journal, and what is known of it.
struct Image {
    bytes: Vec<u8>,
    superblock: Superblock,
    journal: BlockMap,
    /// The block that holds `/file`.
    target: u32,
}

impl Image {
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let [tree, image] = ["tree", "image"].map(|name| folder.path().join(name));
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("file"), "old").unwrap();
        blank_image(&image, 4 << 20);
        let args = ["-q", "-F", "-b", "1024", "-J", "size=1", "-O", "^metadata_csum,^64bit", "-d"].map(OsStr::new);
        run("mkfs.ext4", &[&args[..], &[tree.as_os_str(), image.as_os_str()]].concat())?;
        let bytes = fs::read(image).unwrap();
        let superblock = Superblock::read(&bytes).unwrap();
        let inode = Inode::read(&bytes, &superblock, superblock.journal_inode).unwrap();
        let journal = BlockMap::of(&inode, &bytes, &superblock).unwrap();
        let ext = Ext::open(Arc::new(bytes.clone())).unwrap();
        let (target, _) = ext.map(&ext.find(b"/file").unwrap()).unwrap().find(0);
        Some(Self { bytes, superblock, journal, target: target.unwrap() as u32 })
    }

    /// The place of a block of the journal.
    fn place(&self, journal_block: u32) -> usize {
        self.journal.find(u64::from(journal_block)).0.unwrap() as usize * BLOCK
    }

    /// Begins the journal at a block with transaction 7.
    fn start(&mut self, journal_block: u32) {
        let place = self.place(0);
        self.bytes[place + 0x18..place + 0x20].copy_from_slice(&[7_u32.to_be_bytes(), journal_block.to_be_bytes()].concat());
        self.bytes[1024 + 0x60] |= 0x4;
    }

    fn put(&mut self, journal_block: u32, words: &[u32]) {
        let place = self.place(journal_block);
        let block: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.bytes[place..place + block.len()].copy_from_slice(&block);
    }

    fn descriptor(&mut self, journal_block: u32, sequence: u32, flags: u32) {
        self.put(journal_block, &[MAGIC, BLOCK_DESCRIPTOR, sequence, self.target, flags]);
    }

    fn commit(&mut self, journal_block: u32, sequence: u32) {
        self.put(journal_block, &[MAGIC, BLOCK_COMMIT, sequence]);
    }

    fn revoke(&mut self, journal_block: u32, sequence: u32) {
        self.put(journal_block, &[MAGIC, BLOCK_REVOKE, sequence, 20, self.target]);
    }

    /// What `/file` holds after the journal, and the caveats.
    fn file(&self) -> (String, Vec<String>) {
        let ext = Ext::open(Arc::new(self.bytes.clone())).unwrap();
        (String::from_utf8(content(&ext, b"/file")).unwrap(), ext.caveats())
    }
}

const ONLY: u32 = TAG_SAME_UUID | TAG_LAST;
const NEW: u32 = u32::from_be_bytes(*b"new\0");
const NEWER: u32 = u32::from_be_bytes(*b"two\0");

#[test]
fn a_transaction_goes_on_at_the_beginning_of_the_ring() {
    let Some(mut image) = Image::new() else { return };
    image.start(JOURNAL_BLOCKS - 1);
    image.descriptor(JOURNAL_BLOCKS - 1, 7, ONLY);
    image.put(1, &[NEW]);
    image.commit(2, 7);
    assert_eq!(image.file(), ("new".to_owned(), vec![]));
}

#[test]
fn the_newest_copy_counts() {
    let Some(mut image) = Image::new() else { return };
    image.start(1);
    image.descriptor(1, 7, ONLY);
    image.put(2, &[NEW]);
    image.commit(3, 7);
    image.descriptor(4, 8, ONLY);
    image.put(5, &[NEWER]);
    image.commit(6, 8);
    assert_eq!(image.file().0, "two");
}

#[test]
fn what_was_revoked_counts_again_once_it_is_written_again() {
    let Some(mut image) = Image::new() else { return };
    image.start(1);
    image.descriptor(1, 7, ONLY);
    image.put(2, &[NEW]);
    image.commit(3, 7);
    image.revoke(4, 8);
    image.commit(5, 8);
    assert_eq!(image.file().0, "old");
    image.descriptor(6, 9, ONLY);
    image.put(7, &[NEWER]);
    image.commit(8, 9);
    assert_eq!(image.file().0, "two");
}

#[test]
fn blocks_of_an_older_pass_round_the_ring_end_the_journal() {
    let Some(mut image) = Image::new() else { return };
    image.start(1);
    image.descriptor(1, 7, ONLY);
    image.put(2, &[NEW]);
    image.commit(3, 7);
    image.descriptor(4, 3, ONLY);
    image.put(5, &[NEWER]);
    image.commit(6, 3);
    assert_eq!(image.file().0, "new");
}

#[test]
fn a_journal_that_says_it_lies_elsewhere_is_a_caveat() {
    let Some(mut image) = Image::new() else { return };
    image.start(JOURNAL_BLOCKS + 5);
    let (file, caveats) = image.file();
    assert_eq!((file.as_str(), caveats.len()), ("old", 1));
}

#[test]
fn a_superblock_of_nonsense_in_the_journal_is_a_caveat() {
    let Some(mut image) = Image::new() else { return };
    image.start(1);
    image.target = 1;
    image.descriptor(1, 7, ONLY);
    image.put(2, &[0]);
    image.commit(3, 7);
    let (file, caveats) = image.file();
    assert_eq!((file.as_str(), caveats.len()), ("old", 1));
}

#[test]
fn journals_of_nonsense_never_panic() {
    let Some(mut image) = Image::new() else { return };
    image.start(1);
    let tag = (any::<u32>(), prop_oneof![Just(ONLY), Just(TAG_SAME_UUID), any::<u32>()]);
    let block = (1_u32..6, 7_u32..10, prop::collection::vec(tag, 0..6));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
    runner
        .run(&prop::collection::vec(block, 1..20), |blocks| {
            let mut changed = image.bytes.clone();
            for (journal_block, (kind, sequence, tags)) in (1..).zip(blocks) {
                let tags = tags.into_iter().flat_map(|(block, flags)| [block, flags]);
                let bytes: Vec<u8> = [MAGIC, kind, sequence].into_iter().chain(tags).flat_map(u32::to_be_bytes).collect();
                let place = image.place(journal_block);
                changed[place..place + bytes.len()].copy_from_slice(&bytes);
            }
            if let Ok(ext) = Ext::open(Arc::new(changed)) {
                let _ = ext.stat(b"/file");
            }
            Ok(())
        })
        .unwrap();
}

/// Blocks of revocations, each as full as it can be and of blocks from `first` on, in one transaction.
fn full_of_revocations(image: &mut Image, blocks: u32, first: u32) {
    image.start(1);
    for at in 1..=blocks {
        let numbers = (0..(BLOCK as u32 - 16) / 4).map(|number| first.wrapping_add(number));
        image.put(at, &[MAGIC, BLOCK_REVOKE, 7, BLOCK as u32].into_iter().chain(numbers).collect::<Vec<_>>());
    }
    image.commit(blocks + 1, 7);
}

/// A walk through the journal of an image that has seen some revocations already.
fn walked(image: &Image, revocations: usize) -> (Result<()>, usize) {
    let inode = Inode::read(&image.bytes, &image.superblock, image.superblock.journal_inode).unwrap();
    let map = BlockMap::of(&inode, &image.bytes, &image.superblock).unwrap();
    let ring = Ring::of(&image.bytes[image.place(0)..][..BLOCK], &image.superblock, &inode).unwrap();
    let (transactions, superblock) = (Transactions::default(), &image.superblock);
    let mut walk = Walk { disk: &image.bytes, superblock, map, ring, transactions, revocations, caveat: None };
    (walk.run(), walk.transactions.revoked.len())
}

#[test]
fn more_revocations_than_the_limit_end_the_replay_though_they_are_of_the_same_blocks() {
    let Some(mut image) = Image::new() else { return };
    full_of_revocations(&mut image, 5, 10);
    assert!(walked(&image, EXT_REVOKED_MAX - 5 * 252).0.is_ok());
    assert!(matches!(walked(&image, EXT_REVOKED_MAX - 5 * 252 + 1).0, Err(ReadError::Limit { unit: "revocations", .. })));
}

#[test]
fn revocations_of_blocks_behind_the_end_take_no_memory() {
    let Some(mut image) = Image::new() else { return };
    full_of_revocations(&mut image, 5, 1 << 30);
    assert_eq!(walked(&image, 0).1, 0);
    full_of_revocations(&mut image, 5, 10);
    assert_eq!(walked(&image, 0).1, 252);
}

#[test]
fn sizes_of_the_test_fit_the_image() {
    let Some(image) = Image::new() else { return };
    assert_eq!(image.superblock.block_size as usize, BLOCK);
    assert!(image.journal.find(u64::from(JOURNAL_BLOCKS - 1)).0.is_some() && image.journal.find(u64::from(JOURNAL_BLOCKS)).0.is_none());
}

#[test]
fn a_copy_for_a_block_far_away_disturbs_no_other() {
    let copies = BTreeMap::from([(u64::MAX, Copied { offset: 0, escaped: false })]);
    let mut disk = Replayed::nothing(Arc::new(vec![1; 4096]));
    disk.set(Replay { copies, block_size: 1024, caveat: None });
    let mut bytes = [0; 2000];
    disk.read_at(1000, &mut bytes).unwrap();
    assert_eq!(bytes, [1; 2000]);
}
