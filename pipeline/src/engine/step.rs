//! The loop's body, written once for every log: poll, fold, commit.

use std::collections::BTreeMap;

use crate::engine::{Cx, Operator};
use crate::log::{LogError, PollLimits, Position, Record, Task};

/// What operators counted, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(BTreeMap<&'static str, u64>);

impl Counters {
    /// Adds to a counter.
    pub fn add(&mut self, name: &'static str, n: u64) {
        *self.0.entry(name).or_default() += n;
    }

    /// A counter's value.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds all of another's counters.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.0 {
            self.add(name, *n);
        }
    }

    /// All counters, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(name, n)| (*name, *n))
    }
}

/// What one step did.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Records consumed; none when there was nothing to read.
    pub consumed: usize,
    /// Records produced.
    pub produced: usize,
    /// What the operators counted. Only committed batches count.
    pub counters: Counters,
}

/// Polls once, gives each operator the records of its inputs, and commits what came of it with the positions behind the batch.
///
/// # Errors
/// Those of [`Task::poll`] and [`Task::commit`]. After [`LogError::Abort`] the next step reads the same records again.
pub fn step<T: Task>(task: &mut T, partitions: u32, operators: &[&dyn Operator], limits: PollLimits) -> Result<Step, LogError> {
    let records = task.poll(limits)?;
    if records.is_empty() {
        return Ok(Step::default());
    }
    let mut cx = Cx::new(&*task, partitions);
    for operator in operators {
        let wanted: Vec<&Record> = records.iter().filter(|record| operator.inputs().contains(&record.topic)).collect();
        if !wanted.is_empty() {
            operator.fold(&mut cx, &wanted)?;
        }
    }
    let (mut txn, counters) = cx.finish();
    txn.positions = positions_behind(&records);
    let produced = txn.outputs.len();
    task.commit(txn)?;
    Ok(Step { consumed: records.len(), produced, counters })
}

fn positions_behind(records: &[Record]) -> Vec<Position> {
    let mut behind = BTreeMap::new();
    for record in records {
        behind.insert((record.topic, record.partition), record.offset + 1);
    }
    behind.into_iter().map(|((topic, partition), offset)| Position { topic, partition, offset }).collect()
}
