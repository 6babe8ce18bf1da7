//! The contract of [`crate::log`] as claims that can be checked on any log. For the tests of those who write one.
//!
//! A [`Fixture`] wraps the log under test and can crash it. [`check`] runs every claim on a fresh one and returns those that are broken,
//! so that a log that was broken on purpose can be shown to be found out.
//!
//! Claims allow what the contract allows: gaps between offsets, commits that are given up and calls that must be repeated.

mod commits;
mod compaction;
mod fencing;
mod reading;
mod state;
mod threads;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloudigrade_schemas::{Topic, UtcSecond};

use crate::log::{Log, LogError, Output, PollLimits, Position, Record, StateChange, Store, Task, TaskSpec, Txn};

/// How often a call that answers [`LogError::Retry`] or [`LogError::Abort`] is repeated before a claim gives up.
const ATTEMPTS_MAX: usize = 1000;
/// Polls without a record after which nothing more is expected.
const EMPTY_POLLS_MAX: usize = 3;

/// A log under test.
pub trait Fixture {
    /// The log.
    type Log: Log;

    /// The log. It has at least [`PARTITIONS_MIN`] partitions and is empty at first.
    fn log(&self) -> &Self::Log;

    /// Ends the process that has the log open, without a goodbye, and opens it again. No task is open at that moment.
    fn crash(&mut self);

    /// Whether a topic that keeps the latest shows each key only once. A log that compacts in the background says no.
    fn compacts_at_once(&self) -> bool {
        true
    }
}

/// How many partitions the claims use.
pub const PARTITIONS_MIN: u32 = 4;

/// A claim that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The claim.
    pub claim: &'static str,
    /// What was seen instead.
    pub detail: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not true that {}: {}", self.claim.replace('_', " "), self.detail)
    }
}

/// Why a claim does not hold.
#[derive(Debug)]
struct Why(String);

impl From<LogError> for Why {
    fn from(error: LogError) -> Self {
        Self(format!("unexpected answer: {error}"))
    }
}

type Verdict = Result<(), Why>;
type Claim<F> = (&'static str, fn(&mut F) -> Verdict);

/// Checks all claims, each on a fresh log, and returns the broken ones.
pub fn check<F: Fixture>(fresh: impl Fn() -> F) -> Vec<Broken> {
    let claims: Vec<Claim<F>> =
        [commits::claims(), compaction::claims(), fencing::claims(), reading::claims(), state::claims(), threads::claims()].concat();
    let broken = |(claim, holds): Claim<F>| holds(&mut fresh()).err().map(|Why(detail)| Broken { claim, detail });
    claims.into_iter().filter_map(broken).collect()
}

const SOURCE: TaskSpec = TaskSpec::alone("contract.source", &[]);
const READER: TaskSpec = TaskSpec::alone("contract.reader", &[Topic::CloudTrailRecords, Topic::PowerEvents]);
const STORE: Store = Store("contract");
const ALL: [u32; PARTITIONS_MIN as usize] = [0, 1, 2, 3];
const AT_ONCE: PollLimits = PollLimits { records: 1000, bytes: 1 << 20, wait: Duration::ZERO };

/// How long a poll waits that something else is to end: only a broken log waits so long.
const WAIT: Duration = Duration::from_secs(60);

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Why(otherwise())) }
}

fn ensure_eq<T: PartialEq + fmt::Debug>(what: &str, found: T, expected: T) -> Verdict {
    ensure(found == expected, || format!("{what}: found {found:?}, expected {expected:?}"))
}

/// A record for a topic that keeps all, or the latest.
fn output(topic: Topic, partition: u32, key: &str, value: &str) -> Output {
    Output { topic, partition, key: key.into(), value: value.into(), entered_at: UtcSecond(1_700_000_000) }
}

fn put(partition: u32, key: &str, value: &str) -> StateChange {
    StateChange { store: STORE, partition, key: key.into(), value: Some(value.into()) }
}

fn outputs(outputs: impl IntoIterator<Item = Output>) -> Txn {
    Txn { outputs: outputs.into_iter().collect(), ..Txn::default() }
}

/// Repeats a call while it answers that it may succeed later.
fn patiently<T>(mut call: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
    let mut answer = call();
    for _ in 0..ATTEMPTS_MAX {
        match answer {
            Err(LogError::Retry { .. } | LogError::Abort { .. }) => answer = call(),
            _ => break,
        }
    }
    answer
}

fn open<L: Log>(log: &L, spec: TaskSpec, partitions: &[u32]) -> Result<L::Task, LogError> {
    patiently(|| log.open_task(spec, partitions))
}

fn commit(task: &mut impl Task, txn: &Txn) -> Result<(), LogError> {
    patiently(|| task.commit(txn.clone()))
}

/// Commits through a source of its own.
fn append(log: &impl Log, records: impl IntoIterator<Item = Output>) -> Result<(), LogError> {
    commit(&mut open(log, SOURCE, &ALL)?, &outputs(records))
}

/// Polls until nothing more comes.
fn poll_all(task: &mut impl Task) -> Result<Vec<Record>, LogError> {
    let (mut records, mut empty) = (Vec::new(), 0);
    while empty < EMPTY_POLLS_MAX {
        let polled = patiently(|| task.poll(AT_ONCE))?;
        empty = if polled.is_empty() { empty + 1 } else { 0 };
        records.extend(polled);
    }
    Ok(records)
}

/// Polls with a long wait until a record comes, or, once `done` was set, a few polls brought none.
fn poll_waiting(task: &mut impl Task, done: &AtomicBool) -> Result<Vec<Record>, LogError> {
    let mut empty = 0;
    loop {
        let is_done = done.load(Ordering::Acquire);
        let polled = patiently(|| task.poll(PollLimits { wait: WAIT, ..AT_ONCE }))?;
        if !polled.is_empty() || empty == EMPTY_POLLS_MAX {
            return Ok(polled);
        }
        empty += usize::from(is_done);
    }
}

/// Reads a partition from its beginning.
fn read_all(log: &impl Log, topic: Topic, partition: u32) -> Result<Vec<Record>, LogError> {
    let mut from = Position { topic, partition, offset: 0 };
    let mut records: Vec<Record> = Vec::new();
    loop {
        let read = patiently(|| log.read(from, AT_ONCE))?;
        match read.last() {
            Some(last) => from.offset = last.offset + 1,
            None => return Ok(records),
        }
        records.extend(read);
    }
}

/// The values of records, in order.
fn values<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<String> {
    records.into_iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
}

/// The values of a partition, in order.
fn values_in(log: &impl Log, topic: Topic, partition: u32) -> Result<Vec<String>, LogError> {
    Ok(values(&read_all(log, topic, partition)?))
}

/// The positions behind records.
fn behind(records: &[Record]) -> Vec<Position> {
    let behind: BTreeMap<_, _> = records.iter().map(|record| ((record.topic, record.partition), record.offset + 1)).collect();
    behind.into_iter().map(|((topic, partition), offset)| Position { topic, partition, offset }).collect()
}
