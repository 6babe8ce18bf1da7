//! Claim: the numbers of the reports agree with each other, in every zone, by every grouping and in every format.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;

use arrow::array::{Array, RecordBatch};
use arrow::ipc::reader::StreamReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;

use crate::support::{Outcome, demo, integer, scratch, string, text};

const MARCH: [&str; 4] = ["--start", "2024-03-01", "--end", "2024-04-01"];
const FORMATS: [&str; 6] = ["table", "json", "ndjson", "csv", "parquet", "arrow"];
/// What adds up over time.
const SUMS: [&str; 4] = ["runtime_seconds", "vcpu_seconds", "memory_mib_seconds", "unsized_seconds"];
/// What is highest at some time.
const PEAKS: [&str; 3] = ["peak_instances", "peak_vcpu", "peak_memory_mib"];
/// UTC, zones with summer time whose clocks are set forward within March 2024, and one that is half an hour off the others.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"];

fn report(kind: &str, granularity: &str, zone: &str, by: &str) -> Vec<Value> {
    let grouped: &[&str] = if by.is_empty() { &[] } else { &["--by", by] };
    demo().data.report(&[&[kind], &MARCH[..], &["--granularity", granularity, "--tz", zone], grouped].concat())
}

/// The numbers of rows by day or by month of the zone's clock and by group, folded where several rows fall into one.
fn folded(
    rows: &[Value],
    edges: &[String],
    by: &str,
    names: &[&'static str],
    fold: fn(i64, i64) -> i64,
) -> BTreeMap<(String, String, &'static str), i64> {
    let mut folded = BTreeMap::new();
    for row in rows {
        let bucket =
            edges.iter().rev().find(|edge| edge.as_str() <= string(row, "bucket_start")).expect("each bucket lies in a larger one");
        let group = if by.is_empty() { "" } else { string(row, by) };
        for name in names {
            // Null where no size is known; then it is nothing in the sum, too.
            let Some(number) = row[*name].as_i64() else { continue };
            let key = (bucket.clone(), group.to_owned(), *name);
            folded.entry(key).and_modify(|so_far| *so_far = fold(*so_far, number)).or_insert(number);
        }
    }
    folded
}

fn edges(rows: &[Value]) -> Vec<String> {
    let mut edges: Vec<_> = rows.iter().map(|row| string(row, "bucket_start").to_owned()).collect();
    edges.sort();
    edges.dedup();
    edges
}

#[track_caller]
fn assert_made_of(kind: &str, names: &[&'static str], fold: fn(i64, i64) -> i64) {
    for zone in ZONES {
        for (by, column) in [("", ""), ("account", "account_id"), ("instance_type", "instance_type")] {
            let [hours, days, months] = ["hour", "day", "month"].map(|granularity| report(kind, granularity, zone, by));
            let rows = |rows: &[Value]| -> Vec<Value> {
                rows.iter().filter(|row| column.is_empty() || row[column].is_string()).cloned().collect()
            };
            let [hours, days, months] = [rows(&hours), rows(&days), rows(&months)];
            assert!(hours.len() > days.len() && days.len() > months.len() && !months.is_empty(), "{kind} in {zone} by {by:?}");
            let (day_edges, month_edges) = (edges(&days), edges(&months));
            let own = |rows: &[Value], edges: &[String]| folded(rows, edges, column, names, fold);
            assert!(own(&hours, &day_edges) == own(&days, &day_edges), "days are made of hours: {kind} in {zone} by {by:?}");
            assert!(own(&days, &month_edges) == own(&months, &month_edges), "months are made of days: {kind} in {zone} by {by:?}");
        }
    }
}

#[test]
fn hours_sum_to_the_day_and_days_to_the_month() {
    assert_made_of("usage", &SUMS, |a, b| a + b);
}

#[test]
fn the_peak_of_a_day_is_the_highest_of_its_hours_and_of_a_month_of_its_days() {
    assert_made_of("concurrency", &PEAKS, i64::max);
}

#[test]
fn groups_sum_to_the_whole_and_no_peak_of_a_group_is_higher_than_the_whole() {
    let whole = report("usage", "month", "UTC", "").remove(0);
    for by in ["account", "region", "image", "instance_type", "instance", "account,region", "account,region,image,instance_type,instance"] {
        let rows = report("usage", "month", "UTC", by);
        for name in SUMS {
            let sum: i64 = rows.iter().filter_map(|row| row[name].as_i64()).sum();
            assert_eq!(sum, integer(&whole, name), "{name} by {by}");
        }
    }
    let whole = report("concurrency", "month", "UTC", "").remove(0);
    let groups = report("concurrency", "month", "UTC", "account");
    assert!(groups.iter().all(|row| integer(row, "peak_instances") <= integer(&whole, "peak_instances")));
    assert!(groups.iter().map(|row| integer(row, "peak_instances")).sum::<i64>() >= integer(&whole, "peak_instances"));
}

#[test]
fn the_table_functions_give_the_rows_of_the_reports() {
    let data = &demo().data;
    let query = "SELECT bucket_start, account_id, sum(runtime_seconds) AS runtime_seconds, count(DISTINCT instance_id) AS instances \
                 FROM usage('2024-03-01', '2024-04-01', 'day', 'Europe/Berlin') GROUP BY ALL ORDER BY bucket_start, account_id";
    let query = query.replace("GROUP BY ALL", "GROUP BY bucket_start, account_id");
    let picked = |rows: Vec<Value>, names: &[&str]| -> Vec<Vec<Value>> {
        rows.iter().map(|row| names.iter().map(|name| row[*name].clone()).collect()).collect()
    };
    let names = ["bucket_start", "account_id", "runtime_seconds", "instances"];
    assert_eq!(picked(data.sql(&query), &names), picked(report("usage", "day", "Europe/Berlin", "account"), &names));

    let query =
        "SELECT * FROM concurrency('2024-03-01', '2024-04-01', 'day', 'Europe/Berlin', 'account') ORDER BY bucket_start, account_id";
    assert_eq!(data.sql(query), report("concurrency", "day", "Europe/Berlin", "account"));
}

#[test]
fn a_day_on_which_the_clock_is_set_forward_has_23_hours() {
    let data = &demo().data;
    let hours = |day: &str, next: &str| {
        let args = ["usage", "--start", day, "--end", next, "--granularity", "hour", "--tz", "Europe/Berlin"];
        data.report(&args).iter().map(|row| string(row, "bucket_start").to_owned()).collect::<Vec<_>>()
    };
    let changed = hours("2024-03-31", "2024-04-01");
    assert_eq!((changed.len(), changed[0].as_str()), (23, "2024-03-30T23:00:00Z"));
    assert_eq!(changed[22], "2024-03-31T21:00:00Z");
    assert_eq!(hours("2024-03-30", "2024-03-31").len(), 24);
    assert_eq!(hours("2024-10-27", "2024-10-28").len(), 25);
}

#[test]
fn all_formats_give_the_same_rows() {
    let queries: [&[&str]; 3] = [
        &["report", "usage", "--start", "2024-03-01", "--end", "2024-04-01", "--by", "account,region", "--tz", "Europe/Berlin"],
        &["report", "concurrency", "--start", "2024-03-01", "--end", "2024-04-01", "--by", "instance_type"],
        &["sql", "SELECT * FROM instance_intervals ORDER BY started_at, instance_id"],
    ];
    for query in queries {
        let written = |format: &str| demo().data.run(&[query, &["--format", format]].concat()).ends_with(0);
        let json = written("json");
        let rows = json.rows();
        assert!(json.text().starts_with('[') && json.text().trim_end().ends_with(']') && rows.len() > 100);
        let csv = written("csv");
        let (header, in_csv) = from_csv(csv.text());
        let cells: Vec<Vec<String>> = rows.iter().map(|row| header.iter().map(|name| from_json(&row[name])).collect()).collect();
        assert!(rows.iter().all(|row| row.as_object().is_some_and(|row| row.len() == header.len())), "each row has all columns");
        assert!(in_csv == cells, "{query:?} as csv");

        let ndjson = written("ndjson");
        let lines: Vec<Value> = ndjson.text().lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        assert!(lines == rows, "{query:?} as ndjson");

        let arrow = written("arrow");
        let stream = StreamReader::try_new(&arrow.out[..], None).expect("an Arrow stream");
        assert_eq!(stream.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>(), header);
        let in_arrow: Vec<_> = stream.flat_map(|batch| from_arrow(&batch.expect("a batch"))).collect();
        assert!(in_arrow == cells, "{query:?} as arrow");

        let parquet = written("parquet");
        assert!(parquet.out.starts_with(b"PAR1") && parquet.out.ends_with(b"PAR1"), "{query:?} as parquet");

        let table = written("table");
        let shown = table.text().lines().filter(|line| line.starts_with('│')).count();
        assert_eq!(shown, rows.len() + 1, "{query:?} as a table has a header and all rows");
    }
}

/// The header and the rows. No value of ours contains a comma or a quote.
fn from_csv(text: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect());
    (lines.next().expect("a header"), lines.collect())
}

fn from_json(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn from_arrow(batch: &RecordBatch) -> Vec<Vec<String>> {
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%SZ"));
    let cell = |column: &dyn Array, row: usize| match column.is_null(row) {
        true => String::new(),
        false => ArrayFormatter::try_new(column, &options).expect("a column that can be shown").value(row).to_string(),
    };
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| cell(column, row)).collect()).collect()
}

#[test]
fn times_are_in_utc_and_seconds_integers_are_numbers_and_null_is_null() {
    for row in demo().data.sql("SELECT * FROM instance_intervals ORDER BY ended_at NULLS FIRST LIMIT 60") {
        for name in ["started_at", "recorded_at"] {
            assert_moment(string(&row, name));
        }
        assert!(row["vcpu"].is_i64() || row["vcpu"].is_null(), "{row}");
        assert!(row["revision"].is_i64(), "{row}");
        assert!(string(&row, "account_id").len() == 12, "leading zeros are kept: {row}");
        match row["ended_at"].as_str() {
            Some(end) => assert_moment(end),
            None => assert!(row["ended_at"].is_null() && row["end_kind"].is_null(), "{row}"),
        }
    }
    let open = &demo().data.sql("SELECT count(*) AS open FROM instance_intervals WHERE ended_at IS NULL")[0];
    assert!(integer(open, "open") > 0, "some of the demo's instances still run");
}

/// `2023-07-10T12:03:24Z`.
#[track_caller]
fn assert_moment(text: &str) {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99Z", "{text}");
}

#[test]
fn what_lies_after_the_data_is_provisional_and_said_to_be() {
    let data = &demo().data;
    let after = ["report", "usage", "--start", "2024-03-31", "--end", "2024-04-05", "--format", "json"];
    let outcome = data.run(&after).ends_with(0).says(&["Data reaches to 2024-04-", "what lies after it is provisional"]);
    let provisional: Vec<_> = outcome.rows().iter().map(|row| row["provisional"].as_bool().expect("true or false")).collect();
    assert!(!provisional[0] && provisional[4], "{provisional:?}");
    // March ends before the data does, and the only note is about types of unknown size.
    let march = data.run(&[&["report", "usage"], &MARCH[..]].concat()).ends_with(0);
    assert!(!march.err.contains("provisional"), "{}", march.err);
}

#[test]
fn a_file_holds_what_standard_output_would() {
    let folder = scratch();
    for format in FORMATS {
        let file = folder.path().join(format);
        let report = [&["report", "usage"], &MARCH[..], &["--format", format]].concat();
        let shown = demo().data.run(&report).ends_with(0);
        let written = demo().data.run(&[&report[..], &["--output", text(&file)]].concat()).ends_with(0);
        assert_eq!(written.out, b"", "{format}");
        assert!(std::fs::read(&file).expect("the file is there") == shown.out, "{format}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    // Far more than a pipe holds.
    let long = "SELECT a.* FROM instance_intervals a, (SELECT * FROM instance_types LIMIT 5) b";
    for format in FORMATS {
        let mut child = demo()
            .data
            .program(&["sql", long, "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut out = child.stdout.take().expect("a pipe");
        out.read_exact(&mut [0; 4]).expect("it begins to write");
        drop(out);
        Outcome::of(child.wait_with_output(), &["sql ... | head", format]).ends_with(0).says_nothing();
    }
    let folder = scratch();
    let place = folder.path().join("demo");
    let demo_again = ["demo", "--days", "2", "--folder", text(&place)];
    for command in [&["completions", "bash"][..], &["--help"], &["tables", "digest"], &demo_again] {
        let mut child = demo().data.program(command).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        drop(child.stdout.take());
        Outcome::of(child.wait_with_output(), &[command, &["|", "head"]].concat()).ends_with(0).says_nothing();
    }
}

#[test]
fn a_terminal_without_utf8_gets_plain_tables() {
    let mut report = demo().data.program(&[&["report", "usage"], &MARCH[..]].concat());
    let plain = Outcome::of(report.env("LC_ALL", "C").output(), &["report", "usage"]).ends_with(0);
    assert!(plain.text().is_ascii() && plain.text().contains("| 2024-03-31T00:00:00Z |"));
}
