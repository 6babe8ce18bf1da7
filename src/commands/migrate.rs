//! `cloudigrade migrate`: the log of a data folder to Kafka, with its history; and back, by forgetting that.

use std::io::Write;

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions, Moved};
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::sink::Tables;
use indicatif::HumanCount;
use serde_json::json;
use tokio::runtime::Handle;

use super::tables::is_empty;
use crate::cli::{Migrate, SummaryFormat};
use crate::config::{self, Config};
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::log::migrate::{LogDigest, Progress, Step, all_stores, all_tasks, copy, digest};
use crate::log::{DataLog, forget_import, open_import};
use crate::output::{print, tell, with_progress_line};

/// Moves the log, or takes that back.
pub fn run(data: &DataFolder, args: &Migrate, config: &Config, runtime: &Handle) -> anyhow::Result<Code> {
    if !data.has_file() {
        let message = format!("{}: there is no log to move; name the data folder with --data", data.folder().display());
        return Err(error(Code::NoInput, message));
    }
    let log = EmbeddedLog::open_even_moved(data.folder(), EmbeddedOptions::default())?;
    if args.target.undo {
        return undo(data, &log, runtime);
    }
    let kafka = config.kafka.as_ref().ok_or_else(|| error(Code::Usage, "where Kafka is, is not known: set kafka.bootstrap"))?;
    check(&log, kafka)?;
    let progress = Progress::default();
    let say = |_| {
        let (step, done) = progress.so_far();
        format!("{}: {}", step.words(), HumanCount(done))
    };
    let moved = with_progress_line(say, || Moving::begin(data, log, kafka, runtime, &progress)?.finish())?;
    print(|out| match args.format {
        SummaryFormat::Table => write_summary(out, &moved),
        SummaryFormat::Json => writeln!(out, "{}", to_json(&moved)),
    })?;
    Ok(Code::Done)
}

/// Refuses what would not be moved as it is.
fn check(log: &EmbeddedLog, kafka: &config::Kafka) -> anyhow::Result<()> {
    if is_empty(&DataLog::Embedded(log.clone()))? {
        return Err(error(Code::NoInput, "the log is empty: there is nothing to move; begin with --log kafka"));
    }
    if log.partitions() != kafka.partitions.get() {
        let message = format!(
            "the log has {} partitions, and kafka.partitions is {}: the number never changes; set kafka.partitions to {0}",
            log.partitions(),
            kafka.partitions
        );
        return Err(error(Code::Usage, message));
    }
    let names = log.names()?;
    let (stores, tasks) = (all_stores(), all_tasks());
    let unknown_stores = names.stores.iter().filter(|name| stores.iter().all(|store| store.0 != name.as_str()));
    let unknown_tasks = names.tasks.iter().filter(|name| tasks.iter().all(|task| task.id.0 != name.as_str()));
    let unknown: Vec<&str> = unknown_stores.chain(unknown_tasks).map(String::as_str).collect();
    if !unknown.is_empty() {
        let message = format!(
            "the log holds state or positions that this version does not know ({}): use the version that wrote it; nothing was moved",
            unknown.join(", ")
        );
        return Err(error(Code::Data, message));
    }
    Ok(())
}

/// What was moved.
struct Outcome {
    to: String,
    log: LogDigest,
    tables: String,
}

/// A move that is under way.
struct Moving<'a> {
    data: &'a DataFolder,
    kafka: &'a config::Kafka,
    runtime: &'a Handle,
    progress: &'a Progress,
    from: DataLog,
    file: EmbeddedLog,
    /// What the log is known by, in Kafka.
    source: String,
    /// Where it is, in words.
    place: String,
    /// Where it goes, in words.
    to: String,
    /// What the tables hold.
    tables: String,
}

impl<'a> Moving<'a> {
    /// Makes sure that Kafka takes the log, and copies it.
    fn begin(
        data: &'a DataFolder,
        file: EmbeddedLog,
        kafka: &'a config::Kafka,
        runtime: &'a Handle,
        progress: &'a Progress,
    ) -> anyhow::Result<Self> {
        let from = DataLog::Embedded(file.clone());
        let source = format!("{:016x}", file.identity(random()?)?);
        let folder = std::path::absolute(data.folder()).unwrap_or_else(|_| data.folder().to_owned());
        let place = folder.display().to_string();
        let to = format!("Kafka at {}, topics {}*", kafka.bootstrap, kafka.prefix);
        let copied = open_import(kafka, data.folder(), &source, &place)?;
        let tables = match file.moved()? {
            // The tables may be on their way already.
            Some(moved) => moved.tables,
            None => {
                runtime.block_on(data.catch_up(&from))?;
                tables_digest(data, runtime)?
            }
        };
        copy(&from, &copied, progress).map_err(|cause| again(&cause.into()))?;
        Ok(Self { data, kafka, runtime, progress, from, file, source, place, to, tables })
    }

    /// Reads everything back, gives the log up here, and has the tables follow the other one.
    fn finish(self) -> anyhow::Result<Outcome> {
        // Opened anew, without what copying left in memory or in its cache.
        let kafka = open_import(self.kafka, self.data.folder(), &self.source, &self.place)?;
        let (stores, tasks) = (all_stores(), all_tasks());
        self.progress.begin(Step::ReadingOld);
        let was = digest(&self.from, &stores, &tasks, self.progress)?;
        self.progress.begin(Step::ReadingNew);
        let is = digest(&kafka, &stores, &tasks, self.progress)?;
        if was != is {
            let message = format!(
                "what is in Kafka is not what was copied ({}): nothing else was changed, and the log in the data folder is as it was. Make sure that \
                 nothing else uses {}, delete its topics or use another prefix, and run this again",
                differences(&was, &is).join(", "),
                self.to
            );
            return Err(error(Code::Wrong, message));
        }
        self.file.mark_moved(&Moved { to: self.to.clone(), tables: self.tables.clone() })?;
        self.progress.begin(Step::Tables);
        self.runtime.block_on(async { anyhow::Ok(Tables::rebuild(&self.data.table_root()?, &kafka).await?) })?;
        let tables = tables_digest(self.data, self.runtime)?;
        if tables != self.tables {
            let message = format!(
                "the tables that were written anew from Kafka are not what they were ({tables}, before {}): this is a fault of cloudigrade, please report \
                 it; `cloudigrade migrate --undo` goes on with the log in the data folder",
                self.tables
            );
            return Err(error(Code::Wrong, message));
        }
        kafka.finish_import(&self.source, &self.place)?;
        drop(kafka);
        forget_import(self.kafka, self.data.folder())?;
        Ok(Outcome { to: self.to, log: is, tables })
    }
}

/// Goes on with the log in the data folder. Its tables are written anew before it can be opened by others.
fn undo(data: &DataFolder, file: &EmbeddedLog, runtime: &Handle) -> anyhow::Result<Code> {
    let Some(moved) = file.moved()? else {
        tell("cloudigrade: this log was not moved; nothing to do");
        return Ok(Code::Done);
    };
    let log = DataLog::Embedded(file.clone());
    runtime.block_on(async { anyhow::Ok(Tables::rebuild(&data.table_root()?, &log).await?) })?;
    file.take_back()?;
    tell(format_args!(
        "cloudigrade: the log in {} goes on (use --log embedded where [kafka] is configured), and the tables are written anew from it. What was \
         written to {} since is only there: stop what still runs with it, since it would write to the same tables",
        data.folder().display(),
        moved.to
    ));
    Ok(Code::Done)
}

fn again(cause: &anyhow::Error) -> anyhow::Error {
    error(Code::of(cause), format!("{cause}; the log in the data folder is as it was, and the same command goes on"))
}

fn random() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|cause| error(Code::Storage, format!("the system gives no random numbers: {cause}")))?;
    Ok(u64::from_be_bytes(bytes))
}

/// What the tables hold, in one line.
fn tables_digest(data: &DataFolder, runtime: &Handle) -> anyhow::Result<String> {
    let digest = runtime.block_on(async { anyhow::Ok(cloudigrade_query::tables_digest(&data.open_tables().await?).await?) })?;
    let tables = [digest.instance_intervals, digest.power_events, digest.images];
    Ok(tables.map(|table| format!("{}:{:032x}", table.rows, table.hash)).join(" "))
}

/// Where two logs differ.
fn differences(was: &LogDigest, is: &LogDigest) -> Vec<String> {
    let of = |name: &str, was: u64, is: u64| format!("{name}: {was} were copied, {is} are there");
    let topics = was.topics.iter().filter(|(name, part)| is.topics.get(*name) != Some(*part));
    let topics = topics.map(|(name, part)| of(name, part.count, is.topics.get(name).map_or(0, |part| part.count)));
    let others = [("state", &was.state, &is.state), ("positions", &was.positions, &is.positions)];
    let others = others.into_iter().filter(|(_, was, is)| was != is).map(|(name, was, is)| of(name, was.count, is.count));
    topics.chain(others).collect()
}

fn write_summary(out: &mut dyn Write, moved: &Outcome) -> std::io::Result<()> {
    writeln!(out, "moved to {}, read back, and the same:\n", moved.to)?;
    let mut line = |name: &str, count: u64, hash: &str| writeln!(out, "{name:<20}{:>14}  {hash}", HumanCount(count).to_string());
    for (name, part) in moved.log.topics.iter().filter(|(_, part)| part.count > 0) {
        line(name, part.count, &part.hash)?;
    }
    line("state", moved.log.state.count, &moved.log.state.hash)?;
    line("positions", moved.log.positions.count, &moved.log.positions.hash)?;
    writeln!(out, "\nThe tables were written anew from there, and hold what they held: {}", moved.tables)?;
    writeln!(out, "The log in the data folder cannot be started any more. The configuration must have [kafka] from now on.")
}

fn to_json(moved: &Outcome) -> serde_json::Value {
    let part = |part: &crate::log::migrate::Part| json!({"count": part.count, "sha256": part.hash});
    let topics: serde_json::Map<_, _> = moved.log.topics.iter().map(|(name, of)| ((*name).to_owned(), part(of))).collect();
    json!([{"to": moved.to, "topics": topics, "state": part(&moved.log.state), "positions": part(&moved.log.positions), "tables": moved.tables}])
}
