//! A crash at any moment leaves the embedded log with each commit whole or absent, and with all that were acknowledged.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::num::NonZeroU32;

use crate::disk::{Disk, Op, Unsynced, crash_image};
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions, EmbeddedTask};
use cloudigrade_pipeline::log::{Log, LogError, Output, PollLimits, Position, Record, StateChange, StateRead, Store, Task, TaskSpec, Txn};
use cloudigrade_schemas::{Topic, UtcSecond};

const PARTITIONS: u32 = 2;
const STORE: Store = Store("store");
const TASK: TaskSpec = TaskSpec::alone("task", &[Topic::CloudTrailRecords]);
/// Chosen subsets of unsynced sectors for each crash position.
const SUBSETS: u64 = 5;

fn open(disk: Disk) -> EmbeddedLog {
    // A small cache, so that pages are also written in the midst of a transaction.
    let options = EmbeddedOptions { partitions: NonZeroU32::new(PARTITIONS).unwrap(), cache_bytes: 64 << 10 };
    EmbeddedLog::open_backend(disk, options).unwrap()
}

fn open_task(log: &EmbeddedLog) -> EmbeddedTask {
    log.open_task(TASK, &[0, 1]).unwrap()
}

fn output(topic: Topic, partition: u32, key: &str, value_len: usize) -> Output {
    let value = format!("{key}:").bytes().cycle().take(value_len).collect();
    Output { topic, partition, key: key.into(), value, entered_at: UtcSecond(0) }
}

fn put(key: &str, value: Option<&str>) -> StateChange {
    StateChange { store: STORE, partition: 1, key: key.into(), value: value.map(Into::into) }
}

fn at(offset: u64) -> Position {
    Position { topic: Topic::CloudTrailRecords, partition: 0, offset }
}

/// Commits of each kind: appending, replacing in compacted topics, changing and deleting state, growing the file.
fn commits() -> Vec<Txn> {
    let trail =
        |n: usize, len| (0..n).map(|i| output(Topic::CloudTrailRecords, i as u32 % PARTITIONS, &format!("r{i}"), len)).collect::<Vec<_>>();
    let coverage = |key, len| output(Topic::Coverage, 0, key, len);
    vec![
        Txn { outputs: trail(3, 40), ..Txn::default() },
        Txn {
            outputs: vec![coverage("a", 10), coverage("b", 10)],
            state: vec![put("a", Some("1")), put("b", Some("1"))],
            positions: vec![at(1)],
        },
        Txn { outputs: trail(20, 3000), state: vec![put("a", Some("2"))], positions: vec![at(2)] },
        Txn { outputs: vec![coverage("a", 5000), coverage("a", 20)], state: vec![put("b", None)], positions: vec![at(5)] },
        // More than the file holds at first.
        Txn { outputs: trail(10, 200_000), state: (0..50).map(|i| put(&format!("many{i}"), Some("x"))).collect(), positions: vec![at(9)] },
        Txn { outputs: vec![coverage("c", 10)], state: vec![put("a", None)], positions: vec![at(10)] },
    ]
}

/// All that can be seen of a log.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    records: Vec<Record>,
    ends: Vec<Position>,
    state: Vec<(Vec<u8>, Vec<u8>)>,
    positions: Vec<Position>,
}

fn look(log: &EmbeddedLog) -> Seen {
    let (mut records, mut ends) = (Vec::new(), Vec::new());
    let all = PollLimits { records: usize::MAX, bytes: usize::MAX, ..PollLimits::default() };
    for topic in Topic::ALL {
        for partition in 0..PARTITIONS {
            records.extend(log.read(Position { topic, partition, offset: 0 }, all).unwrap());
            ends.push(log.end(topic, partition).unwrap());
        }
    }
    Seen { records, ends, state: log.scan(STORE, 1, b"").unwrap(), positions: log.positions(TASK.id).unwrap() }
}

/// A run without a crash: each operation on the disk, what was seen after each commit, and when each was acknowledged.
struct Run {
    ops: Vec<Op>,
    /// Before any commit, and after each.
    seen: Vec<Seen>,
    /// The number of operations at which each commit was acknowledged.
    acknowledged: Vec<usize>,
}

fn run() -> Run {
    let disk = Disk::default();
    let log = open(disk.clone());
    let (mut seen, mut acknowledged) = (vec![look(&log)], Vec::new());
    let mut task = open_task(&log);
    for txn in commits() {
        task.commit(txn).unwrap();
        acknowledged.push(disk.op_count());
        seen.push(look(&log));
    }
    let distinct = (0..seen.len()).all(|a| (0..a).all(|b| seen[a] != seen[b]));
    assert!(distinct, "commits that change nothing would prove nothing");
    drop((task, log));
    // Closing the file writes too, and can be interrupted.
    Run { ops: disk.ops(), seen, acknowledged }
}

/// Opens what a crash left; returns how many commits it holds.
fn reopen(run: &Run, image: Vec<u8>, what: &str) -> usize {
    let log = open(Disk::holding(image));
    let found = look(&log);
    let held = run.seen.iter().position(|seen| *seen == found);
    held.unwrap_or_else(|| panic!("{what}: a state that no commit left: ends {:?}, positions {:?}", found.ends, found.positions))
}

#[test]
fn a_crash_at_any_operation_leaves_old_or_new_and_all_that_was_acknowledged() {
    let run = run();
    let (mut synced, mut synced_at) = (Vec::new(), 0);
    let mut held = BTreeSet::new();
    for cut in 0..=run.ops.len() {
        let acknowledged = run.acknowledged.iter().filter(|at| **at <= cut).count();
        let subsets = (0..SUBSETS).map(|n| Unsynced::Some(cut as u64 * SUBSETS + n));
        for unsynced in [Unsynced::All, Unsynced::LastTorn, Unsynced::None].into_iter().chain(subsets) {
            let what = format!("crash behind operation {cut}, {unsynced:?}");
            let image = crash_image((&synced, synced_at), &run.ops[..cut], unsynced);
            let commits = reopen(&run, image, &what);
            assert!((acknowledged..=acknowledged + 1).contains(&commits), "{what}: {commits} commits, {acknowledged} were acknowledged");
            held.insert((acknowledged, commits));
        }
        if let Some(Op::Sync) = run.ops.get(cut) {
            synced = crash_image((&synced, synced_at), &run.ops[..cut], Unsynced::All);
            synced_at = cut + 1;
        }
    }
    // Each commit was seen both undone and done before its acknowledgement, so the cuts did fall within.
    for commit in 0..run.acknowledged.len() {
        assert!(held.contains(&(commit, commit)) && held.contains(&(commit, commit + 1)), "commit {commit}: {held:?}");
    }
}

#[test]
fn after_a_crash_the_remaining_commits_give_the_same_log() {
    let run = run();
    let steps = run.ops.len() / 40;
    for cut in (0..run.ops.len()).step_by(steps.max(1)) {
        let image = crash_image((&[], 0), &run.ops[..cut], Unsynced::All);
        let log = open(Disk::holding(image));
        let held = run.seen.iter().position(|seen| *seen == look(&log)).unwrap();
        let mut task = open_task(&log);
        for txn in commits().split_off(held) {
            task.commit(txn).unwrap();
        }
        assert_eq!(look(&log), *run.seen.last().unwrap(), "crash behind operation {cut}");
    }
}

#[test]
fn a_disk_that_fails_at_any_operation_acknowledges_nothing_and_opens_again() {
    let run = run();
    // Failures from the first commit on; opening is tested elsewhere.
    let begin = run.acknowledged[0];
    let end = *run.acknowledged.last().unwrap();
    for fails_at in (begin..end).step_by(5) {
        let disk = Disk::default();
        let log = open(disk.clone());
        let mut task = open_task(&log);
        disk.fail_from(fails_at, ErrorKind::StorageFull);
        let mut acknowledged = 0;
        for txn in commits() {
            match task.commit(txn) {
                Ok(()) => acknowledged += 1,
                Err(LogError::Storage { help, .. }) => assert!(help.starts_with("free space"), "{help}"),
                Err(other) => panic!("failing at {fails_at}: {other:?}"),
            }
        }
        assert!(acknowledged < run.acknowledged.len(), "failing at {fails_at} was not noticed");
        // The first failure is the end, even if there is room again.
        disk.fail_from(usize::MAX, ErrorKind::StorageFull);
        assert!(matches!(task.commit(commits().remove(0)), Err(LogError::Storage { .. })));
        assert!(matches!(log.open_task(TASK, &[0]), Err(LogError::Storage { .. })));
        drop((task, log));
        let commits = reopen(&run, disk.content(), &format!("failing at {fails_at}"));
        assert!(
            (acknowledged..=acknowledged + 1).contains(&commits),
            "failing at {fails_at}: {commits} commits, {acknowledged} acknowledged"
        );
    }
}

/// What tasks committed that ran at the same time, each to a partition of its own.
struct Crowd {
    ops: Vec<Op>,
    /// For each task, the number of operations at which each commit was acknowledged, or a little later.
    acknowledged: Vec<Vec<usize>>,
}

const CROWD: [TaskSpec; 4] =
    [TaskSpec::alone("crowd.0", &[]), TaskSpec::alone("crowd.1", &[]), TaskSpec::alone("crowd.2", &[]), TaskSpec::alone("crowd.3", &[])];
const CROWD_COMMITS: u64 = 6;

fn open_crowd(disk: Disk) -> EmbeddedLog {
    let options = EmbeddedOptions { partitions: NonZeroU32::new(CROWD.len() as u32).unwrap(), ..EmbeddedOptions::default() };
    EmbeddedLog::open_backend(disk, options).unwrap()
}

fn run_crowd() -> Crowd {
    let disk = Disk::default();
    let log = open_crowd(disk.clone());
    let work = |spec: TaskSpec, partition: u32| {
        let mut task = log.open_task(spec, &[partition]).unwrap();
        let commit = |n: u64| {
            let state = vec![StateChange { store: STORE, partition, key: b"n".to_vec(), value: Some(n.to_string().into_bytes()) }];
            let outputs = vec![output(Topic::PowerEvents, partition, &n.to_string(), 500)];
            task.commit(Txn { outputs, state, positions: vec![Position { topic: Topic::CloudTrailRecords, partition, offset: n }] })
                .unwrap();
            disk.op_count()
        };
        (1..=CROWD_COMMITS).map(commit).collect()
    };
    let acknowledged = std::thread::scope(|threads| {
        let running: Vec<_> = CROWD.into_iter().zip(0..).map(|(spec, partition)| threads.spawn(move || work(spec, partition))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    Crowd { ops: disk.ops(), acknowledged }
}

#[test]
fn a_crash_leaves_each_commit_of_a_group_whole_or_absent() {
    let crowd = run_crowd();
    for cut in 0..=crowd.ops.len() {
        let log = open_crowd(Disk::holding(crash_image((&[], 0), &crowd.ops[..cut], Unsynced::All)));
        for ((spec, partition), acknowledged) in CROWD.into_iter().zip(0..).zip(&crowd.acknowledged) {
            let commits = log.end(Topic::PowerEvents, partition).unwrap().offset;
            let acknowledged = acknowledged.iter().filter(|at| **at <= cut).count() as u64;
            assert!(
                (acknowledged..=acknowledged + 1).contains(&commits),
                "operation {cut}: {commits} commits, {acknowledged} acknowledged"
            );
            let records = log.read(Position { topic: Topic::PowerEvents, partition, offset: 0 }, PollLimits::default()).unwrap();
            let state = log.get(STORE, partition, b"n").unwrap().map_or(0, |n| String::from_utf8(n).unwrap().parse().unwrap());
            let position = log.positions(spec.id).unwrap().first().map_or(0, |position| position.offset);
            assert_eq!((records.len() as u64, state, position), (commits, commits, commits), "operation {cut}");
        }
    }
}
