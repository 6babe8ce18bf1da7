//! An operator whose state and outputs tell on anything lost, doubled or out of order, and what they must be: those of the embedded log.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use cloudigrade_pipeline::contract::PARTITIONS_MIN;
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::engine::{Cx, Operator, step};
use cloudigrade_pipeline::log::{KeyValue, Log, LogError, Output, PollLimits, Record, StateRead, Task};
use cloudigrade_schemas::Topic;

use super::super::KafkaLog;
use super::{ALL, AT_ONCE, READER, SOURCE, STORE, output, outputs, patiently};

/// Where the operator's records go: a topic that keeps all.
pub(super) const COPIES: Topic = Topic::CloudTrailRecords;
/// Different keys of the input.
const KEYS: u32 = 7;
/// Records that one step consumes, so that a crash has many commits to fall between.
const STEP: PollLimits = PollLimits { records: 5, ..AT_ONCE };

/// Appends each value to those of its key, and tells what came of it.
pub(super) struct Chain;

impl Operator for Chain {
    fn inputs(&self) -> &'static [Topic] {
        READER.inputs
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        for record in records {
            let mut chain = cx.get(STORE, record.partition, &record.key)?.unwrap_or_default();
            chain.extend_from_slice(&record.value);
            chain.push(b',');
            // Every tenth starts anew, so that keys are deleted too.
            if chain.iter().filter(|byte| **byte == b',').count() < 10 {
                cx.put(STORE, record.partition, &record.key, chain.clone());
            } else {
                cx.delete(STORE, record.partition, &record.key);
            }
            cx.send_to(COPIES, record.partition, &record.key, chain, record.entered_at);
        }
        Ok(())
    }
}

/// The records of an input by their numbers.
pub(super) fn input(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Output> {
    numbers.map(|n| output(Topic::PowerEvents, n % PARTITIONS_MIN, &format!("key-{}", n / PARTITIONS_MIN % KEYS), &n.to_string()))
}

/// Appends an input to a log, a few records a commit.
pub(super) fn feed(log: &impl Log, numbers: std::ops::Range<u32>) {
    const COMMIT: usize = 10;
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    let records: Vec<_> = input(numbers).collect();
    for records in records.chunks(COMMIT) {
        patiently(|| source.commit(outputs(records.iter().cloned()))).unwrap();
    }
}

/// One step of the operator.
pub(super) fn step_once(task: &mut impl Task) -> Result<usize, LogError> {
    step(task, PARTITIONS_MIN, &[&Chain], STEP).map(|step| step.consumed)
}

/// Runs the operator until nothing is left.
pub(super) fn drain(log: &impl Log) {
    let mut task = patiently(|| log.open_task(READER, &ALL)).unwrap();
    while patiently(|| step_once(&mut task)).unwrap() > 0 {}
}

/// Whether the task has consumed as many records as were fed.
pub(super) fn is_drained(log: &KafkaLog) -> bool {
    let positions = patiently(|| log.positions(READER)).unwrap();
    positions.iter().all(|position| position.offset >= patiently(|| log.end(position.topic, position.partition)).unwrap().offset - 1)
}

/// What is in a log in the end: each partition's records and state.
pub(super) type Outcome = BTreeMap<u32, (Vec<(Vec<u8>, Vec<u8>)>, Vec<KeyValue>)>;

/// What is in a log. Whoever has the task is fenced.
pub(super) fn outcome(log: &impl Log) -> Outcome {
    look(log, &patiently(|| log.open_task(READER, &ALL)).unwrap())
}

/// What is in a log, with the state as it is read here.
pub(super) fn look(log: &impl Log, state: &impl StateRead) -> Outcome {
    let of = |partition: u32| {
        let records = super::read_all(log, COPIES, partition).into_iter().map(|record| (record.key, record.value)).collect();
        (partition, (records, patiently(|| state.scan(STORE, partition, b"")).unwrap()))
    };
    ALL.into_iter().map(of).collect()
}

/// An embedded log with as many partitions.
pub(super) fn embedded(folder: &Path) -> EmbeddedLog {
    let options = EmbeddedOptions { partitions: NonZeroU32::new(PARTITIONS_MIN).unwrap(), ..EmbeddedOptions::default() };
    EmbeddedLog::open(folder, options).unwrap()
}

/// What the embedded log makes of the same input.
pub(super) fn expected(numbers: std::ops::Range<u32>) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let log = embedded(folder.path());
    feed(&log, numbers);
    drain(&log);
    outcome(&log)
}

/// Says where two outcomes differ, without printing all of them.
pub(super) fn assert_same(found: &Outcome, expected: &Outcome) {
    for (partition, (records, state)) in expected {
        let (found_records, found_state) = &found[partition];
        let differs = records.iter().zip(found_records).position(|(a, b)| a != b);
        let text = |records: &[(Vec<u8>, Vec<u8>)]| -> Vec<String> {
            let from = differs.unwrap_or_else(|| records.len().saturating_sub(2));
            records[from.min(records.len())..].iter().take(3).map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
        };
        assert!(
            found_records == records,
            "partition {partition}: {} records, not {}; from {differs:?} on {:?}, not {:?}",
            found_records.len(),
            records.len(),
            text(found_records),
            text(records)
        );
        assert!(found_state == state, "partition {partition}: another state");
    }
}
