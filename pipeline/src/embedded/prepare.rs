//! From a transaction to what is written: checked and encoded in the thread that commits, so that the writer only writes.

use std::collections::{BTreeMap, HashSet};

use cloudigrade_schemas::Topic;
use cloudigrade_schemas::topic::Keeps;

use crate::embedded::batch::{self, Entry};
use crate::embedded::layout::{self, Place};
use crate::limits;
use crate::log::{LogError, Output, TaskId, Txn};

/// A transaction, ready to be written.
#[derive(Default)]
pub(super) struct Prepared {
    /// What each partition gets, in the order of its records.
    pub(super) appends: Vec<(Place, Vec<Append>)>,
    /// Keys of [`layout::STATE`] with their new values, or `None` to delete them.
    pub(super) state: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Keys of [`layout::POSITIONS`] with their new offsets.
    pub(super) positions: Vec<(Vec<u8>, u64)>,
}

/// Records that follow each other in a partition.
pub(super) enum Append {
    /// To a topic that keeps all records.
    Batch {
        /// How many.
        records: u64,
        /// Encoded by [`batch`].
        bytes: Vec<u8>,
    },
    /// One record, which replaces the one with its key.
    Latest {
        /// Key of [`layout::LATEST`].
        key: Vec<u8>,
        /// The record, encoded by [`batch`].
        bytes: Vec<u8>,
    },
}

impl Prepared {
    /// Checks and encodes a transaction of a task.
    ///
    /// # Errors
    /// [`LogError::TooLarge`].
    pub(super) fn new(task: TaskId, txn: Txn) -> Result<Self, LogError> {
        txn.check_limits()?;
        let state = txn.state.into_iter().map(|change| (layout::state_key(change.store, change.partition, &change.key), change.value));
        let positions = txn.positions.iter().map(|at| (layout::position_key(task, layout::place(at.topic, at.partition)), at.offset));
        Ok(Self { appends: appends(&txn.outputs), state: state.collect(), positions: positions.collect() })
    }

    /// Whether there is nothing to write.
    pub(super) fn is_empty(&self) -> bool {
        self.appends.is_empty() && self.state.is_empty() && self.positions.is_empty()
    }
}

fn appends(outputs: &[Output]) -> Vec<(Place, Vec<Append>)> {
    let mut by_place: BTreeMap<(Topic, u32), Vec<&Output>> = BTreeMap::new();
    for output in outputs {
        by_place.entry((output.topic, output.partition)).or_default().push(output);
    }
    let encode = |((topic, partition), outputs): ((Topic, u32), Vec<&Output>)| {
        let place = layout::place(topic, partition);
        let appends = match topic.keeps() {
            Keeps::All => batches(&outputs),
            Keeps::Latest => latest_of(&outputs).into_iter().map(|output| latest(place, output)).collect(),
        };
        (place, appends)
    };
    by_place.into_iter().map(encode).collect()
}

/// The last record of each key: those before it would be replaced in the same commit, so nobody could ever read them.
fn latest_of<'o>(outputs: &[&'o Output]) -> Vec<&'o Output> {
    let mut keys = HashSet::with_capacity(outputs.len());
    let mut latest: Vec<&Output> = outputs.iter().rev().copied().filter(|output| keys.insert(output.key.as_slice())).collect();
    latest.reverse();
    latest
}

fn latest(place: Place, output: &Output) -> Append {
    let mut bytes = batch::begin(batch::encoded_len(&output.key, &output.value));
    batch::push(&mut bytes, &entry(output));
    Append::Latest { key: layout::latest_key(place, &output.key), bytes: batch::finish(bytes) }
}

/// Divides records into batches, each of one record or at most [`limits::BATCH_BYTES_MAX`] bytes.
fn batches(outputs: &[&Output]) -> Vec<Append> {
    let mut batches = Vec::new();
    let (mut records, mut bytes) = (0, batch::begin(0));
    for output in outputs {
        if records > 0 && bytes.len() + batch::encoded_len(&output.key, &output.value) > limits::BATCH_BYTES_MAX {
            batches.push(Append::Batch { records, bytes: batch::finish(std::mem::replace(&mut bytes, batch::begin(0))) });
            records = 0;
        }
        batch::push(&mut bytes, &entry(output));
        records += 1;
    }
    batches.push(Append::Batch { records, bytes: batch::finish(bytes) });
    batches
}

fn entry(output: &Output) -> Entry<'_> {
    Entry { key: &output.key, value: &output.value, entered_at: output.entered_at }
}
