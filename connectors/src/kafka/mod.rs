//! The log on Kafka: the contract of [`cloudigrade_pipeline::log`] on a cluster.
//!
//! A commit is one transaction of Kafka: outputs, changes of state as records of changelogs, and positions as offsets of the task's group.
//! State is read from a local cache of the changelogs, which gets a commit's changes only after it: a cache that is lost or old is brought up
//! to date from Kafka. A task is fenced by its transactional id.
//!
//! What Kafka shows of a partition may lag behind what was committed: marks of transactions come a moment after the commit, and an open
//! transaction hides what lies behind it. So nothing is "not there" before the partition was read up to where it ended when asked.
//!
//! * `settings`, `names`, `topics`: what clients and topics are set to, what they are called, and how topics come to be
//! * `session`, `inputs`, `task`: a transactional producer, what a task reads, and the task around them
//! * `tail`, `events`, `reader`, `ends`: reading, and knowing when all was read
//! * `log`: the contract of a log, but for its tasks
//! * `groups`, `held`, `lead`: where the members of a group are, what this one has, and which of them leads
//! * `state`, `cache`, `record`, `cloud_event`: what is in records, and state
//! * `register`: what log this is, and who opened each task last
//! * `reach`, `security`, `secret`: whether brokers answer, how they are reached, and what must not be told
//! * `doctor`, `rights`: whether all is as it must be, and what this program's user may do
//! * `import`: taking over a log that was kept elsewhere
//! * `failure`, `pause`: what Kafka's errors mean, and how long is waited before something is repeated

mod cache;
mod client;
mod cloud_event;
mod doctor;
mod ends;
mod events;
mod failure;
mod groups;
mod held;
mod import;
mod inputs;
mod lead;
mod log;
mod names;
mod pause;
mod reach;
mod reader;
mod record;
mod register;
mod rights;
mod secret;
mod security;
mod session;
mod settings;
mod state;
mod tail;
mod task;
#[cfg(test)]
mod tests;
mod topics;

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudigrade_pipeline::log::{Log, LogError, Position, Store, TaskId, TaskSpec};
use cloudigrade_schemas::Topic;
use rdkafka::error::KafkaError;

pub use cache::CacheError;
pub use doctor::check_kafka;
pub use reach::Barrier;
pub use secret::{Secret, SecretError};
pub use security::{Identity, OauthClient, PasswordMechanism, Sasl, Security, Tls};
pub use task::KafkaTask;

use crate::limits as l;
use cache::Cache;
use ends::{Ends, Place};
use failure::RIGHTS;
use groups::Groups;
use held::Held;
use names::Names;
use reader::Readers;
use register::Import;
use state::State;

/// Where a log on Kafka is, and what it is like.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Some of the cluster's brokers: `host:port`, separated by commas.
    pub bootstrap: String,
    /// How they are reached.
    pub security: Security,
    /// What this program is called in the brokers' logs, metrics and quotas.
    pub client_id: String,
    /// Where this process is, as brokers call such places: it reads from replicas there.
    pub rack: Option<String>,
    /// What the names of its topics, groups and transactional ids begin with: letters, digits, dots, dashes and underscores.
    pub prefix: String,
    /// The name of this process among those that share tasks: the same after a restart, and no other's. As a prefix.
    pub member: String,
    /// How long this process may not be heard of before others take its part of shared tasks; 6 s at least, where the brokers do not say
    /// otherwise.
    pub session_timeout: Duration,
    /// The folder for the cache of state, which each process has for itself; in memory where there is none, for a process that ends soon.
    pub cache: Option<PathBuf>,
    /// All stores of state that its tasks use; each has a changelog.
    pub stores: Vec<Store>,
    /// How many partitions each topic has. Fixed when the log is made.
    pub partitions: NonZeroU32,
    /// How many replicas each partition has, at least.
    pub replication: NonZeroU16,
    /// How many replicas must have a record before it counts.
    pub min_in_sync: NonZeroU16,
}

/// Why a log on Kafka was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A name that Kafka does not take.
    #[error("{name:?} cannot be {what}: use at most {max} letters, digits, dots, dashes and underscores", max = l::KAFKA_PREFIX_BYTES_MAX)]
    Name {
        /// What it is to be.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Kafka's client does not take the settings: a file is not what it must be.
    #[error(
        "Kafka's client cannot be set up: {cause}; check kafka.ssl_ca_location, kafka.ssl_certificate_location, kafka.ssl_key_location and the key's password"
    )]
    Settings {
        /// Why.
        cause: String,
    },
    /// No broker answers, or none that may be trusted, or they refuse us.
    #[error("{barrier} at {bootstrap}: {cause}; {}", barrier.help())]
    Unreachable {
        /// Where it was asked.
        bootstrap: String,
        /// What is in the way.
        barrier: Barrier,
        /// Why.
        cause: String,
    },
    /// A right is lacking.
    #[error("Kafka refuses {operation} of {resource}: {rights}", rights = RIGHTS)]
    Refused {
        /// What was to be done, as Kafka calls it.
        operation: &'static str,
        /// With what.
        resource: String,
    },
    /// The topics cannot be made or looked at.
    #[error("the topics of the log are not ready: {cause}")]
    Topics {
        /// Why.
        cause: String,
    },
    /// A topic is not what it must be.
    #[error("the topic {topic} has {what} {found:?} and must have {expected:?}: change it in Kafka, or use another prefix")]
    TopicDiffers {
        /// The topic.
        topic: String,
        /// What differs.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// The log has another number of partitions.
    #[error(
        "{topic} has {found} partitions, not {expected}: the number never changes, since keys would move; set kafka.partitions to what the log was made with"
    )]
    Partitions {
        /// Which topic tells so.
        topic: String,
        /// How many it has.
        found: u32,
        /// How many were asked for.
        expected: u32,
    },
    /// A newer program made the log.
    #[error("the log has format {found}, and this program knows formats up to {known}: use a newer version")]
    Newer {
        /// Its format.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// What the log says of itself does not read.
    #[error("what the log says of itself does not read: {cause}")]
    Damaged {
        /// Why.
        cause: String,
    },
    /// Another log is being moved here.
    #[error(
        "the log of {place} is being moved here, and that has not come to its end: run `cloudigrade migrate --to kafka` there again, which goes on"
    )]
    Importing {
        /// Where the other log is.
        place: String,
    },
    /// Another log than the one that was asked about was moved here, or is being moved.
    #[error("another log was moved here, or is being moved, that of {place}: use another prefix (kafka.prefix)")]
    OtherImport {
        /// Where that log is.
        place: String,
    },
    /// The log was moved here already.
    #[error(
        "the log of {place} was moved here already, and goes on here: use it (--log kafka); to move it anew, use another prefix (kafka.prefix)"
    )]
    Imported {
        /// Where the other log was.
        place: String,
    },
    /// There is something in the log that is to take over another one.
    #[error("there is something in {topic} already: a log can be moved only to where none is; use another prefix (kafka.prefix)")]
    NotEmpty {
        /// A topic with something in it.
        topic: String,
    },
    /// There is no cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Kafka failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl OpenError {
    /// Whether the same call may succeed later.
    fn passes(&self) -> bool {
        matches!(self, Self::Log(error) if failure::may_succeed(error))
    }

    fn unreachable(options: &KafkaOptions, error: &KafkaError) -> Self {
        Self::Unreachable { bootstrap: options.bootstrap.clone(), barrier: Barrier::Network, cause: error.to_string() }
    }
}

/// What there is before the log is known.
struct Parts {
    options: KafkaOptions,
    names: Names,
    ends: Ends,
    readers: Readers,
}

/// What the log and its tasks share.
struct Shared {
    options: KafkaOptions,
    names: Names,
    ends: Ends,
    readers: Readers,
    groups: Groups,
    held: Held,
    state: State,
}

impl Shared {
    fn place(&self, topic: Topic, partition: u32) -> Place {
        Place { topic: self.names.topic(topic), partition: partition.cast_signed() }
    }
}

/// The log on Kafka. Clones share its clients and its cache.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
}

impl KafkaLog {
    /// Opens a log, and makes it where it is not there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(options: KafkaOptions) -> Result<Self, OpenError> {
        match Self::open_whatever(options)? {
            (_, Some(import)) if !import.done => Err(OpenError::Importing { place: import.place }),
            (log, _) => Ok(log),
        }
    }

    /// Opens a log, also one that another is being moved to.
    fn open_whatever(options: KafkaOptions) -> Result<(Self, Option<Import>), OpenError> {
        for (what, name) in [
            ("what the names of topics begin with (kafka.prefix)", &options.prefix),
            ("the name of a member (kafka.member)", &options.member),
        ] {
            if !names::is_valid(name) {
                return Err(OpenError::Name { what, name: name.clone() });
            }
        }
        if let Some(exposure) = options.security.exposure(&options.bootstrap) {
            tracing::warn!(bootstrap = options.bootstrap, "Kafka: {exposure}");
        }
        reach::reach(&options)?;
        let names = Names::new(&options.prefix);
        let ends = Ends::new(&options, &names.readers()).map_err(|error| failure::storage("making clients of Kafka", &error))?;
        let readers = Readers::new(&options, names.readers());
        let parts = Parts { options, names, ends, readers };
        topics::provide(&parts.options, &parts.names)?;
        topics::await_leaders(&parts.options, &parts.names, &parts.ends)?;
        let (about, import) = register::about(&parts)?;
        let Parts { options, names, ends, readers } = parts;
        let cache = match &options.cache {
            Some(folder) => Cache::open(folder, &about.id)?,
            None => Cache::in_memory(&about.id)?,
        };
        let state = State { cache, stores: options.stores.clone(), names: names.clone() };
        let (groups, held) = (Groups::default(), Held::default());
        Ok((Self { shared: Arc::new(Shared { options, names, ends, readers, groups, held, state }) }, import))
    }

    /// The committed positions of a task in all partitions of its inputs; those that it never committed are 0.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    pub fn positions(&self, spec: TaskSpec) -> Result<Vec<Position>, LogError> {
        let inputs = spec.inputs.iter().flat_map(|&topic| (0..self.partitions()).map(move |partition| (topic, partition)));
        let inputs: Vec<_> = inputs.collect();
        let places: Vec<Place> = inputs.iter().map(|&(topic, partition)| self.shared.place(topic, partition)).collect();
        let group = self.shared.names.group(spec.id);
        let offsets =
            self.shared.groups.positions(&self.shared.options, &group, &places).map_err(|error| {
                failure::about_group(&group, &error, failure::outside("looking for the positions of a task", None, &error))
            })?;
        Ok(inputs.into_iter().zip(offsets).map(|((topic, partition), offset)| Position { topic, partition, offset }).collect())
    }

    /// Where the partitions of a topic end, as far as it is committed: all at once, and perhaps not the last of what was committed just now.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    pub fn ends(&self, topic: Topic) -> Result<Vec<u64>, LogError> {
        let places: Vec<Place> = (0..self.partitions()).map(|partition| self.shared.place(topic, partition)).collect();
        self.shared.ends.committed(&places).map_err(|error| failure::outside("looking for the ends of a topic", None, &error))
    }

    /// Whether this process may be the one that works on a partition for a task: not where its group gave it others.
    pub fn may_hold(&self, task: TaskId, topic: Topic, partition: u32) -> bool {
        self.shared.held.may_hold(task, (topic, partition))
    }

    /// Has the cache hold a shelf as of now.
    fn freshen(&self, store: Store, partition: u32) -> Result<(), LogError> {
        self.shared.state.check(store)?;
        self.shared.state.catch_up(&self.shared.ends, &self.shared.readers, (store, partition))
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaLog").field("options", &self.shared.options).finish_non_exhaustive()
    }
}
