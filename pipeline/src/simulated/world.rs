//! What is committed, and what goes wrong on the way there.

use std::collections::BTreeMap;

use cloudigrade_schemas::Topic;
use cloudigrade_schemas::topic::Keeps;

use crate::log::{KeyValue, LogError, Output, PollLimits, Position, Record, Store, TaskId, Txn};
use crate::simulated::faults::{Bug, Dice, Faults};

/// Offsets that a gap skips, at most.
const GAP_MAX: usize = 3;
/// One in how many commits with outputs [`Bug::DropOutput`] spoils.
const DROP_ONE_IN: usize = 10;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A task was opened.
    Opened(TaskId),
    /// A task read records.
    Polled {
        /// The task.
        task: TaskId,
        /// How many.
        records: usize,
    },
    /// A commit is in the log.
    Committed {
        /// The task.
        task: TaskId,
        /// How many records it appended.
        outputs: usize,
    },
    /// A commit did not arrive.
    RequestLost(TaskId),
    /// The answer to a commit that happened did not arrive.
    ReplyLost(TaskId),
    /// A commit was given up.
    Aborted(TaskId),
    /// Another process took a task over.
    TakenOver(TaskId),
    /// A task that was over tried to commit or poll.
    Refused(TaskId),
    /// Something was not possible right now.
    Retried,
    /// The process died.
    Crashed,
}

/// Whether an answer to a commit arrived.
pub(super) enum Delivery {
    Answered(Result<(), LogError>),
    Unknown,
}

/// One attempt at a commit.
pub(super) struct Attempt<'a> {
    pub(super) task: TaskId,
    pub(super) generation: u64,
    /// Tells the commits of one opened task apart; a repeated attempt has the number of the first.
    pub(super) number: u64,
    pub(super) txn: &'a Txn,
}

#[derive(Debug, Default)]
struct Partition {
    records: BTreeMap<u64, Record>,
    end: u64,
}

#[derive(Debug)]
pub(super) struct World {
    dice: Dice,
    faults: Faults,
    partitions: BTreeMap<(Topic, u32), Partition>,
    state: BTreeMap<(Store, u32, Vec<u8>), Vec<u8>>,
    positions: BTreeMap<(TaskId, Topic, u32), u64>,
    generations: BTreeMap<TaskId, u64>,
    /// The last commit of each task: its generation and number.
    applied: BTreeMap<TaskId, (u64, u64)>,
    trace: Vec<Event>,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            dice: Dice::new(seed),
            faults,
            partitions: BTreeMap::new(),
            state: BTreeMap::new(),
            positions: BTreeMap::new(),
            generations: BTreeMap::new(),
            applied: BTreeMap::new(),
            trace: Vec::new(),
        }
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    pub(super) fn trace(&self) -> &[Event] {
        &self.trace
    }

    pub(super) fn crash(&mut self) {
        self.trace.push(Event::Crashed);
        self.generations.values_mut().for_each(|generation| *generation += 1);
    }

    pub(super) fn maybe_retry(&mut self, doing: &'static str) -> Result<(), LogError> {
        if !self.dice.happens(self.faults.retry) {
            return Ok(());
        }
        self.trace.push(Event::Retried);
        Err(LogError::Retry { doing, cause: "simulated".into() })
    }

    /// Opens a task: its generation.
    pub(super) fn open(&mut self, task: TaskId) -> u64 {
        self.trace.push(Event::Opened(task));
        self.take_over(task)
    }

    fn take_over(&mut self, task: TaskId) -> u64 {
        let generation = self.generations.entry(task).or_default();
        *generation += 1;
        *generation
    }

    pub(super) fn position(&self, task: TaskId, topic: Topic, partition: u32) -> u64 {
        self.positions.get(&(task, topic, partition)).copied().unwrap_or(0)
    }

    pub(super) fn end(&self, topic: Topic, partition: u32) -> u64 {
        self.partitions.get(&(topic, partition)).map_or(0, |partition| partition.end)
    }

    /// Refuses a task that is over. Now and then it becomes over right here.
    pub(super) fn check_fence(&mut self, task: TaskId, generation: u64) -> Result<(), LogError> {
        if self.dice.happens(self.faults.takeover) {
            self.trace.push(Event::TakenOver(task));
            self.take_over(task);
        }
        if self.generations.get(&task) == Some(&generation) || self.faults.bug == Some(Bug::FenceIgnored) {
            return Ok(());
        }
        self.trace.push(Event::Refused(task));
        Err(LogError::Fenced { task })
    }

    /// Records from several positions on, which it moves: in order within a partition, in any order across partitions.
    pub(super) fn poll(&mut self, task: TaskId, next: &mut [Position], limits: PollLimits) -> Vec<Record> {
        let mut records_left = limits.records;
        if self.dice.happens(self.faults.short_poll) {
            records_left = records_left.min(1 + self.dice.below(8));
        }
        let (mut bytes_left, mut polled) = (limits.bytes, Vec::new());
        let mut waiting: Vec<usize> = (0..next.len()).collect();
        while records_left > 0 && bytes_left > 0 && !waiting.is_empty() {
            let chosen = self.dice.below(waiting.len());
            let at = &mut next[waiting[chosen]];
            let Some(record) = self.partitions.get(&(at.topic, at.partition)).and_then(|p| p.records.range(at.offset..).next()) else {
                waiting.swap_remove(chosen);
                continue;
            };
            let record = record.1.clone();
            at.offset = record.offset + 1;
            records_left -= 1;
            bytes_left = bytes_left.saturating_sub(record.key.len() + record.value.len());
            polled.push(record);
        }
        self.trace.push(Event::Polled { task, records: polled.len() });
        polled
    }

    pub(super) fn read(&self, from: Position, limits: PollLimits) -> Vec<Record> {
        let Some(partition) = self.partitions.get(&(from.topic, from.partition)) else { return Vec::new() };
        let mut bytes_left = limits.bytes;
        let within = |record: &&Record| {
            let fits = bytes_left > 0;
            bytes_left = bytes_left.saturating_sub(record.key.len() + record.value.len());
            fits
        };
        partition.records.range(from.offset..).map(|(_, record)| record).take(limits.records).take_while(within).cloned().collect()
    }

    pub(super) fn get(&self, store: Store, partition: u32, key: &[u8]) -> Option<Vec<u8>> {
        self.state.get(&(store, partition, key.to_vec())).cloned()
    }

    pub(super) fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Vec<KeyValue> {
        let from = (store, partition, prefix.to_vec());
        let found = self.state.range(from..).take_while(|((s, p, key), _)| *s == store && *p == partition && key.starts_with(prefix));
        found.map(|((_, _, key), value)| (key.clone(), value.clone())).collect()
    }

    /// One attempt at a commit arrives, or does not, and so does its answer.
    pub(super) fn deliver(&mut self, attempt: &Attempt<'_>) -> Delivery {
        let task = attempt.task;
        if let Err(fenced) = self.check_fence(task, attempt.generation) {
            return Delivery::Answered(Err(fenced));
        }
        if self.dice.happens(self.faults.lost_request) {
            self.trace.push(Event::RequestLost(task));
            return Delivery::Unknown;
        }
        let happened = self.applied.get(&task) == Some(&(attempt.generation, attempt.number));
        if happened && self.faults.bug != Some(Bug::CommitTwice) {
            return Delivery::Answered(Ok(()));
        }
        if !happened && self.dice.happens(self.faults.abort) {
            self.trace.push(Event::Aborted(task));
            if self.faults.bug == Some(Bug::PositionsNotAtomic) {
                self.move_positions(task, attempt.txn);
            }
            return Delivery::Answered(Err(LogError::Abort { task, cause: "simulated".into() }));
        }
        self.apply(attempt);
        if self.dice.happens(self.faults.lost_reply) {
            self.trace.push(Event::ReplyLost(task));
            return Delivery::Unknown;
        }
        Delivery::Answered(Ok(()))
    }

    fn apply(&mut self, attempt: &Attempt<'_>) {
        let Attempt { task, txn, .. } = *attempt;
        let drops = self.faults.bug == Some(Bug::DropOutput) && self.dice.below(DROP_ONE_IN) == 0;
        let dropped = drops.then(|| self.dice.below(txn.outputs.len()));
        for (_, output) in txn.outputs.iter().enumerate().filter(|(index, _)| Some(*index) != dropped) {
            self.append(output);
        }
        for output in &txn.outputs {
            if self.dice.happens(self.faults.gap) {
                let skipped = 1 + self.dice.below(GAP_MAX);
                self.partitions.entry((output.topic, output.partition)).or_default().end += skipped as u64;
            }
        }
        for change in &txn.state {
            let key = (change.store, change.partition, change.key.clone());
            match &change.value {
                Some(value) => self.state.insert(key, value.clone()),
                None => self.state.remove(&key),
            };
        }
        self.move_positions(task, txn);
        self.applied.insert(task, (attempt.generation, attempt.number));
        self.trace.push(Event::Committed { task, outputs: txn.outputs.len() });
    }

    fn append(&mut self, output: &Output) {
        let Output { topic, partition, key, value, entered_at } = output.clone();
        let records = self.partitions.entry((topic, partition)).or_default();
        if topic.keeps() == Keeps::Latest {
            records.records.retain(|_, record| record.key != key);
        }
        let offset = records.end;
        records.records.insert(offset, Record { topic, partition, offset, key, value, entered_at });
        records.end += 1;
    }

    fn move_positions(&mut self, task: TaskId, txn: &Txn) {
        for at in &txn.positions {
            self.positions.insert((task, at.topic, at.partition), at.offset);
        }
    }
}
