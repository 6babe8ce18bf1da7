//! The embedded log: topics, state and positions in one redb file, for one process. The default.
//!
//! All writes go through one writer thread. It joins the commits that wait into one redb transaction and makes it durable once (group
//! commit), so a commit is in the file with its outputs, state and positions or not at all. Quick repair is on: a file that a crash
//! left opens at once, however large it is. It implies redb's commit in two phases, so a group costs two syncs.
//!
//! Two things fence. Between processes the lock on the file; within one, a generation for each task, which the writer checks in the
//! order in which commits and takeovers reach it.
//!
//! * [`open`]: finding, making and refusing files
//! * `moved`: that a log goes on somewhere else
//! * `layout`, `batch`: what is in the file
//! * `prepare`, `writer`: from a transaction to the file
//! * `task`, `read`: from the file to records

mod batch;
mod failure;
mod layout;
mod moved;
pub mod open;
mod prepare;
mod read;
mod task;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cloudigrade_schemas::Topic;
use redb::{Database, ReadableDatabase};

pub use moved::{Moved, Names};
pub use open::{EmbeddedOptions, OpenError};
pub use task::EmbeddedTask;

use crate::log::{KeyValue, Log, LogError, PollLimits, Position, Record, StateRead, Store, TaskId, TaskSpec};
use failure::reading;
use layout::Place;
use read::Budget;
use writer::{Fence, Request};

/// The embedded log. Clones share one file; when the last of them and of its tasks is dropped, the file is closed and unlocked.
#[derive(Clone)]
pub struct EmbeddedLog {
    handle: Arc<Handle>,
}

/// How often something became readable in a log; see [`EmbeddedLog::wait_appended`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appends(u64);

/// What the writer and the readers share.
struct Shared {
    db: Database,
    appended: Mutex<Appended>,
    grown: Condvar,
}

/// What was made durable.
#[derive(Default)]
struct Appended {
    times: Appends,
    /// The offset behind the last record of each partition that has any: who has read up to it need not look into the file.
    ends: BTreeMap<Place, u64>,
}

/// The open file and its writer.
struct Handle {
    partitions: u32,
    /// `None` only while this is dropped.
    requests: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
    // Dropped last: it closes the file.
    shared: Arc<Shared>,
}

impl EmbeddedLog {
    /// How often something became readable so far. Ask before reading, then wait for the next with [`Self::wait_appended`].
    pub fn appends(&self) -> Appends {
        self.handle.shared.appends()
    }

    /// Sleeps until something became readable after `seen` was asked, or `wait` passed. Returns the number then.
    pub fn wait_appended(&self, seen: Appends, wait: Duration) -> Appends {
        self.handle.shared.wait_appended(seen, wait)
    }

    /// The committed positions of a task, by topic and partition; those it never committed are 0 and not listed.
    ///
    /// # Errors
    /// [`LogError::Storage`].
    pub fn positions(&self, task: TaskId) -> Result<Vec<Position>, LogError> {
        let prefix = layout::task_prefix(task);
        let scan = || -> Result<Vec<Position>, redb::Error> {
            let table = self.handle.shared.db.begin_read()?.open_table(layout::POSITIONS)?;
            let mut positions = Vec::new();
            for entry in table.range::<&[u8]>(prefix.as_slice()..)? {
                let (key, offset) = entry?;
                let Some(place) = key.value().strip_prefix(prefix.as_slice()) else { break };
                let (topic, partition) = layout::parse_place(place)?;
                positions.push(Position { topic, partition, offset: offset.value() });
            }
            Ok(positions)
        };
        scan().map_err(reading)
    }

    /// Sends a request to the writer and waits for its answer.
    fn ask<T>(&self, request: impl FnOnce(SyncSender<Result<T, LogError>>) -> Request) -> Result<T, LogError> {
        let (done, answer) = sync_channel(1);
        let sent = self.handle.requests.as_ref().is_some_and(|requests| requests.send(request(done)).is_ok());
        if !sent {
            return Err(failure::writer_gone());
        }
        answer.recv().unwrap_or_else(|_| Err(failure::writer_gone()))
    }

    fn fence(&self, task: TaskId) -> Result<Fence, LogError> {
        self.ask(|done| Request::Fence { task, done })
    }
}

impl Log for EmbeddedLog {
    type Task = EmbeddedTask;

    fn partitions(&self) -> u32 {
        self.handle.partitions
    }

    fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<EmbeddedTask, LogError> {
        EmbeddedTask::open(self.clone(), spec, partitions)
    }

    fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        let read = || -> Result<Vec<Record>, redb::Error> {
            let table = self.handle.shared.db.begin_read()?.open_table(layout::RECORDS)?;
            let mut records = Vec::new();
            read::partition(&table, from, &mut Budget::new(limits), &mut records)?;
            Ok(records)
        };
        read().map_err(reading)
    }

    fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        Ok(Position { topic, partition, offset: self.handle.shared.end(topic, partition) })
    }
}

/// Looks at committed state from outside any task.
impl StateRead for EmbeddedLog {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.handle.shared.state().and_then(|table| read::state(&table, store, partition, key)).map_err(reading)
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.handle.shared.state().and_then(|table| read::states(&table, store, partition, prefix)).map_err(reading)
    }
}

impl Shared {
    fn new(db: Database) -> Self {
        Self { db, appended: Mutex::default(), grown: Condvar::new() }
    }

    fn state(&self) -> Result<read::StateTable, redb::Error> {
        Ok(self.db.begin_read()?.open_table(layout::STATE)?)
    }

    fn appended(&self) -> MutexGuard<'_, Appended> {
        self.appended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn appends(&self) -> Appends {
        self.appended().times
    }

    /// The offset behind the last durable record of a partition.
    fn end(&self, topic: Topic, partition: u32) -> u64 {
        self.appended().ends.get(&layout::place(topic, partition)).copied().unwrap_or(0)
    }

    fn wait_appended(&self, seen: Appends, wait: Duration) -> Appends {
        let unchanged = |now: &mut Appended| now.times == seen;
        let (now, _) = self.grown.wait_timeout_while(self.appended(), wait, unchanged).unwrap_or_else(PoisonError::into_inner);
        now.times
    }

    /// Tells readers where partitions end that have grown.
    fn tell_appended(&self, ends: BTreeMap<Place, u64>) {
        if ends.is_empty() {
            return;
        }
        let mut appended = self.appended();
        appended.ends.extend(ends);
        appended.times.0 += 1;
        drop(appended);
        self.grown.notify_all();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Without a sender left the writer ends; the file is closed only behind it.
        self.requests = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the embedded log panicked");
        }
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLog").field("partitions", &self.handle.partitions).finish_non_exhaustive()
    }
}
