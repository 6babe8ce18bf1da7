//! Opening the embedded log: what it makes, refuses and repairs.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::channel;

use crate::disk::Disk;
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions, OpenError};
use cloudigrade_pipeline::log::{Log, Output, PollLimits, Position, Task, TaskSpec, Txn};
use cloudigrade_schemas::topic::DEFAULT_PARTITIONS;
use cloudigrade_schemas::{Topic, UtcSecond};
use redb::{Database, TableDefinition};

const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
const SOURCE: TaskSpec = TaskSpec::alone("source", &[]);

fn open(folder: &Path) -> Result<EmbeddedLog, OpenError> {
    EmbeddedLog::open(folder, EmbeddedOptions::default())
}

fn record(n: u32) -> Output {
    Output { topic: Topic::CloudTrailRecords, partition: 0, key: b"k".to_vec(), value: n.to_be_bytes().into(), entered_at: UtcSecond(0) }
}

fn append(log: &EmbeddedLog, n: u32) {
    let mut task = log.open_task(SOURCE, &[0]).unwrap();
    task.commit(Txn { outputs: vec![record(n)], ..Txn::default() }).unwrap();
}

fn count(log: &EmbeddedLog) -> usize {
    let from = Position { topic: Topic::CloudTrailRecords, partition: 0, offset: 0 };
    log.read(from, PollLimits::default()).unwrap().len()
}

#[test]
fn a_missing_folder_is_made_with_the_default_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(&folder.path().join("some/where")).unwrap();
    assert_eq!(log.partitions(), DEFAULT_PARTITIONS);
    assert!(folder.path().join("some/where/log.redb").exists());
}

#[test]
fn a_log_keeps_its_partitions_and_records_when_it_is_opened_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let options = |n| EmbeddedOptions { partitions: NonZeroU32::new(n).unwrap(), ..EmbeddedOptions::default() };
    append(&EmbeddedLog::open(folder.path(), options(3)).unwrap(), 1);
    let log = EmbeddedLog::open(folder.path(), options(8)).unwrap();
    assert_eq!((log.partitions(), count(&log)), (3, 1));
}

#[test]
fn a_folder_in_use_is_refused_until_the_last_handle_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let task = log.open_task(SOURCE, &[0]).unwrap();
    for _ in 0..2 {
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(&refused, OpenError::InUse { path } if *path == folder.path().join("log.redb")), "{refused:?}");
        assert!(refused.to_string().contains("stop that one first"));
    }
    append(&log, 1);
    drop(log);
    assert!(matches!(open(folder.path()), Err(OpenError::InUse { .. })), "the task keeps it open");
    drop(task);
    assert_eq!(count(&open(folder.path()).unwrap()), 1);
}

#[test]
fn a_newer_format_is_refused_and_its_file_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    drop(open(folder.path()).unwrap());
    {
        let db = Database::open(&path).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(META).unwrap().insert("format", 2).unwrap();
        txn.commit().unwrap();
    }
    let before = fs::read(&path).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::NewerFormat { found: 2, known: 1, .. }), "{refused:?}");
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn files_that_are_no_log_are_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let refused_unchanged = || {
        let before = fs::read(&path).unwrap();
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NotALog { .. }), "{refused:?}");
        assert!(fs::read(&path).unwrap() == before);
    };
    for content in [b"x".to_vec(), b"a text that somebody left here".to_vec(), vec![0xff; 100_000], [vec![0; 90_000], vec![1]].concat()] {
        fs::write(&path, content).unwrap();
        refused_unchanged();
    }
    fs::remove_file(&path).unwrap();
    {
        let db = Database::create(&path).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(TableDefinition::<&str, &str>::new("other")).unwrap();
        txn.commit().unwrap();
    }
    refused_unchanged();
}

#[test]
fn a_log_that_is_cut_short_is_said_to_be_damaged() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()).unwrap());
    let file = OpenOptions::new().write(true).open(folder.path().join("log.redb")).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    let refused = open(folder.path()).unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused:?}");
    assert!(refused.to_string().contains("restore the data folder from a backup"));
}

#[test]
fn a_file_whose_making_was_interrupted_becomes_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    // No byte yet; room but no header yet; a header without the bytes that redb writes last.
    for content in [vec![], vec![0; 1 << 20], [vec![0; 9], vec![1; 300], vec![0; 1 << 20]].concat()] {
        fs::write(&path, content).unwrap();
        let log = open(folder.path()).unwrap();
        append(&log, 1);
        drop(log);
        assert_eq!(count(&open(folder.path()).unwrap()), 1);
    }
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::File::create(&file).unwrap().write_all(b"x").unwrap();
    let refused = open(&file.join("data")).unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }) && refused.to_string().contains("file/data"), "{refused:?}");
}

#[test]
fn a_full_disk_is_said_when_a_log_is_made() {
    for op in 0..10 {
        let disk = Disk::default();
        disk.fail_from(op, ErrorKind::StorageFull);
        let refused = EmbeddedLog::open_backend(disk.clone(), EmbeddedOptions::default()).unwrap_err();
        assert!(matches!(refused, OpenError::DiskFull { .. }), "{refused:?}");
        assert!(EmbeddedLog::open_backend(Disk::holding(disk.content()), EmbeddedOptions::default()).is_ok(), "failing at {op}");
    }
}

#[test]
fn a_waiting_reader_wakes_at_the_next_commit() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).unwrap();
    let seen = log.appends();
    let (woken, wakes) = channel();
    std::thread::scope(|threads| {
        threads.spawn(|| woken.send(log.wait_appended(seen, std::time::Duration::MAX) != seen).unwrap());
        append(&log, 1);
        assert!(wakes.recv().unwrap());
    });
}
