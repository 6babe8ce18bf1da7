//! What can be set, with the defaults.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use cloudigrade_connectors::limits::{LIST_FULL_EVERY, LIST_INTERVAL, LIST_RECENT_DAYS, SILENCE_AFTER, UNDERWAY};
use cloudigrade_pipeline::limits::TABLE_HISTORY;
use cloudigrade_schemas::UtcSecond;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::inspection::Inspection;
use super::kafka::Kafka;
use super::{duration, moment};
use crate::limits::ANSWER_WAIT;

/// All of it. Sections that are absent have their defaults; `[source.sqs]` or `[source.list]` and `[accounts]` are what makes `serve` collect.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How AWS is reached. Credentials come from the usual places of AWS's tools, never from here.
    pub aws: Aws,
    /// What is read while serving.
    pub source: Source,
    /// How accounts are collected from. Absent: none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Accounts>,
    /// Whether and how the disks of machine images are read.
    pub inspection: Inspection,
    /// The server.
    pub serve: Serve,
    /// The tables.
    pub tables: Tables,
    /// What is said on standard error.
    pub log: Log,
    /// The log on Kafka. Absent: it is in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
}

/// The tables.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tables {
    /// How long what was replaced in tables is kept: reports as of an earlier moment, and other readers of an older version, reach back so
    /// far. It takes disk: a busy table replaces files every few seconds.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub history: Duration,
}

impl Default for Tables {
    fn default() -> Self {
        Self { history: TABLE_HISTORY }
    }
}

/// How AWS is reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Aws {
    /// The region where there is no other reason for one; otherwise that of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Another endpoint than AWS's, for an emulator; also `AWS_ENDPOINT_URL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// The profile of AWS's own tools whose credentials are used; also `AWS_PROFILE`. It may say which role to assume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// A role to assume first, for all that this program does as itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
}

/// A role to assume.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssumeRole {
    /// Its ARN.
    pub role_arn: String,
    /// The external id that its trust policy asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// What is read while serving.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// How new log files are found: `sqs`, where a queue tells of them, or `list`, by listing. By default what there is a section for, and the
    /// queue where there are both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
    /// Objects that are worked on at once [default: four a processor].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<NonZeroUsize>,
    /// Keys to read, as globs, beside those that CloudTrail writes.
    pub include: Vec<String>,
    /// Nothing heard of a region that an account uses for so long is a gap.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub silence_after: Duration,
    /// An object that a digest file names and that was not read for so long after it is a gap. Messages may be underway, or wait to be tried
    /// again.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub missing_after: Duration,
    /// A queue that tells of new objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqs: Option<Sqs>,
    /// Places that are listed for new objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<List>,
}

/// How new log files are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A queue tells of them.
    Sqs,
    /// By listing.
    List,
}

/// Places that are listed at intervals.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// `s3://bucket`, or `s3://bucket/prefix` where the trail has a prefix, or folders of this machine.
    pub places: Vec<String>,
    /// How long after one listing of the newest days the next begins. Each costs two requests or more for each account and region; with
    /// `source.include` it is of all keys, as nothing is known of their order.
    #[serde(default = "five_minutes_between", with = "duration")]
    #[schemars(with = "String")]
    pub interval: Duration,
    /// Days besides today that each listing looks at. Files that come for older days are found by the full listing.
    #[serde(default = "two_days")]
    pub recent_days: u32,
    /// How often all of it is listed, besides once at the start: a request for each thousand objects.
    #[serde(default = "a_day", with = "duration")]
    #[schemars(with = "String")]
    pub full_every: Duration,
    /// What was delivered before is not read: `2024-03-01` or `2024-03-01T00:00:00Z`. Absent: all that is there is read.
    #[serde(default, with = "moment", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub since: Option<UtcSecond>,
    /// The account that must own the buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bucket_owner: Option<String>,
    /// Whether we pay for listing and reading.
    #[serde(default)]
    pub request_payer: bool,
}

fn five_minutes_between() -> Duration {
    LIST_INTERVAL
}

fn two_days() -> u32 {
    LIST_RECENT_DAYS
}

fn a_day() -> Duration {
    LIST_FULL_EVERY
}

impl Default for Source {
    fn default() -> Self {
        Self {
            kind: None,
            list: None,
            workers: None,
            include: Vec::new(),
            silence_after: SILENCE_AFTER,
            missing_after: UNDERWAY,
            sqs: None,
        }
    }
}

/// A queue of AWS SQS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sqs {
    /// Its URL.
    pub queue_url: String,
    /// Its region, where the URL does not tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// How long a message that is being worked on is kept from others; renewed at half.
    #[serde(default = "five_minutes", with = "duration")]
    #[schemars(with = "String")]
    pub visibility_timeout: Duration,
    /// How long one poll waits for a message, at most 20 s.
    #[serde(default = "twenty_seconds", with = "duration")]
    #[schemars(with = "String")]
    pub wait_time: Duration,
    /// Messages of one poll, 1 to 10.
    #[serde(default = "ten")]
    pub max_messages: usize,
    /// After how many receives an object that is gone becomes a dead letter.
    #[serde(default = "five")]
    pub max_receive_count: u32,
    /// Buckets that a message may name.
    pub buckets: Vec<String>,
    /// The account that must own the buckets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bucket_owner: Option<String>,
    /// Whether we pay for reading from the buckets.
    #[serde(default)]
    pub request_payer: bool,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

fn ten() -> usize {
    10
}

fn five() -> u32 {
    5
}

/// How accounts are collected from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    /// The bucket that trails write to. Absent: no trail is made, and power events come from other trails and from what EC2 says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trail_bucket: Option<String>,
    /// The beginning of the names of the trails that are made.
    pub trail_prefix: String,
    /// Whether trails are made where none serves.
    pub make_trails: bool,
    /// The AWS account that this program runs in, as roles trust it; by default that of its credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal_account: Option<String>,
    /// Whether the disks of machine images may be read.
    pub read_disks: bool,
    /// Regions that are never called: those that an organisation forbids.
    pub skip_regions: Vec<String>,
    /// How often EC2's state is compared with ours, at most 30 minutes.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub reconcile_every: Duration,
    /// How many days of event history are read at registration, at most 90.
    pub history_days: u32,
    /// Accounts that are worked on at once.
    pub at_once: NonZeroUsize,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            trail_bucket: None,
            trail_prefix: "cloudigrade-".to_owned(),
            make_trails: true,
            principal_account: None,
            read_disks: false,
            skip_regions: Vec::new(),
            reconcile_every: Duration::from_secs(15 * 60),
            history_days: 90,
            at_once: NonZeroUsize::MIN.saturating_add(7),
        }
    }
}

/// The server.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Serve {
    /// Address to listen at.
    pub listen: SocketAddr,
    /// How long stopping may take before the process ends all the same.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub shutdown_limit: Duration,
    /// How long a request that changes something waits for what comes of it; after that the answer is that it goes on (202). Clients of the
    /// first API give up after 7 s.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub answer_wait: Duration,
    /// How often the tables are brought up to date with the log.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub tables_every: Duration,
    /// How long a token works.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub token_lifetime: Duration,
    /// Whether everybody who reaches the address reads everything without logging in. Nothing can be changed by them.
    pub open: bool,
    /// Addresses of proxies. What they say in `X-Forwarded-For`, `X-Forwarded-Proto` and in an identity header is believed, and of nobody else.
    pub proxies: Vec<IpAddr>,
    /// Whether the header `X-RH-IDENTITY` of such a proxy says who asks.
    pub identity_header: bool,
    /// Origins whose pages may ask from a browser, such as `https://reports.example.com`.
    pub cors: Vec<String>,
    /// The protocol of Postgres.
    pub postgres: Postgres,
}

/// The protocol of Postgres, for SQL.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// Address to listen at. Absent: it is not spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// A certificate in PEM, with those that vouch for it, to encrypt what is sent. Without it only loopback is listened at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Whether a proxy that encrypts what is sent stands before the address, and nobody else reaches it.
    pub behind_tls_proxy: bool,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            shutdown_limit: Duration::from_secs(60),
            answer_wait: ANSWER_WAIT,
            tables_every: Duration::from_secs(5),
            token_lifetime: Duration::from_secs(30 * 24 * 3600),
            open: false,
            proxies: Vec::new(),
            identity_header: false,
            cors: Vec::new(),
            postgres: Postgres::default(),
        }
    }
}

/// What is said on standard error.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For people, or one JSON object a line.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Whether `serve` collects, and so needs the log for itself.
    pub fn collects(&self) -> bool {
        self.source_kind().is_some() || self.accounts.is_some()
    }

    /// How new log files are found, if they are.
    pub fn source_kind(&self) -> Option<SourceKind> {
        let by_section = || match (&self.source.sqs, &self.source.list) {
            (Some(_), _) => Some(SourceKind::Sqs),
            (None, Some(_)) => Some(SourceKind::List),
            (None, None) => None,
        };
        self.source.kind.or_else(by_section)
    }
}
