//! Times month reports over random intervals: `bench_tables FOLDER COUNT [ROUNDS [REPORT]]`.
//!
//! Writes the tables below FOLDER if they are not there (a month of COUNT runs with log-normal durations: median 2 h, mean 12 h; about six
//! runs an instance; 12 accounts, 6 regions, 20 types), then prints the median time of each report as one JSON object.
#![allow(clippy::unwrap_used, reason = "a measurement that fails has no result")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use cloudigrade_pipeline::heap;
use cloudigrade_query::{Dimension, Granularity, Limits, Period, ReportKind, ReportRequest, Tables, run_report};
use cloudigrade_schemas::table::{BUCKETS, INSTANCE_INTERVALS};
use cloudigrade_schemas::{UtcSecond, instance_type};
use common::{Run, TableWriter, add_runs, at, write_coverage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};

const MONTH_START: &str = "2024-03-01T00:00:00Z";
const MONTH_END: &str = "2024-04-01T00:00:00Z";
const ACCOUNTS: usize = 12;
const REGIONS: [&str; 6] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1"];
const TYPES: usize = 20;
const RUNS_PER_INSTANCE: usize = 6;
/// One run in this many has not ended.
const OPEN_ONE_IN: u32 = 200;

fn main() {
    heap::bound();
    tokio::runtime::Runtime::new().unwrap().block_on(run());
}

async fn run() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, rounds @ ..] = args.as_slice() else { panic!("usage: bench_tables FOLDER COUNT [ROUNDS]") };
    let (folder, count) = (Path::new(folder), count.parse().unwrap());
    let only = rounds.get(1);
    let rounds = rounds.first().map_or(7, |rounds| rounds.parse().unwrap());
    if !folder.join(INSTANCE_INTERVALS.name).exists() {
        generate(folder, count);
    }
    let tables = Tables::open_dir(folder).await.unwrap();
    let mut results = Map::from_iter([("runs".to_owned(), json!(count))]);
    let place = [Dimension::Account, Dimension::Region];
    for (name, kind, granularity, by) in [
        ("usage_day", ReportKind::Usage, Granularity::Day, &[][..]),
        ("usage_day_by_account_region", ReportKind::Usage, Granularity::Day, &place),
        ("usage_day_by_type", ReportKind::Usage, Granularity::Day, &[Dimension::InstanceType]),
        ("usage_hour_by_account_region", ReportKind::Usage, Granularity::Hour, &place),
        ("usage_month_by_instance", ReportKind::Usage, Granularity::Month, &[Dimension::Instance]),
        ("concurrency_day", ReportKind::Concurrency, Granularity::Day, &[]),
        ("concurrency_day_by_account_region", ReportKind::Concurrency, Granularity::Day, &place),
        ("concurrency_day_by_type", ReportKind::Concurrency, Granularity::Day, &[Dimension::InstanceType]),
        ("concurrency_hour_by_account_region", ReportKind::Concurrency, Granularity::Hour, &place),
    ] {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        results.insert(name.to_owned(), time(&tables, kind, granularity, by, rounds).await);
    }
    println!("{:#}", Value::Object(results));
}

/// The median time of a report, after one that warms the caches.
async fn time(tables: &Tables, kind: ReportKind, granularity: Granularity, by: &[Dimension], rounds: usize) -> Value {
    let period = Period::new(MONTH_START, MONTH_END, granularity, "UTC", UtcSecond(at(MONTH_END))).unwrap();
    let request = ReportRequest::new(kind, period, by.to_vec());
    let limits = Limits { rows: usize::MAX, memory_bytes: 8 << 30, ..Limits::default() };
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..=rounds {
        let started = Instant::now();
        let report = run_report(tables, &request, &limits).await.unwrap();
        times.push(started.elapsed());
        rows = report.batches.iter().map(RecordBatch::num_rows).sum();
    }
    times.remove(0);
    times.sort();
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1e5).round() / 100.0;
    json!({"median_ms": milliseconds(times[times.len() / 2]), "least_ms": milliseconds(times[0]), "rows": rows})
}

fn generate(folder: &Path, count: usize) {
    let mut writer = TableWriter::new(folder, INSTANCE_INTERVALS);
    for bucket in 0..BUCKETS {
        let mut rng = StdRng::seed_from_u64(u64::from(bucket));
        add_runs(&mut writer, bucket, &runs(&mut rng, count / BUCKETS as usize));
    }
    writer.commit();
    let accounts: Vec<_> = (0..ACCOUNTS).map(account).collect();
    let places = accounts.iter().flat_map(|account| REGIONS.map(|region| (&**account, region, MONTH_END)));
    write_coverage(folder, &places.collect::<Vec<_>>());
}

fn account(number: usize) -> Arc<str> {
    format!("{:012}", 1_000_000_007 * (number + 1)).into()
}

fn runs(rng: &mut StdRng, count: usize) -> Vec<Run> {
    let accounts: Vec<_> = (0..ACCOUNTS).map(account).collect();
    let regions: Vec<Arc<str>> = REGIONS.map(Into::into).to_vec();
    let images: Vec<Arc<str>> = (0..100).map(|image| format!("ami-{image:017x}").into()).collect();
    let known: Vec<_> = instance_type::all().collect();
    let types: Vec<Arc<str>> = known.iter().step_by(known.len() / TYPES).map(|kind| kind.name.into()).collect();
    let (month_start, month_end) = (at(MONTH_START), at(MONTH_END));
    let mut runs = Vec::with_capacity(count + RUNS_PER_INSTANCE);
    while runs.len() < count {
        let instance = format!("i-{:017x}", rng.random_range(0..1_u64 << 60));
        let (account, region) = (&accounts[rng.random_range(0..ACCOUNTS)], &regions[rng.random_range(0..REGIONS.len())]);
        let (image, kind) = (&images[rng.random_range(0..images.len())], &types[rng.random_range(0..types.len())]);
        let mut start = rng.random_range(month_start - 3 * 86_400..month_end - 3 * 86_400);
        for _ in 0..rng.random_range(1..2 * RUNS_PER_INSTANCE) {
            let is_open = rng.random_range(0..OPEN_ONE_IN) == 0;
            let end = start + log_normal(rng, 7200.0, 1.893);
            runs.push(Run {
                end_not_before: None,
                account: Arc::clone(account),
                region: Arc::clone(region),
                instance: instance.clone(),
                image: Some(Arc::clone(image)),
                instance_type: Some(Arc::clone(kind)),
                start,
                end: (!is_open).then_some(end),
            });
            start = end + log_normal(rng, 3600.0, 1.5);
            if is_open || start >= month_end {
                break;
            }
        }
    }
    runs
}

/// A log-normal number of seconds, at least one, by the method of Box and Muller.
fn log_normal(rng: &mut StdRng, median: f64, sigma: f64) -> i64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
    (median * (sigma * normal).exp()).clamp(1.0, 90.0 * 86_400.0) as i64
}
