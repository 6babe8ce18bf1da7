//! Several processes that make and write the same tables.

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::sink::{SinkError, TableRoot, Tables};

use super::{extend, ran, rows_now, take_column_away};

/// How many write the same tables at the same time.
const WRITERS_AT_ONCE: usize = 3;

/// Opens the tables of a folder and catches up in several processes at once, as far as threads with runtimes of their own are such.
fn catch_up_at_once(root: &TableRoot, log: &EmbeddedLog) {
    let begin = Barrier::new(WRITERS_AT_ONCE);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS_AT_ONCE {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
                begin.wait();
                runtime.block_on(Tables::open_caught_up(root, log)).map(drop).unwrap();
            });
        }
    });
}

/// How often the log of a table says what the table is.
fn times_told_what_it_is(table: &Path) -> usize {
    let entries = std::fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|entry| entry.extension().is_some_and(|extension| extension == "json"));
    entries.filter(|entry| std::fs::read_to_string(entry).unwrap().contains("\"metaData\"")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_make_and_write_the_tables_at_once_all_succeed_and_each_row_is_there_once() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
        extend(&log, 1);
        for instance in ["i-1", "i-2", "i-3"] {
            ran(&log, instance);
        }
        catch_up_at_once(&root, &log);
        let tables = folder.path().join("tables");
        for table in ["coverage", "instance_intervals", "images"] {
            assert_eq!(times_told_what_it_is(&tables.join(table)), 1, "{table}");
        }
        assert_eq!((rows_now(&root, "coverage").await, rows_now(&root, "instance_intervals").await), (1, 3));
        let (_, applied) = Tables::open_caught_up(&root, &log).await.unwrap();
        assert_eq!(applied.messages, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_open_an_earlier_versions_table_at_once_tell_it_once_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    ran(&log, "i-1");
    Tables::open_caught_up(&root, &log).await.unwrap();
    let table = folder.path().join("tables/instance_intervals");
    take_column_away(&table, "end_not_before");
    catch_up_at_once(&root.clone().with_history(Duration::from_secs(86_400)), &log);
    // When it was made, when it got the column, and when it was told what it keeps of its past.
    assert_eq!(times_told_what_it_is(&table), 3);
    assert_eq!(rows_now(&root, "instance_intervals").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_another_came_before_is_told_so_and_goes_on_when_it_has_looked_anew() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    let mut slow = Tables::open(&root, log.partitions()).await.unwrap();
    let mut quick = Tables::open(&root, log.partitions()).await.unwrap();
    extend(&log, 1);
    quick.catch_up(&log).await.unwrap();
    let refused = slow.catch_up(&log).await;
    assert!(matches!(refused, Err(SinkError::Superseded { table: "coverage" })), "{refused:?}");
    extend(&log, 2);
    let (_, applied) = Tables::open_caught_up(&root, &log).await.unwrap();
    assert_eq!((applied.messages, rows_now(&root, "coverage").await), (1, 1));
}
