//! Claim: reports equal what a naive count of the runs gives, whatever the period, its zone, the grouping and the layout of the files.
#![allow(clippy::unwrap_used, reason = "a test fails where its data do not read")]

mod common;
#[path = "common/metering.rs"]
mod metering;

use std::collections::{BTreeMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use cloudigrade_query::{Dimension, Granularity, Limits, Period, Report, ReportKind, ReportRequest, Tables, UnknownType, run_report};
use cloudigrade_schemas::UtcSecond;
use common::{Run, at, write_accounts, write_tables};
use metering::{metered, registrations};
use proptest::prelude::*;
use tempfile::TempDir;

const DONE: &[(&str, &str, &str)] = &[("000000000012", "eu-west-1", "2030-01-01T00:00:00Z")];
const LATER: &str = "2030-01-01T00:00:00Z";

/// A report's rows as (bucket start, dimensions) and values; the provisional mark comes last.
type Cells = BTreeMap<(i64, Vec<Option<String>>), Vec<Option<i64>>>;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn period(start: &str, end: &str, granularity: Granularity, zone: &str, now: &str) -> Period {
    Period::new(start, end, granularity, zone, UtcSecond(at(now))).unwrap()
}

fn report(tables: &Tables, kind: ReportKind, period: &Period, by: &[Dimension]) -> Report {
    // Two partitions, so that partial states are merged.
    let limits = Limits { partitions: Some(2), ..Limits::default() };
    wait(run_report(tables, &ReportRequest::new(kind, period.clone(), by.to_vec()), &limits)).unwrap()
}

fn cells(report: &Report, dimensions: usize) -> Cells {
    let mut cells = Cells::new();
    for batch in &report.batches {
        for row in 0..batch.num_rows() {
            let key = (2..2 + dimensions).map(|column| text(batch, column, row)).collect();
            let values = (2 + dimensions..batch.num_columns()).map(|column| integer(batch, column, row)).collect();
            assert_eq!(cells.insert((integer(batch, 0, row).unwrap(), key), values), None, "a group has one row a bucket");
        }
    }
    cells
}

fn text(batch: &RecordBatch, column: usize, row: usize) -> Option<String> {
    let texts = batch.column(column).as_string_view();
    texts.is_valid(row).then(|| texts.value(row).to_owned())
}

/// Integers as they are, moments in seconds, booleans as 0 and 1.
fn integer(batch: &RecordBatch, column: usize, row: usize) -> Option<i64> {
    let values = batch.column(column);
    values.is_valid(row).then(|| match values.data_type() {
        DataType::Boolean => i64::from(values.as_boolean().value(row)),
        DataType::Timestamp(..) => values.as_primitive::<TimestampMicrosecondType>().value(row) / 1_000_000,
        _ => values.as_primitive::<Int64Type>().value(row),
    })
}

fn open(runs: &[Run], coverage: &[(&str, &str, &str)]) -> (TempDir, Tables) {
    let folder = tempfile::tempdir().unwrap();
    write_tables(folder.path(), runs, coverage);
    let tables = wait(Tables::open_dir(folder.path())).unwrap();
    (folder, tables)
}

fn dimension_of(run: &Run, dimension: Dimension) -> Option<String> {
    match dimension {
        Dimension::Account => Some(run.account.to_string()),
        Dimension::Region => Some(run.region.to_string()),
        Dimension::Image => run.image.as_deref().map(str::to_owned),
        Dimension::InstanceType => run.instance_type.as_deref().map(str::to_owned),
        Dimension::Instance => Some(run.instance.clone()),
        other => panic!("{other} is not told by a run"),
    }
}

/// The part of a run that lies in `[from, to)`, as seconds since 1970.
fn overlap(run: &Run, period: &Period, from: i64, to: i64) -> Option<(i64, i64)> {
    let (start, end) = (run.start.max(from), run.end.unwrap_or(period.open_end()).min(to));
    (start < end).then_some((start, end))
}

/// Every group's runs that have a part in the period.
fn groups<'a>(runs: &'a [Run], period: &Period, by: &[Dimension]) -> BTreeMap<Vec<Option<String>>, Vec<&'a Run>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if by.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for run in runs.iter().filter(|run| overlap(run, period, period.start(), period.end()).is_some()) {
        groups.entry(by.iter().map(|dimension| dimension_of(run, *dimension)).collect()).or_default().push(run);
    }
    groups
}

fn naive(kind: ReportKind, runs: &[Run], coverage: &[(&str, &str, &str)], period: &Period, by: &[Dimension]) -> Cells {
    let mut cells = Cells::new();
    for (key, runs) in groups(runs, period, by) {
        let places: HashSet<_> = runs.iter().map(|run| (&*run.account, &*run.region)).collect();
        let reach = coverage.iter().filter(|row| places.is_empty() || places.contains(&(row.0, row.1))).map(|row| at(row.2)).min();
        for edge in period.edges().windows(2) {
            let parts: Vec<_> = runs.iter().filter_map(|run| Some((*run, overlap(run, period, edge[0], edge[1])?))).collect();
            if parts.is_empty() && !by.is_empty() {
                continue;
            }
            let mut values = match kind {
                ReportKind::Usage => naive_usage(&parts),
                ReportKind::Concurrency => naive_concurrency(&parts),
            };
            values.push(Some(i64::from(edge[1] > reach.unwrap().min(period.now().0))));
            cells.insert((edge[0], key.clone()), values);
        }
    }
    cells
}

fn naive_usage(parts: &[(&Run, (i64, i64))]) -> Vec<Option<i64>> {
    let instances: HashSet<_> = parts.iter().map(|(run, _)| (&run.account, &run.region, &run.instance)).collect();
    let sum = |weight: &dyn Fn(&Run) -> i64| parts.iter().map(|(run, (start, end))| weight(run) * (end - start)).sum::<i64>();
    let (runtime, no_size) = (sum(&|_| 1), sum(&|run| i64::from(run.size().is_none())));
    let weighed = |sum: i64| (runtime == 0 || no_size < runtime).then_some(sum);
    vec![
        Some(instances.len() as i64),
        Some(runtime),
        weighed(sum(&|run| run.size().map_or(0, |size| size.0))),
        weighed(sum(&|run| run.size().map_or(0, |size| size.1))),
        Some(no_size),
    ]
}

fn naive_concurrency(parts: &[(&Run, (i64, i64))]) -> Vec<Option<i64>> {
    // A level can only rise when something starts.
    let level = |at: i64, weight: &dyn Fn(&Run) -> i64| {
        parts.iter().filter(|(_, (start, end))| *start <= at && at < *end).map(|(run, _)| weight(run)).sum::<i64>()
    };
    let peak = |weight: &dyn Fn(&Run) -> i64| parts.iter().map(|(_, (start, _))| level(*start, weight)).max().unwrap_or(0);
    let instances = peak(&|_| 1);
    let first = parts.iter().map(|(_, (start, _))| *start).filter(|start| level(*start, &|_| 1) == instances).min();
    let known = |peak: i64| (peak > 0 || instances == 0).then_some(peak);
    vec![
        Some(instances),
        first,
        known(peak(&|run| run.size().map_or(0, |size| size.0))),
        known(peak(&|run| run.size().map_or(0, |size| size.1))),
    ]
}

const COVERAGE: &[(&str, &str, &str)] = &[
    ("000000000012", "eu-west-1", "2024-04-02T00:00:00Z"),
    ("000000000012", "ap-southeast-1", "2024-03-31T12:00:00Z"),
    ("999999999999", "eu-west-1", "2024-05-01T00:00:00Z"),
    ("999999999999", "ap-southeast-1", "2024-03-30T00:00:00Z"),
];

/// Instances with runs that follow each other around the end of March 2024: with gaps or none, of zero seconds or weeks, with changes
/// of type; the last may be open.
fn fleets() -> impl Strategy<Value = Vec<Run>> {
    let run = (prop_oneof![Just(0_i64), 0_i64..40, 0_i64..2000], prop_oneof![Just(0_i64), 1_i64..30, 0_i64..3000], 0_usize..5);
    let instance = (prop::collection::vec(run, 0..6), any::<bool>(), 0_usize..2, 0_usize..2);
    prop::collection::vec(instance, 0..10).prop_map(|instances| {
        let mut fleet = Vec::new();
        for (number, (runs, is_open, account, region)) in instances.into_iter().enumerate() {
            let mut now = at("2024-02-28T00:00:00Z");
            let count = runs.len();
            for (index, (gap, length, kind)) in runs.into_iter().enumerate() {
                // Steps of a quarter of an hour make ties likely.
                let start = now + gap * 900;
                now = start + length * 900;
                let types = [Some("m5.large"), Some("c5.xlarge"), Some("x9.imaginary"), None, Some("t3.nano")];
                let end = (!(is_open && index + 1 == count)).then_some(now);
                // The same id in two accounts is two instances.
                let run = Run { start, end, ..Run::new(&format!("i-{:017x}", number / 2), "2024-01-01T00:00:00Z", None) };
                fleet.push(run.typed(types[kind]).of(COVERAGE[account * 2].0, COVERAGE[region].1));
            }
        }
        // An instance that fell twice on one id would overlap itself, which the fold of events rules out.
        let mut ends: BTreeMap<_, i64> = BTreeMap::new();
        fleet.sort_by_key(|run| run.start);
        fleet.retain(|run| {
            let last = ends.entry((run.account.clone(), run.region.clone(), run.instance.clone())).or_insert(i64::MIN);
            let follows = run.start >= *last;
            *last = if follows { run.end.unwrap_or(i64::MAX) } else { *last };
            follows
        });
        fleet
    })
}

fn periods() -> impl Strategy<Value = Period> {
    let spans = prop_oneof![
        Just(("2024-03-31", "2024-04-01")),
        Just(("2024-03-29T10:20:30Z", "2024-04-02")),
        Just(("2024-03-01", "2024-04-01")),
        Just(("2024-02-15", "2024-04-20")),
    ];
    let zones = prop_oneof![Just("UTC"), Just("Europe/Berlin"), Just("Asia/Kolkata")];
    let granularities = prop_oneof![Just(Granularity::Hour), Just(Granularity::Day), Just(Granularity::Month)];
    let now = prop_oneof![Just("2024-03-31T01:30:00Z"), Just("2024-04-10T00:00:00Z"), Just(LATER)];
    (spans, granularities, zones, now).prop_map(|((start, end), granularity, zone, now)| period(start, end, granularity, zone, now))
}

const GROUPINGS: &[&[Dimension]] = &[
    &[],
    &[Dimension::Account],
    &[Dimension::InstanceType, Dimension::Region],
    &[Dimension::Image, Dimension::Instance],
    &[Dimension::Instance, Dimension::Region, Dimension::Account],
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn every_cell_equals_a_naive_count(fleet in fleets(), period in periods(), by in prop::sample::subsequence(GROUPINGS, 2)) {
        let (_folder, tables) = open(&fleet, COVERAGE);
        for by in by {
            for kind in [ReportKind::Usage, ReportKind::Concurrency] {
                let counted = cells(&report(&tables, kind, &period, by), by.len());
                prop_assert_eq!(counted, naive(kind, &fleet, COVERAGE, &period, by), "{:?} by {:?}", kind, by);
            }
        }
    }

    #[test]
    fn what_ran_while_its_account_was_metered_for_nobody_is_not_counted(
        fleet in fleets(), period in periods(), by in prop::sample::subsequence(GROUPINGS, 2), accounts in registrations(),
    ) {
        let (folder, tables) = open(&fleet, COVERAGE);
        write_accounts(folder.path(), &accounts);
        wait(tables.refresh()).unwrap();
        let counting = metered(&fleet, &accounts, &period);
        for by in by {
            for kind in [ReportKind::Usage, ReportKind::Concurrency] {
                let counted = cells(&report(&tables, kind, &period, by), by.len());
                prop_assert_eq!(counted, naive(kind, &counting, COVERAGE, &period, by), "{:?} by {:?}", kind, by);
            }
        }
    }

    #[test]
    fn hours_sum_to_days_days_to_months_and_groups_to_the_total(fleet in fleets(), zone in prop_oneof![Just("Europe/Berlin"), Just("Asia/Kolkata")]) {
        let (_folder, tables) = open(&fleet, COVERAGE);
        let of = |kind, granularity, by: &[Dimension]| {
            let period = period("2024-03-01", "2024-04-03", granularity, zone, "2024-04-01T12:00:00Z");
            cells(&report(&tables, kind, &period, by), by.len())
        };
        let by = [Dimension::Account];
        for (fine, coarse) in [(Granularity::Hour, Granularity::Day), (Granularity::Day, Granularity::Month)] {
            let coarse_usage = of(ReportKind::Usage, coarse, &by);
            prop_assert_eq!(join(of(ReportKind::Usage, fine, &by), &coarse_usage, |sum, more| sum + more, &[1, 4]), sums(&coarse_usage, &[1, 4]));
            let coarse_peaks = of(ReportKind::Concurrency, coarse, &by);
            prop_assert_eq!(join(of(ReportKind::Concurrency, fine, &by), &coarse_peaks, i64::max, &[0]), sums(&coarse_peaks, &[0]));
        }
        let total: i64 = of(ReportKind::Usage, Granularity::Day, &[]).values().filter_map(|values| values[1]).sum();
        let grouped: i64 = of(ReportKind::Usage, Granularity::Day, &[Dimension::Instance]).values().filter_map(|values| values[1]).sum();
        prop_assert_eq!(total, grouped);
        let peaks = of(ReportKind::Concurrency, Granularity::Day, &by);
        for ((day, _), total) in of(ReportKind::Concurrency, Granularity::Day, &[]) {
            let of_groups: i64 = peaks.iter().filter(|((start, _), _)| *start == day).filter_map(|(_, values)| values[0]).sum();
            prop_assert!(total[0] <= Some(of_groups));
        }
    }
}

/// The chosen columns of fine cells, joined into the coarse cells that hold them.
fn join(fine: Cells, coarse: &Cells, join: impl Fn(i64, i64) -> i64, columns: &[usize]) -> BTreeMap<(i64, Vec<Option<String>>), Vec<i64>> {
    let mut joined: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for ((start, key), values) in fine {
        let holder = coarse.keys().rfind(|(from, k)| *k == key && *from <= start).unwrap().clone();
        let chosen = columns.iter().map(|column| values[*column].unwrap());
        match joined.get_mut(&holder) {
            Some(held) => held.iter_mut().zip(chosen).for_each(|(held, value)| *held = join(*held, value)),
            None => _ = joined.insert(holder, chosen.collect()),
        }
    }
    joined
}

fn sums(cells: &Cells, columns: &[usize]) -> BTreeMap<(i64, Vec<Option<String>>), Vec<i64>> {
    cells.iter().map(|(key, values)| (key.clone(), columns.iter().map(|column| values[*column].unwrap()).collect())).collect()
}

fn days(start: &str, end: &str, zone: &str) -> Period {
    period(start, end, Granularity::Day, zone, LATER)
}

fn column(report: &Report, name: &str) -> Vec<Option<i64>> {
    let at = report.schema.index_of(name).unwrap();
    report.batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| integer(batch, at, row))).collect()
}

#[test]
fn a_run_that_ends_at_midnight_is_not_counted_on_the_next_day() {
    let runs = [Run::new("i-a", "2024-02-01T10:00:00Z", Some("2024-02-02T00:00:00Z")), Run::new("i-b", "2024-02-01T12:00:00Z", None)];
    let (_folder, tables) = open(&runs, DONE);
    let peaks = report(&tables, ReportKind::Concurrency, &days("2024-02-01", "2024-02-03", "UTC"), &[]);
    assert_eq!(column(&peaks, "peak_instances"), [Some(2), Some(1)]);
    let usage = report(&tables, ReportKind::Usage, &days("2024-02-01", "2024-02-02", "UTC"), &[Dimension::Instance]);
    assert_eq!(column(&usage, "runtime_seconds"), [Some(14 * 3600), Some(12 * 3600)]);
}

#[test]
fn a_hand_over_at_one_second_is_a_peak_of_one() {
    let hand_over = |first: &str, second: &str| {
        let runs = [
            Run::new(first, "2024-02-01T10:00:00Z", Some("2024-02-01T12:00:00Z")),
            Run::new(second, "2024-02-01T12:00:00Z", Some("2024-02-01T13:00:00Z")),
        ];
        let (_folder, tables) = open(&runs, DONE);
        column(&report(&tables, ReportKind::Concurrency, &days("2024-02-01", "2024-02-02", "UTC"), &[]), "peak_instances")
    };
    assert_eq!((hand_over("i-a", "i-b"), hand_over("i-b", "i-a")), (vec![Some(1)], vec![Some(1)]));
}

#[test]
fn a_day_on_which_the_clock_is_changed_has_23_or_25_hours_of_usage() {
    let (_folder, tables) = open(&[Run::new("i-a", "2024-01-01T00:00:00Z", None)], DONE);
    for (day, next, hours) in [("2024-03-31", "2024-04-01", 23), ("2024-10-27", "2024-10-28", 25)] {
        let usage = report(&tables, ReportKind::Usage, &days(day, next, "Europe/Berlin"), &[]);
        assert_eq!(column(&usage, "runtime_seconds"), [Some(hours * 3600)]);
        assert_eq!(column(&usage, "vcpu_seconds"), [Some(2 * hours * 3600)]);
    }
}

#[test]
fn an_open_run_ends_now_and_what_lies_after_the_data_is_provisional() {
    let (_folder, tables) =
        open(&[Run::new("i-a", "2024-02-01T00:00:00Z", None)], &[("000000000012", "eu-west-1", "2024-02-02T12:00:00Z")]);
    let asked = period("2024-02-01", "2024-02-05", Granularity::Day, "UTC", "2024-02-03T06:00:00Z");
    let usage = report(&tables, ReportKind::Usage, &asked, &[]);
    assert_eq!(column(&usage, "runtime_seconds"), [Some(86_400), Some(86_400), Some(6 * 3600), Some(0)]);
    assert_eq!(column(&usage, "provisional"), [Some(0), Some(1), Some(1), Some(1)]);
    assert_eq!(usage.complete_through, Some(UtcSecond(at("2024-02-02T12:00:00Z"))));
}

#[test]
fn a_quiet_region_does_not_make_others_provisional() {
    let runs = [Run::new("i-a", "2024-02-01T00:00:00Z", Some("2024-02-02T00:00:00Z"))];
    let (_folder, tables) = open(&runs, &[("000000000012", "eu-west-1", LATER), ("000000000012", "eu-north-1", "2020-01-01T00:00:00Z")]);
    let usage = report(&tables, ReportKind::Usage, &days("2024-02-01", "2024-02-03", "UTC"), &[]);
    assert_eq!(column(&usage, "provisional"), [Some(0), Some(0)]);
    assert_eq!(usage.complete_through, Some(UtcSecond(at(LATER))));
}

#[test]
fn unknown_sizes_are_listed_and_never_zero() {
    let hour = |instance, kind| Run::new(instance, "2024-02-01T00:00:00Z", Some("2024-02-01T01:00:00Z")).typed(kind);
    let (_folder, tables) = open(&[hour("i-a", Some("x9.imaginary")), hour("i-b", None), hour("i-c", Some("m5.large"))], DONE);
    let total = report(&tables, ReportKind::Usage, &days("2024-02-01", "2024-02-02", "UTC"), &[]);
    assert_eq!((column(&total, "vcpu_seconds"), column(&total, "unsized_seconds")), (vec![Some(7200)], vec![Some(7200)]));
    let unknown = |name: Option<&str>| UnknownType { instance_type: name.map(str::to_owned), runtime_seconds: 3600 };
    assert_eq!(total.unknown_types, [unknown(Some("x9.imaginary")), unknown(None)]);
    let by_type = report(&tables, ReportKind::Usage, &days("2024-02-01", "2024-02-02", "UTC"), &[Dimension::InstanceType]);
    assert_eq!(column(&by_type, "vcpu_seconds"), [Some(7200), None, None]);
    let peaks = report(&tables, ReportKind::Concurrency, &days("2024-02-01", "2024-02-02", "UTC"), &[Dimension::InstanceType]);
    assert_eq!(column(&peaks, "peak_memory_mib"), [Some(8192), None, None]);
}

#[test]
fn nothing_ingested_is_an_empty_report_and_all_of_it_provisional() {
    let folder = tempfile::tempdir().unwrap();
    let tables = wait(Tables::open_dir(&folder.path().join("not/yet"))).unwrap();
    let asked = days("2024-02-01", "2024-02-03", "UTC");
    let usage = report(&tables, ReportKind::Usage, &asked, &[]);
    assert_eq!((column(&usage, "instances"), column(&usage, "provisional")), (vec![Some(0); 2], vec![Some(1); 2]));
    assert_eq!(usage.complete_through, None);
    let peaks = report(&tables, ReportKind::Concurrency, &asked, &[Dimension::Account]);
    assert_eq!(column(&peaks, "peak_instances"), []);
    assert_eq!(peaks.schema.field(2).name(), "account_id");
}

#[test]
fn a_report_with_too_many_rows_is_refused() {
    let (_folder, tables) = open(&[Run::new("i-a", "2024-01-01T00:00:00Z", None)], DONE);
    let request = ReportRequest::new(ReportKind::Usage, days("2024-02-01", "2024-02-11", "UTC"), vec![]);
    let refused = wait(run_report(&tables, &request, &Limits { rows: 9, ..Limits::default() })).unwrap_err();
    assert!(refused.to_string().contains("more than 9 rows"), "{refused}");
}
