//! What a log is. The embedded, the simulated and the Kafka log keep this contract; the loop that uses it knows none of them.
//!
//! A log has topics, each divided into the same number of partitions. A *task* owns some partitions alone. What it consumed, the
//! state that changed and what it produced become durable together ([`Task::commit`]) or not at all.

use std::fmt;
use std::time::Duration;

use cloudigrade_schemas::{Topic, UtcSecond};

use crate::limits;

/// The name of a task. Opening a task fences the one opened before it with the same name: its commits fail from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub &'static str);

/// The name of a store of keyed state. Each partition has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Store(pub &'static str);

/// What a task reads, and how processes share it.
#[derive(Clone, Copy, Debug)]
pub struct TaskSpec {
    /// Its name.
    pub id: TaskId,
    /// The topics it consumes. A source reads none.
    pub inputs: &'static [Topic],
    /// What becomes of it when several processes open it. In a log that one process has for itself it is always the last that has it.
    pub sharing: Sharing,
}

/// How several processes share a task of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The last to open it has it; the one before is fenced.
    Alone,
    /// They divide its partitions among them, and divide them anew when one comes or goes. Each fences only its own predecessor.
    Divided,
    /// Each has one of its own, which reads nothing. What they write to the same key of state, the last to commit decides.
    OfEach,
}

impl TaskSpec {
    /// A task that one process has at a time.
    pub const fn alone(name: &'static str, inputs: &'static [Topic]) -> Self {
        Self { id: TaskId(name), inputs, sharing: Sharing::Alone }
    }

    /// A task whose partitions processes divide among them.
    pub const fn divided(name: &'static str, inputs: &'static [Topic]) -> Self {
        Self { id: TaskId(name), inputs, sharing: Sharing::Divided }
    }

    /// A task that reads nothing, of which each process has its own.
    pub const fn of_each(name: &'static str) -> Self {
        Self { id: TaskId(name), inputs: &[], sharing: Sharing::OfEach }
    }
}

/// A place in a topic: the next offset to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// The next offset to read, from 0. Offsets rise, but not without gaps.
    pub offset: u64,
}

/// A record as read from a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// When the fact behind it entered the log. A source stamps it; what operators derive inherits it.
    pub entered_at: UtcSecond,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: u32,
    /// Its key. In a topic that keeps the latest, a later record with the same key replaces it.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// See [`Record::entered_at`].
    pub entered_at: UtcSecond,
}

/// A key of state with its value.
pub type KeyValue = (Vec<u8>, Vec<u8>);

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The store.
    pub store: Store,
    /// The partition.
    pub partition: u32,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete the key.
    pub value: Option<Vec<u8>>,
}

/// What becomes durable together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// Records to append, in this order within a partition.
    pub outputs: Vec<Output>,
    /// State changes, at most one a key.
    pub state: Vec<StateChange>,
    /// Where to go on reading, at most one a topic and partition.
    pub positions: Vec<Position>,
}

impl Txn {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.state.is_empty() && self.positions.is_empty()
    }

    /// Holds keys and values against their limits. Every log does so before it writes anything of a transaction.
    ///
    /// # Errors
    /// [`LogError::TooLarge`].
    pub fn check_limits(&self) -> Result<(), LogError> {
        let within = |what, bytes: &[u8], limit| {
            let size = bytes.len();
            if size > limit { Err(LogError::TooLarge { what, size, limit }) } else { Ok(()) }
        };
        for Output { key, value, .. } in &self.outputs {
            within("a record's key", key, limits::KEY_BYTES_MAX)?;
            within("a record's value", value, limits::VALUE_BYTES_MAX)?;
        }
        for StateChange { key, value, .. } in &self.state {
            within("a key of state", key, limits::KEY_BYTES_MAX)?;
            within("a value of state", value.as_deref().unwrap_or_default(), limits::VALUE_BYTES_MAX)?;
        }
        Ok(())
    }
}

/// How much one poll returns.
#[derive(Clone, Copy, Debug)]
pub struct PollLimits {
    /// Records, at most.
    pub records: usize,
    /// Bytes of keys and values; the record that reaches it is the last.
    pub bytes: usize,
    /// How long to wait for a first record.
    pub wait: Duration,
}

impl Default for PollLimits {
    fn default() -> Self {
        Self { records: limits::POLL_RECORDS_MAX, bytes: limits::POLL_BYTES_MAX, wait: limits::POLL_WAIT }
    }
}

/// Why a log did not do what was asked, named for what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing happened. The same call may succeed later.
    #[error("{doing} is not possible right now: {cause}")]
    Retry {
        /// What was being done.
        doing: &'static str,
        /// Why.
        cause: String,
    },
    /// The commit did not happen and will not. The task goes on from its committed positions: its next poll reads the batch again.
    #[error("the commit of {task} was given up, nothing of it is durable: {cause}")]
    Abort {
        /// The task.
        task: TaskId,
        /// Why.
        cause: String,
    },
    /// Another task with this name was opened, or this one was away for longer than its transaction may take. It is over.
    #[error(
        "{task} was taken over by another process, which has the same name (kafka.member), or was away for too long; this one must stop"
    )]
    Fenced {
        /// The task.
        task: TaskId,
    },
    /// The log's storage failed. Nothing more can be done with it before it is opened anew.
    #[error("{doing} failed: {cause}; {help}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why.
        cause: String,
        /// What to do.
        help: &'static str,
    },
    /// Records that were to be read are not there any more. To read them again does not help: somebody must say where to go on.
    #[error("{what}: records were deleted before they were read, by the topic's retention or by hand; {help}")]
    Gone {
        /// Of which partition, and for whom.
        what: String,
        /// What to do.
        help: String,
    },
    /// A limit of [`limits`] would be passed.
    #[error("{what} of {size} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A log: topics, tasks and keyed state.
pub trait Log: Send + Sync {
    /// Its tasks.
    type Task: Task;

    /// How many partitions each topic has. Fixed when the log is made.
    fn partitions(&self) -> u32;

    /// Opens a task on some partitions, from its committed positions. Fences the task of this name that was opened before. Where processes
    /// divide a task, it has those of the partitions that fall to this one.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<Self::Task, LogError>;

    /// Committed records from a position on, without a task: for sinks, whose position lives in their target, and for looking.
    /// Returns fewer than asked, or none, at the end; it does not wait.
    ///
    /// # Errors
    /// [`LogError::Retry`], [`LogError::Gone`] or [`LogError::Storage`].
    fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError>;

    /// The position of the first record of a partition that may still be there. What lies before it was deleted; most logs delete nothing.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    fn begin(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        Ok(Position { topic, partition, offset: 0 })
    }

    /// The position behind the last committed record of a partition.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError>;
}

/// Reads committed state.
pub trait StateRead {
    /// The value of a key.
    ///
    /// # Errors
    /// [`LogError::Storage`].
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError>;

    /// All keys that begin with a prefix, in order, with their values.
    ///
    /// # Errors
    /// [`LogError::Storage`].
    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError>;
}

/// A task: the only one that consumes its inputs' partitions and changes their state under its name.
pub trait Task: StateRead + Send {
    /// The next records of the inputs, in order within each partition; none when `limits.wait` passed without one.
    ///
    /// Records that were polled but not committed are not polled again, unless a commit was aborted or the task opened anew.
    ///
    /// # Errors
    /// [`LogError::Fenced`], [`LogError::Retry`], [`LogError::Gone`] or [`LogError::Storage`].
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError>;

    /// Makes a transaction durable, all or nothing. When this returns, readers see it and a crash does not lose it.
    ///
    /// The task repeats the same commit until it knows whether it happened. Where that stays unknown, as with storage that is away for long, the
    /// answer is [`LogError::Storage`], and the next opening tells: by its positions, and by state that was changed in the same commit.
    ///
    /// # Errors
    /// Any [`LogError`] but [`LogError::Retry`]: what can be repeated is repeated inside, since the caller no longer has the batch.
    /// After [`LogError::Abort`] the batch is polled again; after any other the task is to be opened anew.
    fn commit(&mut self, txn: Txn) -> Result<(), LogError>;
}
