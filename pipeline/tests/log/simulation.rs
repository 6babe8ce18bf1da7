//! Operators over a log with faults: whatever happens, the result is what the input alone says, and an injected bug shows.

use std::collections::BTreeMap;

use cloudigrade_pipeline::engine::{Cx, Operator, step};
use cloudigrade_pipeline::log::{Log, LogError, Output, PollLimits, Position, Record, StateRead, Store, Task, TaskSpec, Txn};
use cloudigrade_pipeline::simulated::{Bug, Event, Faults, SimulatedLog};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Topic, UtcSecond};

const PARTITIONS: u32 = 4;
const SEEDS: u64 = 300;
const STORE: Store = Store("sums");
const SOURCE: TaskSpec = TaskSpec::alone("source", &[]);
const SUMS: TaskSpec = TaskSpec::alone("sums", &[Topic::CloudTrailRecords]);
const COPY: TaskSpec = TaskSpec::alone("copy", &[Topic::PowerEvents]);
const ALL: [u32; PARTITIONS as usize] = [0, 1, 2, 3];
/// Chunks of records that the source commits, and records in each.
const CHUNKS: u32 = 12;
const CHUNK_RECORDS: u32 = 10;
/// Steps after which a run that makes no progress is given up.
const STEPS_MAX: usize = 10_000;

/// Keeps a running number of the records of each key, and sends it on with each.
struct Sums;

impl Operator for Sums {
    fn inputs(&self) -> &'static [Topic] {
        SUMS.inputs
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        for record in records {
            let before = cx.get(STORE, record.partition, &record.key)?.unwrap_or_default();
            let line = [before.as_slice(), record.value.as_slice(), b";"].concat();
            cx.put(STORE, record.partition, &record.key, line.clone());
            cx.send(Topic::PowerEvents, &record.key, line, record.entered_at);
        }
        Ok(())
    }
}

/// Sends the latest of each key on.
struct Copy;

impl Operator for Copy {
    fn inputs(&self) -> &'static [Topic] {
        COPY.inputs
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        for record in records {
            cx.send(Topic::Coverage, &record.key, record.value.clone(), record.entered_at);
        }
        Ok(())
    }
}

/// Opens a task, however often that takes.
fn open(log: &SimulatedLog, spec: TaskSpec) -> <SimulatedLog as Log>::Task {
    loop {
        match log.open_task(spec, &ALL) {
            Ok(task) => return task,
            Err(error) => assert!(matches!(error, LogError::Retry { .. }), "{error}"),
        }
    }
}

/// Commits a chunk. When the source is taken over it can not know whether it did, and sends it again.
fn send(log: &SimulatedLog, chunk: u32) {
    let record = |n: u32| {
        let key = format!("key{}", (chunk + n) % 7).into_bytes();
        let partition = partition_of(&key, PARTITIONS);
        Output { topic: Topic::CloudTrailRecords, partition, key, value: format!("{chunk}.{n}").into(), entered_at: UtcSecond(0) }
    };
    let txn = Txn { outputs: (0..CHUNK_RECORDS).map(record).collect(), ..Txn::default() };
    let mut task = open(log, SOURCE);
    for _ in 0..STEPS_MAX {
        match task.commit(txn.clone()) {
            Ok(()) => return,
            Err(LogError::Fenced { .. }) => task = open(log, SOURCE),
            Err(LogError::Abort { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no commit in {STEPS_MAX} attempts");
}

/// Runs operators a few steps, or until nothing is left.
fn work(log: &SimulatedLog, spec: TaskSpec, operator: &dyn Operator, steps: usize) {
    let limits = PollLimits { records: 16, ..PollLimits::default() };
    let mut task = open(log, spec);
    for _ in 0..steps {
        match step(&mut task, PARTITIONS, &[operator], limits) {
            Ok(done) if done.consumed == 0 => return,
            Ok(_) | Err(LogError::Retry { .. } | LogError::Abort { .. }) => {}
            Err(LogError::Fenced { .. }) => task = open(log, spec),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(steps < STEPS_MAX, "no end in {steps} steps");
}

fn simulate(seed: u64, faults: Faults) -> SimulatedLog {
    let log = SimulatedLog::new(seed, PARTITIONS, faults);
    for chunk in 0..CHUNKS {
        send(&log, chunk);
        work(&log, SUMS, &Sums, 3);
        work(&log, COPY, &Copy, 3);
        if chunk % 5 == 4 {
            log.crash();
        }
    }
    // Liveness: once nothing fails any more, all that is left is worked off. A bug stays a bug.
    log.set_faults(Faults { bug: faults.bug, ..Faults::none() });
    work(&log, SUMS, &Sums, STEPS_MAX);
    work(&log, COPY, &Copy, STEPS_MAX);
    log
}

fn read(log: &SimulatedLog, topic: Topic) -> Vec<Record> {
    let all = PollLimits { records: usize::MAX, bytes: usize::MAX, ..PollLimits::default() };
    ALL.into_iter().flat_map(|partition| log.read(Position { topic, partition, offset: 0 }, all).unwrap()).collect()
}

/// Works out from the input alone what the log must hold, and says where it differs.
fn verify(log: &SimulatedLog) -> Result<(), String> {
    let mut expected: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let input = read(log, Topic::CloudTrailRecords);
    for record in &input {
        let lines = expected.entry(record.key.clone()).or_default();
        let line = [lines.last().map_or(&[][..], Vec::as_slice), &record.value, b";"].concat();
        lines.push(line);
    }
    let mut sent: Vec<_> = input.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect();
    sent.sort();
    sent.dedup();
    if sent.len() != (CHUNKS * CHUNK_RECORDS) as usize {
        return Err(format!("{} distinct records in the input", sent.len()));
    }
    let mut found: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    for record in read(log, Topic::PowerEvents) {
        found.entry(record.key).or_default().push(record.value);
    }
    if found != expected {
        return Err("outputs differ".into());
    }
    let latest: BTreeMap<_, _> = expected.into_iter().filter_map(|(key, mut lines)| Some((key, lines.pop()?))).collect();
    let copied: BTreeMap<_, _> = read(log, Topic::Coverage).into_iter().map(|record| (record.key, record.value)).collect();
    let state: BTreeMap<_, _> = ALL.into_iter().flat_map(|partition| log.scan(STORE, partition, b"").unwrap()).collect();
    if copied != latest || state != latest {
        return Err("state or compacted outputs differ".into());
    }
    Ok(())
}

#[test]
fn whatever_fails_the_result_is_what_the_input_says() {
    let mut events = Vec::new();
    for seed in 0..SEEDS {
        let log = simulate(seed, Faults::harsh());
        assert_eq!(verify(&log), Ok(()), "seed {seed}");
        events.extend(log.trace());
    }
    // A test of the test: all of it did happen.
    let happened = |wanted: fn(&Event) -> bool| events.iter().any(wanted);
    assert!(happened(|e| matches!(e, Event::RequestLost(_))));
    assert!(happened(|e| matches!(e, Event::ReplyLost(_))));
    assert!(happened(|e| matches!(e, Event::Aborted(_))));
    assert!(happened(|e| matches!(e, Event::TakenOver(_))));
    assert!(happened(|e| matches!(e, Event::Refused(_))));
    assert!(happened(|e| matches!(e, Event::Retried)));
    assert!(
        events.windows(3).any(|e| { matches!(e, [Event::ReplyLost(_), Event::TakenOver(_), Event::Refused(_)]) }),
        "a fenced commit that had happened"
    );
}

#[test]
fn a_source_that_is_not_taken_over_sends_each_record_once() {
    for seed in 0..SEEDS {
        let input = read(&simulate(seed, Faults::transient()), Topic::CloudTrailRecords);
        assert_eq!(input.len(), (CHUNKS * CHUNK_RECORDS) as usize, "seed {seed}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let (one, other) = (simulate(seed, Faults::harsh()), simulate(seed, Faults::harsh()));
        assert_eq!(one.trace(), other.trace(), "seed {seed}");
        for topic in Topic::ALL {
            assert_eq!(read(&one, topic), read(&other, topic), "seed {seed}");
        }
    }
    assert_ne!(simulate(1, Faults::harsh()).trace(), simulate(2, Faults::harsh()).trace());
}

#[test]
fn an_injected_bug_is_found_within_a_few_seeds() {
    const FEW: u64 = 20;
    for bug in [Bug::PositionsNotAtomic, Bug::CommitTwice, Bug::DropOutput] {
        let found = (0..FEW).find(|seed| verify(&simulate(*seed, Faults::harsh().with(bug))).is_err());
        assert!(found.is_some(), "{bug:?} was not found in {FEW} seeds");
    }
}
