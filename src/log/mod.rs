//! The log: in the data folder, for one process; or on Kafka, for as many as it takes. What works with it knows neither.

#[cfg_attr(not(feature = "kafka"), path = "without_kafka.rs")]
mod kafka;
#[cfg(feature = "kafka")]
mod kafka_security;
pub mod migrate;
mod patience;
mod stores;

use std::path::Path;

use cloudigrade_connectors::doctor::Finding;
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions, EmbeddedTask};
use cloudigrade_pipeline::log::{KeyValue, Log, LogError, PollLimits, Position, Record, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use cloudigrade_schemas::Topic;

pub use self::kafka::forget_import;
use self::kafka::{KafkaLog, KafkaTask};
pub use self::patience::patiently;
use crate::config;

/// Opens the log on Kafka that another one is to be moved to; see [`kafka::open_import`].
///
/// # Errors
/// With the code of what is the matter.
pub fn open_import(kafka: &config::Kafka, folder: &Path, source: &str, place: &str) -> anyhow::Result<DataLog> {
    kafka::open_import(kafka, folder, source, place).map(DataLog::Kafka)
}

/// Which log there is.
#[derive(Clone, Debug)]
pub enum LogPlace {
    /// A file in the data folder.
    Embedded,
    /// A cluster of Kafka.
    Kafka(Box<config::Kafka>),
}

/// What a process is among those of its machine that share a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// One that is there again after a restart, by this name.
    Lasting(String),
    /// A command, which ends soon.
    Command,
}

/// A log.
#[derive(Clone, Debug)]
pub enum DataLog {
    /// In the data folder.
    Embedded(EmbeddedLog),
    /// On Kafka.
    Kafka(KafkaLog),
}

/// A task of a log.
pub enum DataTask {
    /// In the data folder.
    Embedded(Box<EmbeddedTask>),
    /// On Kafka.
    Kafka(Box<KafkaTask>),
}

macro_rules! whichever {
    ($either:expr, $it:ident => $does:expr) => {
        match $either {
            Self::Embedded($it) => $does,
            Self::Kafka($it) => $does,
        }
    };
}

impl LogPlace {
    /// Looks whether the cluster of a log on Kafka is as it must be, and changes nothing.
    pub fn check(&self, folder: &Path) -> Vec<Finding> {
        match self {
            Self::Embedded => Vec::new(),
            Self::Kafka(settings) => kafka::check(settings, folder),
        }
    }

    /// Opens the log, or makes it.
    ///
    /// # Errors
    /// Those of opening either.
    pub fn open(&self, folder: &Path, process: &Process) -> anyhow::Result<DataLog> {
        match self {
            Self::Embedded => Ok(DataLog::Embedded(EmbeddedLog::open(folder, EmbeddedOptions::default())?)),
            Self::Kafka(settings) => Ok(DataLog::Kafka(kafka::open(settings, folder, process)?)),
        }
    }
}

impl DataLog {
    /// The committed positions of a task, by topic and partition; those that it never committed are 0, or not listed.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    pub fn positions(&self, task: TaskSpec) -> Result<Vec<Position>, LogError> {
        match self {
            Self::Embedded(log) => log.positions(task.id),
            Self::Kafka(log) => log.positions(task),
        }
    }

    /// Whether a task has consumed all that a partition held before an end. On Kafka the marks of transactions lie between a position and the
    /// end that it has in fact reached.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    pub fn is_consumed(&self, position: Position, end: u64) -> Result<bool, LogError> {
        if position.offset >= end || !self.is_shared() {
            return Ok(position.offset >= end);
        }
        match self.read(position, PollLimits { records: 1, ..PollLimits::default() }) {
            Ok(next) => Ok(next.first().is_none_or(|record| record.offset >= end)),
            // It never will be: that is for the task to tell.
            Err(LogError::Gone { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether this process may be the one that works on a partition for a task: not where it is known to have others.
    pub fn may_hold(&self, task: TaskId, topic: Topic, partition: u32) -> bool {
        match self {
            Self::Embedded(_) => true,
            Self::Kafka(log) => log.may_hold(task, topic, partition),
        }
    }

    /// Where the partitions of a topic end.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    pub fn ends(&self, topic: Topic) -> Result<Vec<u64>, LogError> {
        match self {
            Self::Embedded(log) => (0..log.partitions()).map(|partition| Ok(log.end(topic, partition)?.offset)).collect(),
            Self::Kafka(log) => log.ends(topic),
        }
    }

    /// Takes part in which of the processes that share the log leads, for as long as `goes_on` says. `tell` hears of each change. In a log that
    /// is this process's alone it leads.
    ///
    /// # Errors
    /// [`LogError::Fenced`] or [`LogError::Storage`].
    pub fn lead(&self, in_what: TaskId, goes_on: &dyn Fn() -> bool, tell: &mut dyn FnMut(bool)) -> Result<(), LogError> {
        match self {
            Self::Embedded(_) => {
                tell(true);
                Ok(())
            }
            Self::Kafka(log) => log.lead(in_what, goes_on, tell),
        }
    }

    /// Says that all of a log was moved to this one, which is on Kafka; see [`open_import`].
    ///
    /// # Errors
    /// Those of writing that.
    pub fn finish_import(&self, source: &str, place: &str) -> Result<(), LogError> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Kafka(log) => log.finish_import(source, place),
        }
    }

    /// Whether other processes may have it open too.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Kafka(_))
    }
}

impl Log for DataLog {
    type Task = DataTask;

    fn partitions(&self) -> u32 {
        whichever!(self, log => log.partitions())
    }

    fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<DataTask, LogError> {
        match self {
            Self::Embedded(log) => log.open_task(spec, partitions).map(|task| DataTask::Embedded(Box::new(task))),
            Self::Kafka(log) => log.open_task(spec, partitions).map(|task| DataTask::Kafka(Box::new(task))),
        }
    }

    fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        whichever!(self, log => log.read(from, limits))
    }

    fn begin(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        whichever!(self, log => log.begin(topic, partition))
    }

    fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        whichever!(self, log => log.end(topic, partition))
    }
}

impl StateRead for DataLog {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        whichever!(self, log => log.get(store, partition, key))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        whichever!(self, log => log.scan(store, partition, prefix))
    }
}

impl StateRead for DataTask {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        whichever!(self, task => task.get(store, partition, key))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        whichever!(self, task => task.scan(store, partition, prefix))
    }
}

impl Task for DataTask {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        whichever!(self, task => task.poll(limits))
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        whichever!(self, task => task.commit(txn))
    }
}
