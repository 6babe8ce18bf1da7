//! `cloudigrade demo`: a simulated fleet, through the very pipeline that real logs go through, held against its own truth.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use cloudigrade_connectors::source::Location;
use cloudigrade_connectors::source::s3::S3Options;
use cloudigrade_query::{Dimension, Granularity, Limits, Period, ReportKind, ReportRequest, Tables, Viewer, run_report, run_sql};
use cloudigrade_schemas::{InstanceKey, UtcSecond};
use indicatif::HumanCount;
use tokio::runtime::Handle;

use super::ingest::read_places;
use crate::cli::Demo;
use crate::data::{DataFolder, now};
use crate::demo::{Fleet, FleetOptions, Measured, Run, plot, simulate};
use crate::exit::{Code, error};
use crate::log::Process;
use crate::output::{may_colour, print, table_style, tell, terminal_columns};

/// A file that says that a folder was made by a demo, and may be made anew by one.
const MARK: &str = ".cloudigrade-demo";
/// Differences from the truth that are printed.
const DIFFERENCES_SHOWN: usize = 20;

/// Simulates, ingests, reports, checks.
pub fn run(args: &Demo, runtime: &Handle) -> anyhow::Result<Code> {
    let started = Instant::now();
    prepare(&args.folder)?;
    let fleet = simulate(&FleetOptions { seed: args.seed, days: args.days, ..FleetOptions::default() })?;
    let logs = args.folder.join("logs");
    let files = fleet.write_to(&logs)?;
    let counts = fleet.counts();
    print(|out| {
        writeln!(
            out,
            "A simulated fleet (seed {}): {} records in {} CloudTrail files, of which {} distinct ones\nstart, stop or change instances; {} records come twice, {} late and {} never. They are in {}.\n",
            args.seed,
            HumanCount(counts.records),
            HumanCount(files),
            HumanCount(counts.power_records),
            HumanCount(counts.repeated_records),
            HumanCount(counts.late_records),
            fleet.truth.lost.len(),
            logs.display(),
        )
    })?;

    let data = DataFolder::at(args.folder.join("data"));
    let log = data.open_log(&Process::Command)?;
    let s3 = S3Options { endpoint_url: None, region: None, runtime: runtime.clone() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = read_places(&data, &log, &[Location::Local(logs)], &s3, threads, runtime)?;
    drop(log);
    let measured = runtime.block_on(async {
        let tables = data.open_tables().await?;
        measure(&tables, &fleet).await
    })?;
    print(|out| {
        draw(out, &measured, &fleet)?;
        writeln!(
            out,
            "Ingested {} files with {} records: {} power records ({} repeats dropped), {} dead letters; {} instances ran.",
            HumanCount(summary.files),
            HumanCount(summary.records),
            HumanCount(summary.power_records),
            HumanCount(summary.duplicates),
            HumanCount(summary.dead_letters),
            HumanCount(measured.distinct_instances),
        )
    })?;
    check(&fleet, &measured)?;
    print(|out| write_verdict(out, &fleet).and_then(|()| write_next(out, args, &fleet, started)))?;
    Ok(Code::Done)
}

/// Makes an empty folder; one that an earlier demo made is emptied, any other is left alone.
fn prepare(folder: &Path) -> anyhow::Result<()> {
    let failed = |cause: std::io::Error| error(Code::Storage, format!("{}: {cause}", folder.display()));
    if folder.exists() {
        if !folder.join(MARK).is_file() {
            let message = format!("{} exists and was not made by a demo: choose another with --folder", folder.display());
            return Err(error(Code::Usage, message));
        }
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    fs::write(folder.join(MARK), "Made by `cloudigrade demo`, which replaces it.\n").map_err(failed)
}

/// What the pipeline says, by the same reports and SQL that users ask.
async fn measure(tables: &Tables, fleet: &Fleet) -> anyhow::Result<Measured> {
    let window = fleet.truth.as_logged.window;
    let period = |granularity| Period::new(&window.start.to_string(), &window.end.to_string(), granularity, "UTC", now());
    let limits = Limits::default();
    let report = async |kind, granularity, by: &[Dimension]| {
        let request = ReportRequest::new(kind, period(granularity)?, by.to_vec());
        anyhow::Ok(run_report(tables, &request, &limits).await?.batches)
    };
    let mut measured = Measured::default();
    for batch in report(ReportKind::Usage, Granularity::Day, &[]).await? {
        let seconds = integers(&batch, "runtime_seconds")?;
        measured.seconds_by_day.extend(moments(&batch, "bucket_start")?.into_iter().zip(seconds).filter_map(|(day, n)| Some((day?, n?))));
    }
    let whole = Period::new(&window.start.to_string(), &window.end.to_string(), Granularity::Month, "UTC", now())?.whole();
    let whole = run_report(tables, &ReportRequest::new(ReportKind::Usage, whole, Vec::new()), &limits).await?;
    for batch in whole.batches {
        measured.distinct_instances += integers(&batch, "instances")?.into_iter().flatten().sum::<u64>();
    }
    for batch in report(ReportKind::Concurrency, Granularity::Day, &[]).await? {
        let peaks = integers(&batch, "peak_instances")?;
        measured.peak_by_day.extend(moments(&batch, "bucket_start")?.into_iter().zip(peaks).filter_map(|(day, n)| Some((day?, n?))));
    }
    for batch in report(ReportKind::Concurrency, Granularity::Day, &[Dimension::Account]).await? {
        let (days, peaks, accounts) = (moments(&batch, "bucket_start")?, integers(&batch, "peak_instances")?, texts(&batch, "account_id")?);
        for ((day, peak), account) in days.into_iter().zip(peaks).zip(accounts) {
            if let (Some(day), Some(peak), Some(account)) = (day, peak, account) {
                measured.peak_by_account_day.entry(account).or_default().insert(day, peak);
            }
        }
    }
    let query = "SELECT account_id, region, instance_id, instance_type, started_at, ended_at FROM instance_intervals ORDER BY started_at";
    for batch in run_sql(tables, &Viewer::Everything, query, now(), &limits).await?.collect().await? {
        read_runs(&batch, &mut measured.runs)?;
    }
    Ok(measured)
}

fn read_runs(batch: &RecordBatch, runs: &mut BTreeMap<InstanceKey<'static>, Vec<Run>>) -> anyhow::Result<()> {
    let (accounts, regions, instances) = (texts(batch, "account_id")?, texts(batch, "region")?, texts(batch, "instance_id")?);
    let (types, starts, ends) = (texts(batch, "instance_type")?, moments(batch, "started_at")?, moments(batch, "ended_at")?);
    for row in 0..batch.num_rows() {
        let text = |column: &[Option<String>]| column[row].clone().unwrap_or_default();
        let key = InstanceKey { account_id: text(&accounts).into(), region: text(&regions).into(), instance_id: text(&instances).into() };
        if let Some(on) = starts[row] {
            runs.entry(key).or_default().push(Run { on, off: ends[row], instance_type: types[row].clone() });
        }
    }
    Ok(())
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> anyhow::Result<&'a dyn Array> {
    batch.column_by_name(name).map(|column| &**column).ok_or_else(|| anyhow::anyhow!("the report has no column {name}"))
}

fn texts(batch: &RecordBatch, name: &str) -> anyhow::Result<Vec<Option<String>>> {
    let plain = arrow::compute::cast(column(batch, name)?, &arrow::datatypes::DataType::Utf8)?;
    Ok(plain.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
}

fn integers(batch: &RecordBatch, name: &str) -> anyhow::Result<Vec<Option<u64>>> {
    let plain = arrow::compute::cast(column(batch, name)?, &arrow::datatypes::DataType::Int64)?;
    Ok(plain.as_primitive::<Int64Type>().iter().map(|n| n.and_then(|n| u64::try_from(n).ok())).collect())
}

fn moments(batch: &RecordBatch, name: &str) -> anyhow::Result<Vec<Option<UtcSecond>>> {
    let column = column(batch, name)?.as_primitive_opt::<TimestampMicrosecondType>();
    let column = column.ok_or_else(|| anyhow::anyhow!("the report's column {name} is no time"))?;
    Ok(column.iter().map(|micros| micros.map(|micros| UtcSecond(micros.div_euclid(1_000_000)))).collect())
}

fn draw(out: &mut dyn Write, measured: &Measured, fleet: &Fleet) -> io::Result<()> {
    /// At most: a wider chart is no clearer.
    const COLUMNS_MAX: usize = 100;
    let columns = terminal_columns().clamp(plot::COLUMNS_MIN, COLUMNS_MAX);
    let glyphs = match table_style() {
        cloudigrade_query::TableStyle::Unicode => plot::Glyphs::Blocks,
        cloudigrade_query::TableStyle::Ascii => plot::Glyphs::Ascii,
    };
    let style = plot::Style { columns, glyphs, colour: may_colour() };
    writeln!(out, "{}", plot::by_day("Instances at once, by day (highest of each day, UTC)", &measured.peak_by_day, style))?;
    let window = fleet.truth.as_logged.window;
    let mut by_account: BTreeMap<String, u64> = BTreeMap::new();
    for (instance, runs) in &measured.runs {
        let seconds = runs.iter().filter_map(|run| window.clip(run.on, run.off)).map(|part| part.seconds()).sum::<u64>();
        *by_account.entry(instance.account_id.clone().into_owned()).or_default() += seconds / 3600;
    }
    let bars: Vec<_> = by_account.into_iter().collect();
    writeln!(out, "{}", plot::by_label("Use by account", "instance-hours", &bars, style))
}

/// Holds what was measured against the truth.
fn check(fleet: &Fleet, measured: &Measured) -> anyhow::Result<()> {
    let differences = fleet.truth.as_logged.compare(measured);
    if differences.is_empty() {
        return Ok(());
    }
    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        tell(format_args!("  {difference}"));
    }
    let message = format!("{} numbers differ from the simulation's truth: this is a fault of cloudigrade", differences.len());
    Err(error(Code::Wrong, message))
}

fn write_verdict(out: &mut dyn Write, fleet: &Fleet) -> io::Result<()> {
    writeln!(out, "Checked: every run, each day's seconds and each peak equal what the simulation knows its log to say.")?;
    let overstated: u64 = fleet.truth.lost.iter().map(|lost| lost.overstated_seconds).sum();
    if overstated > 0 {
        let hours = overstated / 3600;
        writeln!(out, "What the log does not say cannot be metered: the records that never came overstate use by {hours} hours.")?;
    }
    Ok(())
}

fn write_next(out: &mut dyn Write, args: &Demo, fleet: &Fleet, started: Instant) -> io::Result<()> {
    let folder = args.folder.join("data");
    let folder = folder.display();
    let window = fleet.truth.as_logged.window;
    let (start, end) = (&window.start.to_string()[..10], &window.end.to_string()[..10]);
    writeln!(out, "\nDone in {:.0} s. Try next:", started.elapsed().as_secs_f64())?;
    // As it was called: it need not be in the PATH.
    let program = std::env::args_os().next().map_or_else(|| "cloudigrade".into(), PathBuf::from);
    let program = program.display();
    writeln!(out, "  {program} report usage --data {folder} --start {start} --end {end} --granularity month --by account,region")?;
    writeln!(out, "  {program} report concurrency --data {folder} --start {start} --end {end} --by instance_type --tz Europe/Berlin")?;
    writeln!(out, "  {program} sql --data {folder}")
}
