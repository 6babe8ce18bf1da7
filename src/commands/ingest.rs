//! `cloudigrade ingest`: CloudTrail files into the data folder.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::log::{DataLog, Process};
use cloudigrade_connectors::codec::CodecLimits;
use cloudigrade_connectors::completeness;
use cloudigrade_connectors::source::feed::{self, Feed};
use cloudigrade_connectors::source::s3::S3Options;
use cloudigrade_connectors::source::{self, IngestOptions, ListFeed, Location, Progress, Summary, ledger};
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::sink::Tables;
use indicatif::{HumanBytes, HumanCount};
use tokio::runtime::Handle;

use crate::cli::{Ingest, SummaryFormat};
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::output::{self, tell, with_progress_line};

/// Reads all places, brings the tables up to date, and prints what was done.
pub fn run(data: &DataFolder, args: &Ingest, runtime: &Handle) -> anyhow::Result<Code> {
    let places = args.places.iter().map(|place| place.parse()).collect::<Result<Vec<Location>, _>>()?;
    for place in &places {
        // A typing error must not leave an empty data folder behind.
        if let Location::Local(path) = place {
            feed::check_local(path)?;
        }
    }
    let started = Instant::now();
    let log = data.open_log(&Process::Lasting("ingest".to_owned()))?;
    let s3 = S3Options { endpoint_url: args.endpoint_url.clone(), region: args.region.clone(), runtime: runtime.clone() };
    let threads = args.threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let summary = match args.missing {
        true => read_missing(data, &log, &s3, threads, runtime)?,
        false => read_places(data, &log, &places, &s3, threads, runtime)?,
    };
    match args.format {
        SummaryFormat::Table => output::print(|out| write_summary(out, &summary, started.elapsed()))?,
        SummaryFormat::Json => {
            let summary = serde_json::to_string(&summary)?;
            output::print(|out| writeln!(out, "[{summary}]"))?;
        }
    }
    judge(&summary, args)
}

/// Reads places into a log and brings the tables up to date, with a progress line and an ear for Ctrl-C.
pub fn read_places(
    data: &DataFolder,
    log: &DataLog,
    places: &[Location],
    s3: &S3Options,
    threads: usize,
    runtime: &Handle,
) -> anyhow::Result<Summary> {
    let known = ledger::known(log.clone(), log.partitions());
    let feeds = places.iter().map(|place| feed::open(place, s3, known.clone())).collect::<Result<Vec<Box<dyn Feed>>, _>>()?;
    read_feeds(data, log, &feeds, threads, runtime)
}

/// Reads what the open gaps name. A digest that is read back may name more, so this goes on until nothing new is named.
fn read_missing(data: &DataFolder, log: &DataLog, s3: &S3Options, threads: usize, runtime: &Handle) -> anyhow::Result<Summary> {
    let mut tried = HashSet::new();
    let mut absent = 0;
    let mut whole = Summary::default();
    while !whole.interrupted {
        let missing = completeness::missing(log, log.partitions())?;
        let new: Vec<&str> = missing.iter().map(String::as_str).filter(|uri| tried.insert((*uri).to_owned())).collect();
        if new.is_empty() {
            break;
        }
        let feed = ListFeed::open(new, s3, ledger::known(log.clone(), log.partitions()))?;
        let not_there = feed.absent();
        whole.merge(&read_feeds(data, log, &[Box::new(feed)], threads, runtime)?);
        absent += not_there.load(Ordering::Relaxed);
    }
    if tried.is_empty() {
        tell("cloudigrade: no objects are known to be missing; `cloudigrade gaps` lists what else is");
    }
    if absent > 0 {
        tell(format_args!("cloudigrade: {absent} of {} missing objects are not where they should be; their gaps stay open", tried.len()));
    }
    Ok(whole)
}

fn read_feeds(data: &DataFolder, log: &DataLog, feeds: &[Box<dyn Feed>], threads: usize, runtime: &Handle) -> anyhow::Result<Summary> {
    let progress = Arc::new(Progress::default());
    let listener = runtime.spawn(stop_on_signal(progress.clone()));
    let options = IngestOptions { threads, codec: CodecLimits::default() };
    let summary = with_progress_line(|elapsed| say(&progress, elapsed), || source::ingest(log, feeds, options, &progress));
    listener.abort();
    if matches!(&summary, Ok(summary) if found_nothing(summary)) {
        // Tables without anything in them would make reports say 0.
        return Ok(summary?);
    }
    let root = data.table_root()?;
    let caught_up = runtime.block_on(Tables::open_caught_up(&root, log));
    // What was read before a failure is in the log all the same; the tables show it.
    let summary = summary?;
    caught_up?;
    Ok(summary)
}

/// The first signal stops reading; the second ends the process at once, which harms nothing: the next run goes on.
async fn stop_on_signal(progress: Arc<Progress>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        tell("\ncloudigrade: stopping after what is being read; press Ctrl-C again to stop at once");
        progress.stop();
    }
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(Code::Interrupted as i32);
    }
}

/// How far it has come, in a line.
fn say(progress: &Progress, elapsed: Duration) -> String {
    let so_far = progress.so_far();
    let rate = so_far.bytes as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{} files read, {} known, {} ({}/s), {} records",
        HumanCount(so_far.files),
        HumanCount(so_far.files_known),
        HumanBytes(so_far.bytes),
        HumanBytes(rate as u64),
        HumanCount(so_far.records),
    )
}

fn write_summary(out: &mut dyn Write, summary: &Summary, took: Duration) -> std::io::Result<()> {
    let mut line = |name: &str, count: u64, note: String| writeln!(out, "{name:<14}{:>14}{note}", HumanCount(count).to_string());
    let seconds = took.as_secs_f64().max(0.001);
    line("files", summary.files, format!("  {} in {seconds:.1} s", HumanBytes(summary.bytes)))?;
    if summary.files_other > 0 {
        line("  no records", summary.files_other, "  digests and Insights".to_owned())?;
    }
    if summary.files_known > 0 {
        line("  known", summary.files_known, "  read before and unchanged, passed over".to_owned())?;
    }
    line("records", summary.records, String::new())?;
    line("power records", summary.power_records, "  distinct".to_owned())?;
    line("power events", summary.power_events, "  one an instance".to_owned())?;
    line("duplicates", summary.duplicates, "  repeated deliveries, not counted again".to_owned())?;
    let hint = if summary.dead_letters > 0 { "  see `cloudigrade dead-letters list`" } else { "" };
    line("dead letters", summary.dead_letters, hint.to_owned())
}

fn found_nothing(summary: &Summary) -> bool {
    summary.files + summary.files_known == 0 && summary.dead_letters == 0
}

/// The exit code of a finished run.
fn judge(summary: &Summary, args: &Ingest) -> anyhow::Result<Code> {
    if summary.interrupted {
        tell("cloudigrade: interrupted; run the same command again to go on");
        return Ok(Code::Interrupted);
    }
    if found_nothing(summary) && !args.missing {
        return Err(error(Code::NoInput, format!("no CloudTrail files (*.json.gz, *.json, *.ndjson) in {}", args.places.join(", "))));
    }
    if summary.dead_letters == 0 {
        return Ok(Code::Done);
    }
    let what = if summary.dead_letters == 1 { "file or record" } else { "files or records" };
    tell(format_args!(
        "cloudigrade: {} {what} could not be used; all others were. `cloudigrade dead-letters list` says why",
        summary.dead_letters
    ));
    Ok(Code::DeadLetters)
}
