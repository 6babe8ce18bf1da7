//! The table sink over a log.

#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

mod logs;
mod writers;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::engine::{Operator, step};
use cloudigrade_pipeline::limits;
use cloudigrade_pipeline::log::{Log, Output, PollLimits, Task, TaskSpec, Txn};
use cloudigrade_pipeline::operators::{Images, Sightings};
use cloudigrade_pipeline::sink::{TableRoot, Tables, delta_table};
use cloudigrade_schemas::account::Unmetered;
use cloudigrade_schemas::image::Override;
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata};
use cloudigrade_schemas::interval::Edge;
use cloudigrade_schemas::table::BUCKETS;
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{
    Account, AccountState, Coverage, EventId, Gap, GapKind, ImageFact, InstanceKey, InstanceMonth, Interval, Month, PowerAction, Product,
    SourceRef, Topic, UtcSecond,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use serde_json::{Value, json};

const SOURCE: TaskSpec = TaskSpec::alone("source", &[]);

fn send(log: &EmbeddedLog, topic: Topic, key: &str, message: &impl Serialize) {
    let partition = partition_of(key.as_bytes(), log.partitions());
    let (key, value) = (key.as_bytes().to_vec(), serde_json::to_vec(message).unwrap());
    let output = Output { topic, partition, key, value, entered_at: UtcSecond(0) };
    let mut task = log.open_task(SOURCE, &(0..log.partitions()).collect::<Vec<_>>()).unwrap();
    task.commit(Txn { outputs: vec![output], ..Txn::default() }).unwrap();
}

/// Says in the log how far an account's data reaches.
fn extend(log: &EmbeddedLog, through: i64) {
    let coverage = Coverage { account_id: "1".into(), region: "r".into(), complete_through: UtcSecond(through) };
    send(log, Topic::Coverage, &coverage.to_key(), &coverage);
}

/// Says in the log that an instance ran, and stopped within bounds.
fn ran(log: &EmbeddedLog, instance: &str) {
    let edge = |kind, at, not_before: Option<i64>| Edge {
        at: UtcSecond(at),
        kind,
        event_id: EventId("e".into()),
        source: SourceRef { uri: "f".into(), version: None, index: 0 },
        not_before: not_before.map(UtcSecond),
    };
    let interval = Interval {
        start: edge(PowerAction::ObservedRunning, 0, None),
        end: Some(edge(PowerAction::ObservedStopped, 3600, Some(1800))),
        instance_type: None,
        image_id: None,
    };
    let instance = InstanceKey { account_id: "1".into(), region: "r".into(), instance_id: instance.into() };
    let key = instance.to_key();
    let month = InstanceMonth { instance, month: Month::containing(UtcSecond(0)), revision: 1, intervals: vec![interval], events: vec![] };
    send(log, Topic::InstanceIntervals, &key, &month);
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files.extend(files_of(&entry)) } else { files.push(entry) }
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "parquet"));
    files
}

fn rows_of(file: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// Makes of a table one as it was before it had a column.
fn take_column_away(folder: &Path, column: &str) {
    for file in files_of(folder) {
        let mut rows = rows_of(&file);
        rows.remove_column(rows.schema().index_of(column).unwrap());
        let mut writer = ArrowWriter::try_new(File::create(&file).unwrap(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
    }
    let first = folder.join("_delta_log/00000000000000000000.json");
    let lines: Vec<String> = std::fs::read_to_string(&first).unwrap().lines().map(str::to_owned).collect();
    let without = lines.iter().map(|line| {
        let mut action: Value = serde_json::from_str(line).unwrap();
        if let Some(text) = action["metaData"]["schemaString"].as_str() {
            let mut schema: Value = serde_json::from_str(text).unwrap();
            schema["fields"].as_array_mut().unwrap().retain(|field| field["name"] != column);
            action["metaData"]["schemaString"] = Value::String(schema.to_string());
        } else if action.get("metaData").is_some() {
            action.as_object_mut().unwrap().remove("metaData");
        }
        format!("{action}\n")
    });
    std::fs::write(&first, without.collect::<String>()).unwrap();
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

/// The properties in the metadata that a table's commits told last.
fn properties_of(table: &Path) -> BTreeMap<String, String> {
    let mut commits: Vec<PathBuf> = std::fs::read_dir(table.join("_delta_log")).unwrap().map(|entry| entry.unwrap().path()).collect();
    commits.retain(|commit| commit.extension().is_some_and(|extension| extension == "json"));
    commits.sort();
    let texts: Vec<String> = commits.iter().map(|commit| std::fs::read_to_string(commit).unwrap()).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let metadata = lines.filter_map(|line| serde_json::from_str::<Value>(line).unwrap().get("metaData").cloned()).next_back();
    serde_json::from_value(metadata.unwrap()["configuration"].clone()).unwrap()
}

#[tokio::test]
async fn what_a_table_keeps_of_its_past_is_bounded_and_an_earlier_versions_table_learns_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    Tables::open(&root, log.partitions()).await.unwrap();
    let table = folder.path().join("tables/coverage");
    let entries = || std::fs::read_dir(table.join("_delta_log")).unwrap().count();
    let properties = properties_of(&table);
    assert_eq!(properties["delta.checkpointInterval"], limits::COMMITS_BETWEEN_CHECKPOINTS.to_string());
    let kept = format!("interval {} seconds", (limits::TABLE_HISTORY + limits::TABLE_HISTORY_MARGIN).as_secs());
    assert_eq!((&properties["delta.deletedFileRetentionDuration"], &properties["delta.logRetentionDuration"]), (&kept, &kept));

    let first = table.join("_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&first).unwrap();
    let without: Vec<String> = text
        .lines()
        .map(|line| {
            let mut action: Value = serde_json::from_str(line).unwrap();
            if let Some(metadata) = action.get_mut("metaData") {
                metadata["configuration"] = serde_json::json!({});
            }
            action.to_string()
        })
        .collect();
    std::fs::write(&first, without.join("\n")).unwrap();
    let before = entries();
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    assert_eq!((properties_of(&table), entries()), (properties, before + 1));
    let mut reader = delta_table(root.store(), &root.table_url("coverage")).unwrap();
    reader.load().await.unwrap();
    for through in 1..=limits::COMMITS_BETWEEN_CHECKPOINTS as i64 {
        extend(&log, through);
        tables.catch_up(&log).await.unwrap();
    }
    let checkpoint = limits::COMMITS_BETWEEN_CHECKPOINTS - 1;
    assert!(table.join(format!("_delta_log/{checkpoint:020}.checkpoint.parquet")).exists());
    // A reader that looks again long after goes on from the checkpoint, for the entries that it knew are forgotten.
    for version in 0..checkpoint {
        std::fs::remove_file(table.join(format!("_delta_log/{version:020}.json"))).unwrap();
    }
    reader.update_incremental(None).await.unwrap();
    assert_eq!((reader.version(), reader.snapshot().unwrap().log_data().num_files()), (Some(checkpoint + 2), 1));
    // Opened anew it knows its past, and where it was.
    let entries_before = entries();
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    assert_eq!((tables.catch_up(&log).await.unwrap().messages, entries()), (0, entries_before));
    assert_eq!(tables.drop_replaced_files(Duration::ZERO).await.unwrap(), limits::COMMITS_BETWEEN_CHECKPOINTS as usize - 1);
    // Who keeps more of it tells so.
    Tables::open(&root.with_history(Duration::from_secs(86_400)), log.partitions()).await.unwrap();
    assert_eq!(properties_of(&table)["delta.logRetentionDuration"], "interval 93600 seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_an_earlier_version_made_gets_the_columns_that_have_come_since() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    ran(&log, "i-1");
    Tables::open(&root, log.partitions()).await.unwrap().catch_up(&log).await.unwrap();
    let table = folder.path().join("tables/instance_intervals");
    take_column_away(&table, "end_not_before");

    // Opened again, it goes on from where it was, in the same files.
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    assert_eq!(tables.catch_up(&log).await.unwrap().messages, 0);
    // A row is written beside one that has no bound: `i-1` and `i-2` are in one bucket.
    let bucket = |instance: &str| partition_of(format!("1/r/{instance}").as_bytes(), log.partitions()) % BUCKETS;
    let other = (2..).map(|number| format!("i-{number}")).find(|other| bucket(other) == bucket("i-1")).unwrap();
    ran(&log, &other);
    assert_eq!(tables.catch_up(&log).await.unwrap().messages, 1);
    let newest = files_of(&table).into_iter().max_by_key(|file| rows_of(file).num_rows()).unwrap();
    let rows = rows_of(&newest);
    let bounds: &TimestampMicrosecondArray = rows.column_by_name("end_not_before").unwrap().as_any().downcast_ref().unwrap();
    assert_eq!(bounds.iter().collect::<Vec<_>>(), [None, Some(1_800_000_000)]);

    // It is told once.
    let commits = std::fs::read_dir(table.join("_delta_log")).unwrap().count();
    Tables::open(&root, log.partitions()).await.unwrap();
    assert_eq!(std::fs::read_dir(table.join("_delta_log")).unwrap().count(), commits);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_gaps_and_facts_of_images_are_tables_with_a_row_of_each_key() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    for (state, until) in [(AccountState::Paused, None), (AccountState::Enabled, Some(UtcSecond(9)))] {
        let account = Account {
            tenant: "one".into(),
            account_id: "000000000012".into(),
            arn: "arn:aws:iam::000000000012:role/r".into(),
            name: None,
            state,
            created_at: UtcSecond(1),
            changed_at: UtcSecond(2),
            verified_at: None,
            unmetered: vec![Unmetered { from: UtcSecond(5), until }],
            trail: None,
            problems: Vec::new(),
        };
        send(&log, Topic::Accounts, &account.to_key(), &account);
        for (kind, closed_at) in [(GapKind::Silence, until), (GapKind::LogFilesMissing, None)] {
            let (account_id, region) = ("000000000012".to_owned(), "r".to_owned());
            let missing = vec!["s3://b/k".to_owned()];
            let gap =
                Gap { account_id, region, kind, from: UtcSecond(3), until, missing, detail: "d".into(), found_at: UtcSecond(4), closed_at };
            send(&log, Topic::Gaps, &gap.to_key(), &gap);
        }
        let unavailable = |account_id: Option<&str>| Fact::Unavailable { account_id: account_id.map(str::to_owned), over: until.is_some() };
        for fact in [
            unavailable(None),
            Fact::Metadata(ImageMetadata { name: Some("n".into()), ..ImageMetadata::default() }),
            unavailable(Some("000000000012")),
            Fact::Tag { account_id: Some("1".into()), key: "a/b".into(), value: until.map(|_| "v".into()) },
            Fact::Tag { account_id: None, key: "c".into(), value: None },
        ] {
            let fact = ImageFact { image_id: "ami-1".into(), region: "r".into(), at: UtcSecond(6), source: "describe".into(), fact };
            send(&log, Topic::ImageFacts, &fact.to_key(), &fact);
        }
        tables.catch_up(&log).await.unwrap();
    }
    // The files of the version before are still there.
    let current = |name: &str| {
        let files = files_of(&folder.path().join("tables").join(name)).into_iter();
        files.max_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap()).map(|file| rows_of(&file)).unwrap()
    };
    let texts = |rows: &RecordBatch, column: &str| -> Vec<String> {
        let column: &StringArray = rows.column_by_name(column).unwrap().as_any().downcast_ref().unwrap();
        column.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
    };
    let accounts = current("accounts");
    assert_eq!((texts(&accounts, "state"), texts(&accounts, "name")), (vec!["enabled".to_owned()], vec!["-".to_owned()]));
    assert_eq!(texts(&accounts, "unmetered"), [r#"[{"from":"1970-01-01T00:00:05Z","until":"1970-01-01T00:00:09Z"}]"#]);
    let gaps = current("gaps");
    assert_eq!(texts(&gaps, "kind"), ["log_files_missing", "silence"]);
    assert_eq!(gaps.column_by_name("closed_at").unwrap().null_count(), 1);
    let facts = current("image_facts");
    assert_eq!(texts(&facts, "fact"), ["metadata", "tag//c", "tag/1/a/b", "unavailable/000000000012"]);
    assert_eq!(texts(&facts, "kind"), ["metadata", "tag", "tag", "unavailable"]);
    let [metadata, rest @ ..] = &texts(&facts, "value")[..] else { panic!() };
    assert!(metadata.contains(r#""name":"n""#), "what one account cannot see takes nothing from what is known");
    let gone = r#"{"account_id":"000000000012","over":true}"#;
    let (unnamed, named) = (r#"{"account_id":null,"key":"c","value":null}"#, r#"{"account_id":"1","key":"a/b","value":"v"}"#);
    assert_eq!(rest, [unnamed, named, gone]);
}

/// Folds all that a topic holds.
fn fold(log: &EmbeddedLog, id: &'static str, inputs: &'static [Topic], operator: &dyn Operator) {
    let all: Vec<u32> = (0..log.partitions()).collect();
    let mut task = log.open_task(TaskSpec::alone(id, inputs), &all).unwrap();
    let limits = PollLimits { wait: Duration::ZERO, ..PollLimits::default() };
    while step(&mut task, log.partitions(), &[operator], limits).unwrap().consumed > 0 {}
}

/// The newest file of a table, as rows.
fn newest(folder: &Path, table: &str) -> RecordBatch {
    let files = files_of(&folder.join("tables").join(table)).into_iter();
    files.max_by_key(|file| std::fs::metadata(file).unwrap().modified().unwrap()).map(|file| rows_of(&file)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_images_of_a_log_that_was_written_before_there_were_any_are_caught_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    {
        let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
        for (instance, image) in [("i-1", "ami-1"), ("i-2", "ami-2"), ("i-3", "ami-1")] {
            let change = json!({"occurred_at": "2024-03-01T09:00:00Z", "action": "RunInstances", "image_id": image, "source": {"uri": "f", "index": 0}});
            let event = json!({"account_id": "1", "region": "r", "instance_id": instance, "event_id": instance, "change": change});
            send(&log, Topic::PowerEvents, &format!("1/r/{instance}"), &event);
        }
        Tables::open(&root, log.partitions()).await.unwrap().catch_up(&log).await.unwrap();
    }
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    fold(&log, "operators.sightings", &[Topic::PowerEvents], &Sightings);
    let fold_images = || fold(&log, "operators.images", &[Topic::ImageFacts, Topic::ImageSightings], &Images);
    fold_images();
    assert_eq!(tables.catch_up(&log).await.unwrap().messages, 2);
    let texts = |rows: &RecordBatch, column: &str| -> Vec<Option<String>> {
        rows.column_by_name(column).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    };
    let rows = newest(folder.path(), "images");
    let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
    assert_eq!((texts(&rows, "image_id"), texts(&rows, "status")), (some(&["ami-1", "ami-2"]), some(&["pending", "pending"])));
    assert_eq!((texts(&rows, "region"), texts(&rows, "metadata")), (some(&["r", "r"]), vec![None, None]));

    let metadata = ImageMetadata { usage_operation: Some("RunInstances:00g0".into()), name: Some("n".into()), ..ImageMetadata::default() };
    let said = Override { tenant: None, product: Product::Rhel, is: Some(false), by: "b".into(), reason: None, at: UtcSecond(7) };
    for fact in [Fact::Metadata(metadata), Fact::Override(said)] {
        let fact = ImageFact { image_id: "ami-2".into(), region: "r".into(), at: UtcSecond(7), source: "s".into(), fact };
        let partition = partition_of(b"ami-2", log.partitions());
        let (key, value) = (fact.to_key().into_bytes(), serde_json::to_vec(&fact).unwrap());
        let output = Output { topic: Topic::ImageFacts, partition, key, value, entered_at: UtcSecond(0) };
        log.open_task(SOURCE, &[partition]).unwrap().commit(Txn { outputs: vec![output], ..Txn::default() }).unwrap();
    }
    fold_images();
    tables.catch_up(&log).await.unwrap();
    let rows = newest(folder.path(), "images");
    let said = |column: &str| rows.column_by_name(column).unwrap().as_boolean().iter().collect::<Vec<_>>();
    assert_eq!((said("rhel_detected"), said("rhel")), (vec![None, Some(true)], vec![None, Some(false)]));
    assert_eq!((texts(&rows, "billing_model"), texts(&rows, "name")), (some(&["unknown", "byos"]), vec![None, Some("n".into())]));
    assert!(texts(&rows, "overrides")[1].as_ref().unwrap().contains(r#""by":"b""#));
    assert!(texts(&rows, "evidence")[1].as_ref().unwrap().contains("billing_code"));

    Tables::rebuild(&root, &log).await.unwrap();
    assert_eq!(newest(folder.path(), "images"), rows);
}

/// The rows of the files that a table has now.
async fn rows_now(root: &TableRoot, table: &str) -> usize {
    let mut reader = delta_table(root.store(), &root.table_url(table)).unwrap();
    reader.load().await.unwrap();
    let folder = root.location().to_file_path().unwrap().join(table);
    reader.snapshot().unwrap().log_data().iter().map(|file| rows_of(&folder.join(file.path().as_ref())).num_rows()).sum()
}
