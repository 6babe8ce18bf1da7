//! Disks for fuzzing: a few bytes with zeros behind them, or a sound image of which the fuzzer changes some bytes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use houndigrade::ReadError;
use houndigrade::Result;
use houndigrade::filesystem::{FileKind, FileSystem};
use houndigrade::source::{BlockSource, Source};
use houndigrade::volumes::Disk;

use crate::checksums::crc32c;

/// Bytes of a block of [`Patched`].
const BLOCK_BYTES: usize = 4096;
/// Entries of a folder, files in all and bytes of a file that are looked at in one run.
const ENTRIES_MAX: usize = 1000;
const FILES_MAX: usize = 300;
const FILE_BYTES_MAX: usize = 64 << 10;

/// Bytes at the begin of a disk, with zeros behind.
pub struct Prefix {
    pub bytes: Vec<u8>,
    pub len: u64,
}

impl BlockSource for Prefix {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check(self.len, offset, buf.len())?;
        let from = usize::try_from(offset).map_or(self.bytes.len(), |from| from.min(self.bytes.len()));
        let there = (self.bytes.len() - from).min(buf.len());
        buf[..there].copy_from_slice(&self.bytes[from..from + there]);
        buf[there..].fill(0);
        Ok(())
    }
}

/// A sound image without its empty blocks, as `examples/make_seeds.rs` keeps it: the length, then each block's number and bytes.
pub struct Base {
    len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
    numbers: Vec<u64>,
}

impl Base {
    /// The image of a name, read once.
    pub fn load(name: &'static str) -> &'static Self {
        static BASES: Mutex<BTreeMap<&str, &Base>> = Mutex::new(BTreeMap::new());
        BASES.lock().unwrap().entry(name).or_insert_with(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("base").join(name);
            let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run houndigrade/fuzz/run", path.display()));
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes[..8].try_into().unwrap());
            let blocks: BTreeMap<_, _> =
                packed[8..].chunks_exact(8 + BLOCK_BYTES).map(|chunk| (number(chunk), chunk[8..].to_vec())).collect();
            Box::leak(Box::new(Self { len: number(&packed), numbers: blocks.keys().copied().collect(), blocks }))
        })
    }

    /// The image with changes: of each eight bytes of `changes`, two choose a block that is not empty, two a place in it, and four are
    /// written there.
    pub fn patched(&'static self, changes: &[u8]) -> Patched {
        let mut blocks = BTreeMap::new();
        for change in changes.chunks_exact(8) {
            let number = self.numbers[usize::from(u16::from_le_bytes([change[0], change[1]])) % self.numbers.len()];
            let at = usize::from(u16::from_le_bytes([change[2], change[3]])) % (BLOCK_BYTES - 4);
            let block = blocks.entry(number).or_insert_with(|| self.blocks[&number].clone());
            block[at..at + 4].copy_from_slice(&change[4..]);
        }
        Patched { base: self, blocks }
    }

    /// The image with other content in the block that begins as given, and blanks behind it.
    pub fn replaced(&'static self, begins: &[u8], content: &[u8]) -> Patched {
        let (number, _) = self.blocks.iter().find(|(_, block)| block.starts_with(begins)).unwrap();
        let mut block = content[..content.len().min(BLOCK_BYTES)].to_vec();
        block.resize(BLOCK_BYTES, b' ');
        Patched { base: self, blocks: BTreeMap::from([(*number, block)]) }
    }
}

/// A [`Base`] with changes.
pub struct Patched {
    base: &'static Base,
    blocks: BTreeMap<u64, Vec<u8>>,
}

/// Bytes of a node of btrfs, and where its superblock is.
const NODE_BYTES: u64 = 16 << 10;
const BTRFS_SUPERBLOCK: u64 = 64 << 10;
/// Where the file system's id is in a superblock and in each node.
const BTRFS_ID: std::ops::Range<usize> = 32..48;

impl Patched {
    /// With the checksums of changed nodes of btrfs made right.
    pub fn with_btrfs_checksums(mut self) -> Self {
        let per_node = NODE_BYTES / BLOCK_BYTES as u64;
        let mut nodes: Vec<u64> = self.blocks.keys().map(|number| number / per_node * NODE_BYTES).collect();
        nodes.dedup();
        let id = self.bytes(BTRFS_SUPERBLOCK, BLOCK_BYTES)[BTRFS_ID].to_vec();
        for node in nodes {
            let bytes = if node == BTRFS_SUPERBLOCK { self.bytes(node, BLOCK_BYTES) } else { self.bytes(node, NODE_BYTES as usize) };
            if bytes[BTRFS_ID] == id {
                let mut first = bytes[..BLOCK_BYTES].to_vec();
                first[..4].copy_from_slice(&crc32c(&bytes[32..]).to_le_bytes());
                self.blocks.insert(node / BLOCK_BYTES as u64, first);
            }
        }
        self
    }

    fn bytes(&self, at: u64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.read_at(at, &mut bytes).unwrap();
        bytes
    }
}

impl BlockSource for Patched {
    fn len(&self) -> u64 {
        self.base.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check(self.base.len, offset, buf.len())?;
        let mut done = 0;
        while done < buf.len() {
            let (number, within) = ((offset + done as u64) / BLOCK_BYTES as u64, (offset as usize + done) % BLOCK_BYTES);
            let count = (BLOCK_BYTES - within).min(buf.len() - done);
            match self.blocks.get(&number).or_else(|| self.base.blocks.get(&number)) {
                Some(block) => buf[done..done + count].copy_from_slice(&block[within..within + count]),
                None => buf[done..done + count].fill(0),
            }
            done += count;
        }
        Ok(())
    }
}

fn check(len: u64, offset: u64, count: usize) -> Result<()> {
    match offset.checked_add(count as u64) {
        Some(end) if end <= len => Ok(()),
        _ => Err(ReadError::corrupt("a reference", "behind the end of the disk")),
    }
}

/// A disk of that name.
pub fn disk(source: impl BlockSource + 'static) -> Disk {
    let source: Source = Arc::new(source);
    Disk { name: "/dev/fuzz".to_owned(), source }
}

/// Walks all that a file system shows, within limits, and reads the begin and the end of each file.
pub fn walk(filesystem: &dyn FileSystem) {
    let mut folders = vec![b"/".to_vec()];
    let mut left = FILES_MAX;
    while let Some(folder) = folders.pop() {
        for entry in filesystem.read_dir(&folder, ENTRIES_MAX).unwrap_or_default() {
            left = match left.checked_sub(1) {
                Some(left) => left,
                None => return,
            };
            let path = [folder.strip_suffix(b"/").unwrap_or(&folder), b"/", &entry.name].concat();
            match filesystem.stat(&path).map(|stat| stat.kind) {
                Ok(FileKind::Directory) => folders.push(path),
                Ok(FileKind::Symlink) => drop(filesystem.read_link(&path)),
                Ok(FileKind::Regular) => read_ends(filesystem, &path),
                _ => {}
            }
        }
    }
}

fn read_ends(filesystem: &dyn FileSystem, path: &[u8]) {
    let Ok(file) = filesystem.open(path) else { return };
    let mut buffer = vec![0; file.len().min(FILE_BYTES_MAX as u64) as usize];
    drop(file.read_at(0, &mut buffer));
    drop(file.read_at(file.len() - buffer.len() as u64, &mut buffer));
    // Behind the end there must be an error and nothing else.
    assert!(file.read_at(file.len(), &mut [0]).is_err());
}
