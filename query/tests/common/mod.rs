//! A small writer of stored tables, in the layout of the table sink: Delta tables of sorted Parquet files by month and bucket.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails where its fixture does")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use cloudigrade_pipeline::sink::parquet_file;
use cloudigrade_schemas::account::Unmetered;
use cloudigrade_schemas::table::{ACCOUNTS, BUCKETS, COVERAGE, Column, ColumnType, INSTANCE_INTERVALS, POWER_EVENTS, Table};
use cloudigrade_schemas::{Month, UtcSecond, instance_type};
use serde_json::{Value, json};

/// A moment from its text.
pub fn at(text: &str) -> i64 {
    UtcSecond::parse_prefix(text).unwrap().0
}

/// A run of an instance.
#[derive(Clone, Debug)]
pub struct Run {
    pub account: Arc<str>,
    pub region: Arc<str>,
    pub instance: String,
    pub image: Option<Arc<str>>,
    pub instance_type: Option<Arc<str>>,
    pub start: i64,
    pub end: Option<i64>,
    /// Of an end that was observed within bounds, the earlier one.
    pub end_not_before: Option<i64>,
}

impl Run {
    pub fn new(instance: &str, start: &str, end: Option<&str>) -> Self {
        Self {
            account: "000000000012".into(),
            region: "eu-west-1".into(),
            instance: instance.into(),
            image: Some("ami-1".into()),
            instance_type: Some("m5.large".into()),
            start: at(start),
            end: end.map(at),
            end_not_before: None,
        }
    }

    pub fn ended_after(self, not_before: &str) -> Self {
        Self { end_not_before: Some(at(not_before)), ..self }
    }

    pub fn typed(self, instance_type: Option<&str>) -> Self {
        Self { instance_type: instance_type.map(Into::into), ..self }
    }

    pub fn of(self, account: &str, region: &str) -> Self {
        Self { account: account.into(), region: region.into(), ..self }
    }

    pub fn size(&self) -> Option<(i64, i64)> {
        let known = instance_type::lookup(self.instance_type.as_deref()?)?;
        Some((i64::from(known.vcpu), known.memory_mib as i64))
    }
}

/// The part of a run that is kept under one month.
struct Piece<'a> {
    run: &'a Run,
    start: i64,
    end: Option<i64>,
    first: bool,
}

fn pieces(run: &Run) -> Vec<(Month, Piece<'_>)> {
    let Some(end) = run.end else { return vec![(Month::Open, Piece { run, start: run.start, end: None, first: true })] };
    let mut pieces = Vec::new();
    let mut start = run.start;
    loop {
        let month = Month::containing(UtcSecond(start));
        let edge = month.end().map_or(end, |edge| edge.0.min(end));
        pieces.push((month, Piece { run, start, end: Some(edge), first: start == run.start }));
        if edge == end {
            return pieces;
        }
        start = edge;
    }
}

/// Writes one Delta table.
pub struct TableWriter {
    folder: PathBuf,
    table: Table,
    actions: Vec<Value>,
    /// The files that are there, by their paths in the table.
    live: Vec<String>,
    files: usize,
    version: usize,
}

impl TableWriter {
    pub fn new(root: &Path, table: Table) -> Self {
        let folder = root.join(table.name);
        fs::create_dir_all(folder.join("_delta_log")).unwrap();
        Self { folder, table, actions: Vec::new(), live: Vec::new(), files: 0, version: 0 }
    }

    pub fn add_file(&mut self, partitions: &[(&str, String)], batch: &RecordBatch) {
        let folder: String = partitions.iter().map(|(name, value)| format!("{name}={value}/")).collect();
        let path = format!("{folder}part-{}.parquet", self.files);
        self.files += 1;
        fs::create_dir_all(self.folder.join(folder)).unwrap();
        fs::write(self.folder.join(&path), parquet_file(batch).unwrap()).unwrap();
        let values: serde_json::Map<_, _> = partitions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.live.push(path.clone());
        self.actions.push(json!({"add": {
            "path": path,
            "partitionValues": values,
            "size": fs::metadata(self.folder.join(&path)).unwrap().len(),
            "modificationTime": 1_700_000_000_000_i64,
            "dataChange": true,
            "stats": json!({"numRecords": batch.num_rows()}).to_string(),
        }}));
    }

    /// Takes all files out of the table; they stay in its folder. Gives their paths.
    pub fn replace_all(&mut self) -> Vec<PathBuf> {
        let removed = std::mem::take(&mut self.live);
        self.actions.extend(
            removed.iter().map(|path| json!({"remove": {"path": path, "deletionTimestamp": 1_700_000_000_000_i64, "dataChange": true}})),
        );
        removed.into_iter().map(|path| self.folder.join(path)).collect()
    }

    /// Commits at a moment, in seconds since 1970.
    pub fn commit_at(&mut self, second: i64) {
        self.actions.push(json!({"commitInfo": {"timestamp": second * 1000, "operation": "WRITE"}}));
        self.commit();
    }

    pub fn commit(&mut self) {
        let mut actions = Vec::new();
        if self.version == 0 {
            let columns = self.table.columns.iter().chain(self.table.stored);
            let fields: Vec<_> = columns.map(delta_field).collect();
            let partitions: Vec<_> = self.table.stored.iter().map(|c| c.name).filter(|name| ["month", "bucket"].contains(name)).collect();
            actions.push(json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
            actions.push(json!({"metaData": {
                "id": "00000000-0000-4000-8000-000000000000",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": json!({"type": "struct", "fields": fields}).to_string(),
                "partitionColumns": partitions,
                "configuration": {},
                "createdTime": 1_700_000_000_000_i64,
            }}));
        }
        actions.append(&mut self.actions);
        let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
        fs::write(self.folder.join(format!("_delta_log/{:020}.json", self.version)), lines).unwrap();
        self.version += 1;
    }
}

fn delta_field(column: &Column) -> Value {
    let kind = match column.kind {
        ColumnType::Text => "string",
        ColumnType::Integer => "long",
        ColumnType::Timestamp => "timestamp",
        ColumnType::Boolean => "boolean",
    };
    json!({"name": column.name, "type": kind, "nullable": true, "metadata": {}})
}

/// Adds a bucket's runs to the table `instance_intervals`.
pub fn add_runs(writer: &mut TableWriter, bucket: u32, runs: &[Run]) {
    let mut by_month: Vec<(String, Piece)> = Vec::new();
    for run in runs {
        by_month.extend(pieces(run).into_iter().map(|(month, piece)| (month.to_string(), piece)));
    }
    fn order<'a>((month, piece): &'a (String, Piece)) -> (&'a str, &'a str, &'a str, &'a str, i64) {
        let run = piece.run;
        (month, &run.account, &run.region, &run.instance, run.start)
    }
    by_month.sort_by(|a, b| order(a).cmp(&order(b)));
    for month in by_month.chunk_by(|a, b| a.0 == b.0) {
        let batch = interval_rows(&month.iter().map(|(_, piece)| piece).collect::<Vec<_>>());
        writer.add_file(&[("month", month[0].0.clone()), ("bucket", bucket.to_string())], &batch);
    }
}

fn interval_rows(pieces: &[&Piece]) -> RecordBatch {
    let texts = |text: &dyn Fn(&Run) -> Option<String>| -> ArrayRef {
        Arc::new(pieces.iter().map(|piece| text(piece.run)).collect::<StringArray>())
    };
    let integers = |integer: &dyn Fn(&Run) -> Option<i64>| -> ArrayRef {
        Arc::new(pieces.iter().map(|piece| integer(piece.run)).collect::<Int64Array>())
    };
    let times = |time: &dyn Fn(&Piece) -> Option<i64>| -> ArrayRef {
        let micros = pieces.iter().map(|piece| time(piece).map(|second| second * 1_000_000));
        Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let ended = |text: &'static str| move |run: &Run| run.end.map(|_| text.to_owned());
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("account_id", texts(&|run| Some(run.account.to_string()))),
        ("region", texts(&|run| Some(run.region.to_string()))),
        ("instance_id", texts(&|run| Some(run.instance.clone()))),
        ("image_id", texts(&|run| run.image.as_deref().map(str::to_owned))),
        ("instance_type", texts(&|run| run.instance_type.as_deref().map(str::to_owned))),
        ("vcpu", integers(&|run| Some(run.size()?.0))),
        ("memory_mib", integers(&|run| Some(run.size()?.1))),
        ("started_at", times(&|piece| Some(piece.run.start))),
        ("ended_at", times(&|piece| piece.run.end)),
        ("start_event_id", texts(&|_| Some("event-1".into()))),
        ("end_event_id", texts(&ended("event-2"))),
        ("start_kind", texts(&|_| Some("RunInstances".into()))),
        ("end_kind", texts(&|run| run.end.map(|_| if run.end_not_before.is_some() { "ObservedStopped" } else { "StopInstances" }.into()))),
        ("start_source", texts(&|_| Some("file#0".into()))),
        ("end_source", texts(&ended("file#1"))),
        ("revision", integers(&|_| Some(1))),
        ("recorded_at", times(&|piece| Some(piece.run.start))),
        ("piece_start", times(&|piece| Some(piece.start))),
        ("piece_end", times(&|piece| piece.end)),
        ("first_month", Arc::new(pieces.iter().map(|piece| Some(piece.first)).collect::<BooleanArray>())),
    ];
    // Files from before there were observations do not have it.
    if pieces.iter().any(|piece| piece.run.end_not_before.is_some()) {
        columns.push(("end_not_before", times(&|piece| piece.run.end_not_before)));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Writes all three tables below a folder, in one commit each.
pub fn write_tables(root: &Path, runs: &[Run], coverage: &[(&str, &str, &str)]) {
    let mut intervals = TableWriter::new(root, INSTANCE_INTERVALS);
    for bucket in 0..BUCKETS {
        let of_bucket = |run: &&Run| run.instance.bytes().map(u32::from).sum::<u32>() % BUCKETS == bucket;
        add_runs(&mut intervals, bucket, &runs.iter().filter(of_bucket).cloned().collect::<Vec<_>>());
    }
    intervals.commit();

    let mut events = TableWriter::new(root, POWER_EVENTS);
    if let Some(run) = runs.first() {
        let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![run.start * 1_000_000]).with_timezone("UTC"));
        let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
        let columns = [
            ("account_id", text(&run.account)),
            ("region", text(&run.region)),
            ("instance_id", text(&run.instance)),
            ("occurred_at", Arc::clone(&time)),
            ("action", text("RunInstances")),
            ("instance_type", text("m5.large")),
            ("image_id", text("ami-1")),
            ("event_id", text("event-1")),
            ("source", text("file#0")),
            ("recorded_at", time),
        ];
        let month = Month::containing(UtcSecond(run.start)).to_string();
        events.add_file(&[("month", month), ("bucket", "0".into())], &RecordBatch::try_from_iter(columns).unwrap());
    }
    events.commit();
    write_coverage(root, coverage);
}

/// Writes the table `accounts`: tenant, account, and the times in which it is not metered.
pub fn write_accounts(root: &Path, accounts: &[(&str, &str, Vec<Unmetered>)]) {
    type Row<'a> = (&'a str, &'a str, Vec<Unmetered>);
    let texts = |text: &dyn Fn(&Row<'_>) -> Option<String>| -> ArrayRef { Arc::new(accounts.iter().map(text).collect::<StringArray>()) };
    let fixed = |value: &'static str| texts(&move |_| Some(value.to_owned()));
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0; accounts.len()]).with_timezone("UTC"));
    let columns = [
        ("tenant", texts(&|row| Some(row.0.to_owned()))),
        ("account_id", texts(&|row| Some(row.1.to_owned()))),
        ("arn", fixed("arn:aws:iam::000000000012:role/r")),
        ("name", texts(&|_| None)),
        ("state", fixed("enabled")),
        ("created_at", Arc::clone(&time)),
        ("changed_at", Arc::clone(&time)),
        ("verified_at", time),
        ("unmetered", texts(&|row| Some(json!(row.2).to_string()))),
        ("problems", fixed("[]")),
        ("trail_arn", texts(&|_| None)),
        ("trail_bucket", texts(&|_| None)),
    ];
    let mut table = TableWriter::new(root, ACCOUNTS);
    table.add_file(&[], &RecordBatch::try_from_iter(columns).unwrap());
    table.commit();
}

/// Writes the table `coverage`.
pub fn write_coverage(root: &Path, coverage: &[(&str, &str, &str)]) {
    let schema = Schema::new(vec![
        Field::new("account_id", DataType::Utf8, true),
        Field::new("region", DataType::Utf8, true),
        Field::new("complete_through", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
    ]);
    let through = coverage.iter().map(|row| Some(at(row.2) * 1_000_000));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(coverage.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(coverage.iter().map(|row| Some(row.1)).collect::<StringArray>()),
        Arc::new(through.collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
    ];
    let mut table = TableWriter::new(root, COVERAGE);
    table.add_file(&[], &RecordBatch::try_new(Arc::new(schema), columns).unwrap());
    table.commit();
}
