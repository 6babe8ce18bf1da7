//! The table sink over a log.

#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

use std::path::Path;
use std::time::Duration;

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::{Log, Output, Task, TaskId, TaskSpec, Txn};
use cloudigrade_pipeline::sink::{TableRoot, Tables};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Coverage, Topic, UtcSecond};

const SOURCE: TaskSpec = TaskSpec { id: TaskId("source"), inputs: &[] };

/// Says in the log how far an account's data reaches.
fn extend(log: &EmbeddedLog, through: i64) {
    let coverage = Coverage { account_id: "1".into(), region: "r".into(), complete_through: UtcSecond(through) };
    let (key, value) = (coverage.to_key().into_bytes(), serde_json::to_vec(&coverage).unwrap());
    let partition = partition_of(&key, log.partitions());
    let output = Output { topic: Topic::Coverage, partition, key, value, entered_at: UtcSecond(0) };
    let mut task = log.open_task(SOURCE, &(0..log.partitions()).collect::<Vec<_>>()).unwrap();
    task.commit(Txn { outputs: vec![output], ..Txn::default() }).unwrap();
}

fn parquet_files(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".parquet")).count()
}

#[tokio::test]
async fn replaced_files_are_deleted_once_old_and_the_table_goes_on_from_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    for through in 1..=3 {
        extend(&log, through);
        tables.catch_up(&log).await.unwrap();
    }
    let coverage = folder.path().join("tables/coverage");
    assert_eq!(parquet_files(&coverage), 3);
    assert_eq!(tables.drop_replaced_files(Duration::from_secs(3600)).await.unwrap(), 0);
    assert_eq!(tables.drop_replaced_files(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(parquet_files(&coverage), 1);

    // The open table and one that is opened anew both know where they are.
    extend(&log, 4);
    assert_eq!(tables.catch_up(&log).await.unwrap().messages, 1);
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    assert_eq!(tables.catch_up(&log).await.unwrap().messages, 0);
    tables.drop_replaced_files(Duration::ZERO).await.unwrap();
    assert_eq!(parquet_files(&coverage), 1);
}
