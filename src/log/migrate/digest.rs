//! What a log holds, in numbers that are equal when two logs hold the same, wherever each keeps it.

use std::collections::BTreeMap;

use cloudigrade_pipeline::log::{Log, LogError, Record, StateRead, Store, TaskId, TaskSpec};
use cloudigrade_schemas::Topic;
use sha2::{Digest, Sha256};

use super::copy::positions_of;
use super::progress::Progress;
use super::records::Records;
use crate::log::{DataLog, patiently};

/// A part of what a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many records, keys or positions.
    pub count: u64,
    /// SHA-256 over all of them.
    pub hash: String,
}

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDigest {
    /// Records of each topic, in the order of its partitions.
    pub topics: BTreeMap<&'static str, Part>,
    /// State, in the order of stores, partitions and keys.
    pub state: Part,
    /// Positions that are not at the beginning, each as how many records lie before it.
    pub positions: Part,
}

/// A hash with how much went into it.
#[derive(Default)]
struct Hash {
    hash: Sha256,
    count: u64,
}

impl Hash {
    /// Adds texts, so that no other texts give the same.
    fn add(&mut self, parts: &[&[u8]]) {
        self.count += 1;
        for part in parts {
            self.hash.update((part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
    }

    fn finish(self) -> Part {
        Part { count: self.count, hash: self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect() }
    }
}

/// Reads all of a log.
///
/// # Errors
/// Those of reading it.
pub fn digest(log: &DataLog, stores: &[Store], tasks: &[TaskSpec], progress: &Progress) -> Result<LogDigest, LogError> {
    let mut asked: BTreeMap<(Topic, u32), Vec<(u64, TaskId)>> = BTreeMap::new();
    for task in tasks {
        for position in positions_of(log, *task)? {
            asked.entry((position.topic, position.partition)).or_default().push((position.offset, task.id));
        }
    }
    let (mut topics, mut positions) = (BTreeMap::new(), Hash::default());
    for topic in Topic::ALL {
        let mut records = Hash::default();
        for partition in 0..log.partitions() {
            let asked = asked.get(&(topic, partition)).map(Vec::as_slice).unwrap_or_default();
            let mut before = vec![0_u64; asked.len()];
            let mut all = Records::of(log, topic, partition);
            while let Some(Record { offset, key, value, entered_at, .. }) = all.next()? {
                records.add(&[&partition.to_be_bytes(), &key, &value, &entered_at.0.to_be_bytes()]);
                for ((position, _), before) in asked.iter().zip(&mut before) {
                    *before += u64::from(offset < *position);
                }
                progress.add(1);
            }
            for ((_, task), before) in asked.iter().zip(before).filter(|(_, before)| *before > 0) {
                positions.add(&[task.0.as_bytes(), topic.name().as_bytes(), &partition.to_be_bytes(), &before.to_be_bytes()]);
            }
        }
        topics.insert(topic.name(), records.finish());
    }
    let mut state = Hash::default();
    for store in stores {
        for partition in 0..log.partitions() {
            for (key, value) in patiently(|| log.scan(*store, partition, b""))? {
                state.add(&[store.0.as_bytes(), &partition.to_be_bytes(), &key, &value]);
                progress.add(1);
            }
        }
    }
    Ok(LogDigest { topics, state: state.finish(), positions: positions.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_divided_otherwise_give_another_hash() {
        let hash = |parts: &[&[u8]]| {
            let mut hash = Hash::default();
            hash.add(parts);
            hash.finish().hash
        };
        assert_eq!(hash(&[b"ab", b"c"]), hash(&[b"ab", b"c"]));
        assert_ne!(hash(&[b"ab", b"c"]), hash(&[b"a", b"bc"]));
        assert_ne!(hash(&[b"ab"]), hash(&[b"ab", b""]));
    }
}
