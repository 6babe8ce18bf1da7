use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use cloudigrade_connectors::aws::{Api, AwsError};

use super::super::client::Listed;
use super::*;

/// A snapshot in memory, which fails as it is told.
#[derive(Default)]
struct Memory {
    blocks: BTreeMap<u32, Vec<u8>>,
    /// How the next calls fail.
    failures: Mutex<Vec<BlockError>>,
    /// Tokens are good for this many readings of a list.
    tokens_of: AtomicU32,
}

impl Memory {
    fn of(blocks: &[u32]) -> Self {
        let block = |index: &u32| (*index, vec![(*index % 250) as u8 + 1; BLOCK_BYTES]);
        Self { blocks: blocks.iter().map(block).collect(), ..Self::default() }
    }

    fn failing(self, failures: impl IntoIterator<Item = BlockError>) -> Self {
        self.failures.lock().unwrap().extend(failures);
        self
    }
}

impl Blocks for Memory {
    fn list(&self, first: u32, _: Option<&str>) -> std::result::Result<Listed, BlockError> {
        let generation = self.tokens_of.load(Ordering::Relaxed);
        let blocks = self.blocks.range(first..).map(|(index, _)| (*index, format!("{generation}/{index}"))).collect();
        Ok(Listed { blocks, next: None, volume_gib: 1 })
    }

    fn get(&self, index: u32, token: &str) -> std::result::Result<Vec<u8>, BlockError> {
        if let Some(failure) = self.failures.lock().unwrap().pop() {
            return Err(failure);
        }
        if token != format!("{}/{index}", self.tokens_of.load(Ordering::Relaxed)) {
            return Err(told("ValidationException"));
        }
        Ok(self.blocks[&index].clone())
    }
}

fn told(code: &str) -> BlockError {
    AwsError::told(Api::GetSnapshotBlock, Some(code), Some("said so"), Some(400)).into()
}

fn open(memory: Memory) -> SnapshotSource {
    SnapshotSource::open(Box::new(memory), "snap-1").unwrap()
}

fn byte(source: &SnapshotSource, at: u64) -> Result<u8> {
    let mut buf = [7];
    source.read_at(at, &mut buf).map(|()| buf[0])
}

const BLOCK: u64 = BLOCK_BYTES as u64;

#[test]
fn what_the_snapshot_lacks_is_zeros_and_costs_nothing_and_each_block_is_fetched_once() {
    let source = open(Memory::of(&[0, 3]));
    assert_eq!(source.len(), 1 << 30);
    let mut buf = vec![9; 4 * BLOCK_BYTES];
    source.read_at(0, &mut buf).unwrap();
    assert_eq!([0, BLOCK - 1, BLOCK, 3 * BLOCK - 1, 3 * BLOCK].map(|at| buf[at as usize]), [1, 1, 0, 0, 4]);
    source.read_at(3 * BLOCK - 2, &mut buf[..4]).unwrap();
    assert_eq!(buf[..4], [0, 0, 4, 4]);
    assert_eq!(source.read(), BlocksRead { blocks: 2, listings: 1 });
    assert!(matches!(source.read_at((1 << 30) - 1, &mut [0; 2]), Err(ReadError::Corrupt { .. })));
    assert!(matches!(source.read_at(u64::MAX, &mut [0; 2]), Err(ReadError::Corrupt { .. })));
}

#[test]
fn memory_is_bounded_and_what_was_read_last_is_not_fetched_again() {
    let all: Vec<u32> = (0..BLOCKS_KEPT_MAX as u32 + 1).collect();
    let source = open(Memory::of(&all));
    for index in &all {
        byte(&source, u64::from(*index) * BLOCK).unwrap();
    }
    byte(&source, BLOCK).unwrap();
    assert_eq!(source.read().blocks, all.len() as u64);
    byte(&source, 0).unwrap();
    assert_eq!(source.read().blocks, all.len() as u64 + 1);
}

#[test]
fn what_passes_is_asked_again_and_what_stays_fails_at_once_and_for_good() {
    let damaged = BlockError::Damaged { snapshot: "snap-1".into(), index: 0, why: "short".into() };
    let source = open(Memory::of(&[0]).failing([damaged, told("RequestThrottledException")]));
    assert_eq!((byte(&source, 0).unwrap(), source.read().blocks, source.failure()), (1, 3, None));

    let source = open(Memory::of(&[0, 1]).failing([told("AccessDeniedException")]));
    assert!(byte(&source, 0).unwrap_err().to_string().contains("ebs:GetSnapshotBlock is not permitted"));
    assert!(byte(&source, BLOCK).is_err(), "what was refused once is not asked for again");
    assert_eq!((source.read().blocks, source.failure()), (1, Some(told("AccessDeniedException"))));

    let always = std::iter::repeat_n(told("RequestThrottledException"), 9);
    let source = open(Memory::of(&[0]).failing(always));
    assert!(byte(&source, 0).is_err());
    assert_eq!(source.read().blocks, u64::from(BLOCK_TRIES_MAX));
}

#[test]
fn a_token_that_is_no_longer_good_is_had_anew() {
    let memory = Arc::new(Memory::of(&[0, 1]));
    let source = SnapshotSource::open(Box::new(Shared(Arc::clone(&memory))), "snap-1").unwrap();
    byte(&source, 0).unwrap();
    memory.tokens_of.fetch_add(1, Ordering::Relaxed);
    assert_eq!(byte(&source, BLOCK).unwrap(), 2);
}

struct Shared(Arc<Memory>);

impl Blocks for Shared {
    fn list(&self, first: u32, token: Option<&str>) -> std::result::Result<Listed, BlockError> {
        self.0.list(first, token)
    }

    fn get(&self, index: u32, token: &str) -> std::result::Result<Vec<u8>, BlockError> {
        self.0.get(index, token)
    }
}
