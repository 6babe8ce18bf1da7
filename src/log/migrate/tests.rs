use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::{Log, Output, Position, StateChange, Task, Txn};
use cloudigrade_schemas::{Topic, UtcSecond};
use tempfile::TempDir;

use super::copy::positions_of;
use super::*;

/// Offsets of a topic that keeps the latest differ once it is copied: those of replaced records are not there any more.
const LATEST: Topic = Topic::ImageFacts;
const ALL: Topic = Topic::CloudTrailRecords;

fn log() -> (TempDir, DataLog) {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    (folder, DataLog::Embedded(log))
}

fn output(topic: Topic, partition: u32, key: u8, value: u8) -> Output {
    Output { topic, partition, key: vec![key], value: vec![value; 5], entered_at: UtcSecond(i64::from(value)) }
}

fn commit(log: &DataLog, task: TaskSpec, txn: Txn) {
    log.open_task(task, &[0, 1]).unwrap().commit(txn).unwrap();
}

fn position(topic: Topic, partition: u32, offset: u64) -> Position {
    Position { topic, partition, offset }
}

/// A log in the middle of its work.
fn busy() -> (TempDir, DataLog) {
    let (folder, log) = log();
    let store = all_stores()[0];
    for value in 0..5 {
        let outputs = (0..4).flat_map(|key| [output(LATEST, 1, key, value), output(ALL, 0, key, value)]);
        let change = StateChange { store, partition: 1, key: vec![value], value: Some(vec![value; 3]) };
        commit(&log, TaskSpec::of_each("source"), Txn { outputs: outputs.collect(), state: vec![change], ..Txn::default() });
    }
    commit(&log, TASKS[0], Txn { positions: vec![position(ALL, 0, 7)], ..Txn::default() });
    let images = TASKS.into_iter().find(|task| task.inputs.contains(&LATEST)).unwrap();
    commit(&log, images, Txn { positions: vec![position(LATEST, 1, 18)], ..Txn::default() });
    (folder, log)
}

fn digest_of(log: &DataLog) -> LogDigest {
    digest(log, &all_stores(), &all_tasks(), &Progress::default()).unwrap()
}

#[test]
fn a_copy_holds_the_same_and_each_task_goes_on_at_the_same_record() {
    let ((_from, from), (_to, to)) = (busy(), log());
    copy(&from, &to, &Progress::default()).unwrap();
    assert_eq!(digest_of(&from), digest_of(&to));
    assert_eq!(digest_of(&to).positions.count, 2);
    let images = TASKS.into_iter().find(|task| task.inputs.contains(&LATEST)).unwrap();
    // Of keys 0 to 3, the records at 16 to 19 are left, and lie at 0 to 3.
    assert_eq!(positions_of(&from, images).unwrap(), [position(LATEST, 1, 18)]);
    assert!(positions_of(&to, images).unwrap().contains(&position(LATEST, 1, 2)));
    assert!(positions_of(&to, TASKS[0]).unwrap().contains(&position(ALL, 0, 7)));
}

#[test]
fn copying_goes_on_where_it_was_broken_off_and_changes_nothing_when_all_is_there() {
    let ((_from, from), (_to, to)) = (busy(), log());
    // What a copy that was broken off leaves: some of the records, state that has changed since, and state that is gone since.
    let store = all_stores()[0];
    let change = |key, value| StateChange { store, partition: 1, key: vec![key], value: Some(vec![value]) };
    let outputs = (0..3).map(|key| output(ALL, 0, key, 0)).collect();
    commit(&to, TaskSpec::of_each("migrate"), Txn { outputs, state: vec![change(0, 9), change(99, 9)], ..Txn::default() });
    for _ in 0..2 {
        copy(&from, &to, &Progress::default()).unwrap();
        assert_eq!(digest_of(&from), digest_of(&to));
        assert_eq!(to.end(ALL, 0).unwrap().offset, 20);
    }
}

#[test]
fn what_is_not_the_beginning_of_the_log_is_refused() {
    for strange in [output(ALL, 0, 1, 0), output(LATEST, 1, 9, 9), output(ALL, 1, 0, 0)] {
        let ((_from, from), (_to, to)) = (busy(), log());
        let (topic, partition) = (strange.topic, strange.partition);
        commit(&to, TaskSpec::of_each("other"), Txn { outputs: vec![strange], ..Txn::default() });
        let refused = copy(&from, &to, &Progress::default()).unwrap_err();
        assert!(
            matches!(refused, MoveError::Differs { topic: at, partition: of, offset: 0 } if (at, of) == (topic, partition)),
            "{refused}"
        );
    }
}

#[test]
fn a_digest_tells_order_times_state_and_positions_apart() {
    let (_folder, log) = busy();
    let mut seen = vec![digest_of(&log)];
    let images = TASKS.into_iter().find(|task| task.inputs.contains(&LATEST)).unwrap();
    let store = all_stores()[0];
    for txn in [
        Txn { outputs: vec![output(LATEST, 1, 0, 4)], ..Txn::default() },
        Txn { state: vec![StateChange { store, partition: 0, key: vec![0], value: Some(vec![0; 3]) }], ..Txn::default() },
        Txn { positions: vec![position(LATEST, 1, 19)], ..Txn::default() },
        Txn { outputs: vec![Output { entered_at: UtcSecond(9), ..output(LATEST, 1, 0, 4) }], ..Txn::default() },
    ] {
        commit(&log, images, txn);
        let digest = digest_of(&log);
        assert!(!seen.contains(&digest));
        seen.push(digest);
    }
}
