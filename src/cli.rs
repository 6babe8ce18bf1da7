//! The command line.

mod accounts;
mod backfill;
mod images;
mod migrate;
mod tail;
mod top;
mod users;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::live::roles::Role;
use clap::{Args, Parser, Subcommand, ValueEnum};
use cloudigrade_query::{AsOf, Dimension, Granularity};

pub use self::accounts::{Accounts, AccountsCommand, AccountsFormat, PolicyOf};
pub use self::backfill::Backfill;
pub use self::images::{Answer, Images, InspectionFormat, Inspections};
pub use self::migrate::Migrate;
pub use self::tail::{Tail, TailFormat};
pub use self::top::Top;
pub use self::users::{PasswordFrom, Users, UsersCommand};

/// How long, how many and how large the instances were, from CloudTrail logs.
#[derive(Debug, Parser)]
#[command(name = "cloudigrade", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Data goes to standard output, messages to standard error.\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing to read, 4 done with dead letters,\n5 data folder in use, damaged or newer, 6 storage or network failed, 7 a check failed, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Folder of the log and the tables; `demo` has its own
    #[arg(long, global = true, value_name = "DIR", default_value = "data", env = "CLOUDIGRADE_DATA")]
    pub data: PathBuf,
    /// Where the tables are, if not in the data folder: a folder, or s3://bucket/prefix, az://container/prefix, gs://bucket/prefix
    #[arg(long, global = true, value_name = "PLACE", env = "CLOUDIGRADE_TABLES")]
    pub tables: Option<String>,
    /// Configuration file (TOML); `CLOUDIGRADE__SECTION__KEY` in the environment wins over it
    #[arg(long, global = true, value_name = "FILE", env = "CLOUDIGRADE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Which log: that of the data folder, or on Kafka [default: kafka where the configuration has it]
    #[arg(long, global = true, value_enum, value_name = "LOG", env = "CLOUDIGRADE_LOG")]
    pub log: Option<LogKind>,
    /// How to write log lines on standard error
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<crate::config::LogFormat>,
    /// Say more on standard error; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Which log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogKind {
    /// A file in the data folder, for one process.
    Embedded,
    /// A cluster of Kafka, for as many processes as it takes.
    Kafka,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read CloudTrail files into the data folder; safe to repeat, to interrupt and to run in pieces
    Ingest(Ingest),
    /// Read what was delivered to a bucket in a time, after saying what that will cost; with a server or without
    Backfill(Backfill),
    /// Usage or concurrency over any period
    Report(Report),
    /// Ask in SQL: one query, or a shell without one
    Sql(Sql),
    /// What could not be used, and why
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// Where data is missing, by CloudTrail's digest files or by silence
    Gaps(Gaps),
    /// Hold log files and digest files against CloudTrail's signatures
    Verify(Verify),
    /// The tables: write them anew, or tell whether two are the same
    #[command(subcommand)]
    Tables(Tables),
    /// Show the records of a topic as they come
    Tail(Tail),
    /// Watch a server: topics, tasks, and how far queue, log and event time are behind
    Top(Top),
    /// Move the log of the data folder to Kafka, with its history
    Migrate(Migrate),
    /// Simulate a fleet, meter it, and check the result against the simulation's own truth
    Demo(Demo),
    /// Answer over HTTP, and collect from the queue and the accounts that the configuration names
    Serve(Serve),
    /// Do only a part of what `serve` does, beside other processes: for a log on Kafka
    Run(Run),
    /// AWS accounts: register, look at, pause, delete; with a server or without
    Accounts(Accounts),
    /// Users, who log in to the server, and their tokens; with a server or without
    Users(Users),
    /// Machine images: what is in them; have one inspected, or say what is in it against all evidence
    #[command(subcommand)]
    Images(Images),
    /// Attempts to read the disks of machine images: look at, retry, abort; with a server or without
    #[command(subcommand)]
    Inspections(Inspections),
    /// The configuration: check it, or show what is in force
    #[command(subcommand)]
    Config(Config),
    /// Connect to everything that the configuration names, and say what is wrong and how to mend it
    Doctor(Doctor),
    /// Say what is on the disks of a machine image, without mounting them and without writing to them
    Inspect(Inspect),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub struct Ingest {
    /// Files, folders or s3://bucket/prefix
    #[arg(required_unless_present = "missing", value_name = "PLACE")]
    pub places: Vec<String>,
    /// Read what `cloudigrade gaps` says is missing, and nothing else
    #[arg(long, conflicts_with = "places")]
    pub missing: bool,
    /// Threads that read and decode [default: the number of processors]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    /// An S3 endpoint other than AWS's [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The bucket's region [env: AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// For people
    Table,
    /// One JSON array of one object
    Json,
}

#[derive(Debug, Args)]
pub struct Report {
    #[command(subcommand)]
    pub kind: ReportKind,
}

#[derive(Debug, Subcommand)]
pub enum ReportKind {
    /// Distinct instances, runtime, vCPU and memory seconds
    Usage(ReportArgs),
    /// The most that ran at once, and when
    Concurrency(ReportArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "A day of a zone with daylight saving has 23 or 25 hours. Runs without an end count up to the period's end or\nnow, whichever is first. Rows that end after the data does are marked provisional.\n\nExamples:\n  cloudigrade report usage --start 2024-03-01 --end 2024-04-01 --granularity month --by account,region\n  cloudigrade report concurrency --start 2024-03-01 --end 2024-04-01 --tz Europe/Berlin --format csv"
)]
pub struct ReportArgs {
    /// Start, inclusive: 2024-03-01 (midnight in the zone) or 2024-03-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub start: String,
    /// End, exclusive: written like the start
    #[arg(long, value_name = "TIME")]
    pub end: String,
    /// Length of a bucket: hour, day or month
    #[arg(long, default_value_t = Granularity::Day, value_name = "LENGTH")]
    pub granularity: Granularity,
    /// What to group by, separated by commas: account, region, image, instance_type, instance; by what the image counts as: rhel, openshift,
    /// billing_model, architecture, role, sla, usage, service_type
    #[arg(long, value_delimiter = ',', value_name = "DIMENSIONS")]
    pub by: Vec<Dimension>,
    /// Time zone of the buckets, as in the IANA database
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub tz: String,
    /// The report as it was: the snapshot that a report told, or a moment such as 2024-03-01T00:00:00Z
    #[arg(long, value_name = "SNAPSHOT")]
    pub as_of: Option<AsOf>,
    #[command(flatten)]
    pub output: Output,
}

/// How and where to write rows.
#[derive(Clone, Debug, Args)]
pub struct Output {
    /// table, json, ndjson, csv, parquet or arrow
    #[arg(long, default_value = "table", value_name = "FORMAT", value_parser = clap::builder::PossibleValuesParser::new(cloudigrade_query::Format::NAMES))]
    pub format: String,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Sql {
    /// The query; without it, standard input, or a shell on a terminal
    pub query: Option<String>,
    /// Seconds that a query may take
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub timeout: u64,
    /// Rows that a query may return
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    pub max_rows: usize,
    /// Megabytes of memory that a query may hold before it spills to disk
    #[arg(long, default_value_t = 512, value_name = "MB")]
    pub memory: usize,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Those that are open, newest first
    List {
        /// Also those that were replayed or dropped
        #[arg(long)]
        resolved: bool,
        #[command(flatten)]
        output: Output,
    },
    /// One, with its first bytes
    Show {
        /// Its id, or the beginning of it
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Read again what they are about, and resolve those that are mended
    Replay(Settle),
    /// Mark them as of no use
    Drop(Settle),
}

#[derive(Debug, Args)]
#[command(
    after_help = "CloudTrail's digest files name every log file that was delivered, so what is missing is known by name. They come where a trail has\nlog file validation. `cloudigrade ingest --missing` reads what is missing.\n\nExample:\n  cloudigrade gaps --format json"
)]
pub struct Gaps {
    /// With those that were filled since
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Keys come from CloudTrail (ListPublicKeys, in each region), or from --keys: what `aws cloudtrail list-public-keys` prints, PEM or DER.\nA digest's signature is in the metadata of its S3 object, which copies lose. It is then taken from the next digest; only the newest of\neach chain needs a file beside it, named like it with `.signature` behind.\n\nExit code 0: all verified. 1: nothing wrong, but not all of it could be proven. 7: something was changed, removed or moved.\n\nExamples:\n  cloudigrade verify s3://bucket/AWSLogs/123456789012\n  cloudigrade verify logs --keys keys.json --format json"
)]
pub struct Verify {
    /// A folder or s3://bucket/prefix with log files and digest files
    #[arg(value_name = "PLACE")]
    pub place: String,
    /// A file of public keys, instead of asking CloudTrail
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// An endpoint other than AWS's, for S3 and CloudTrail [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,
    /// The bucket's region [env: AWS_REGION]
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// Which dead letters to settle.
#[derive(Debug, Args)]
pub struct Settle {
    /// Their ids, or the beginnings of them
    #[arg(required_unless_present = "all", value_name = "ID")]
    pub ids: Vec<String>,
    /// All that are open
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

#[derive(Debug, Subcommand)]
pub enum Tables {
    /// Drop what the tables hold and write them anew from the log
    Rebuild,
    /// Numbers that are equal exactly when two data folders say the same
    Digest {
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Another seed is another fleet
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Days to simulate
    #[arg(long, default_value_t = 31, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=400))]
    pub days: u16,
    /// Where to put the simulated logs and the data; must not exist, or be an earlier demo's
    #[arg(long, default_value = "demo", value_name = "DIR")]
    pub folder: PathBuf,
}

#[derive(Debug, Args)]
#[command(
    after_help = "While it runs, the server has the data folder's log for itself: commands that change something ask it, and `ingest` is for when it does\nnot run. With --read-only it only answers reports, has no users, and leaves the log to others.\n\nExamples:\n  cloudigrade users create ann --superuser\n  cloudigrade serve\n  curl -d '{\"username\": \"ann\", \"password\": \"...\"}' -H 'Content-Type: application/json' http://127.0.0.1:8080/auth/token/create/"
)]
pub struct Serve {
    /// Address to listen at [default: 127.0.0.1:8080]; what is sent is not encrypted: put a proxy with TLS before anything but loopback
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Address to speak the protocol of Postgres at, for psql, drivers, Grafana and DBeaver, such as 127.0.0.1:5432
    #[arg(long, value_name = "ADDRESS")]
    pub postgres: Option<SocketAddr>,
    /// Only answer reports from the tables, to everybody without logging in; nothing is collected and nothing can be changed
    #[arg(long)]
    pub read_only: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Processes share the work by Kafka's groups: operators divide the partitions among them, sources the queue, and servers of the API are as\nmany as it takes. Each needs a name that stays its own over restarts: kafka.member, which is the host's name unless it is set; processes\nof one host with different roles need none.\n\nExamples:\n  cloudigrade run source inspect\n  cloudigrade run operators\n  cloudigrade run sink api --tables s3://bucket/tables"
)]
pub struct Run {
    /// What to do
    #[arg(required = true, value_enum, value_name = "ROLE")]
    pub roles: Vec<Role>,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Read the file and the environment, and say all that is wrong; nothing is connected to
    Check,
    /// Print what is in force, as TOML
    Show,
}

#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
#[command(
    after_help = "All disks of a machine belong into one call: volumes can lie on several. What cannot be read is told in the report.\n\nExample:\n  cloudigrade inspect --local golden disk.raw"
)]
pub struct Inspect {
    /// Inspect disks of this machine; so far there is no other way
    #[arg(long, required = true)]
    pub local: bool,
    /// What to call the image
    pub image_id: String,
    /// Its disks: raw image files or block devices
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = FindingsFormat::Table)]
    pub format: FindingsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FindingsFormat {
    /// For people
    Table,
    /// One JSON object, as schemas/json/inspection.findings.schema.json describes it
    Json,
}
