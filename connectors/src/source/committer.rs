//! The one thread through which everything that is collected while serving enters the log: many findings a commit, and each finder
//! learns when its own are durable.

use std::sync::Arc;
use std::thread::JoinHandle;

use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{Log, LogError, Store, Task, TaskSpec, Txn};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Coverage, EventId, Topic, UtcSecond};
use tokio::sync::{mpsc, oneshot};

use super::harvest::{Harvest, extend_reach};
use crate::limits::{COMMIT_BYTES, COMMIT_ENTRIES, COMMIT_QUEUE_MAX, COMMIT_RECORDS, COMMITS_REPEATED_MAX, RETRY_PAUSE};

/// The task under which live sources enter the log. Another process that opens it fences this one.
const LIVE: TaskSpec = TaskSpec::of_each("source.live");

/// What one finder found: durable together, or not at all.
#[derive(Debug, Default)]
pub struct Entry {
    /// What an object gave.
    pub harvest: Option<Harvest>,
    /// Messages of `cloudtrail.records`, as [`cloudigrade_schemas::TrailRecord::message`] makes them, with the id of each.
    pub records: Vec<(EventId<'static>, Vec<u8>)>,
    /// How far data reaches.
    pub coverage: Vec<Coverage>,
    /// Messages of other topics.
    pub messages: Vec<Message>,
    /// Changes of the finders' own state.
    pub state: Vec<Change>,
}

/// A message for a topic.
#[derive(Debug)]
pub struct Message {
    /// The topic.
    pub topic: Topic,
    /// What decides the partition.
    pub partition_key: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A change of state.
#[derive(Debug)]
pub struct Change {
    /// The store.
    pub store: Store,
    /// What decides the partition.
    pub partition_key: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete the key.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// Its weight in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let records: usize = self.records.iter().map(|(id, message)| id.as_str().len() + message.len()).sum();
        let messages: usize = self.messages.iter().map(|message| message.key.len() + message.value.len()).sum();
        let state: usize = self.state.iter().map(|change| change.key.len() + change.value.as_ref().map_or(0, Vec::len)).sum();
        self.harvest.as_ref().map_or(0, Harvest::bytes) + records + messages + state
    }

    /// How many messages it has for `cloudtrail.records`.
    fn messages(&self) -> usize {
        self.records.len() + self.harvest.as_ref().map_or(0, Harvest::messages)
    }

    /// Puts all of it into a transaction.
    pub(crate) fn put_into(self, cx: &mut Cx<'_>, partitions: u32, now: UtcSecond) -> Result<(), LogError> {
        if let Some(harvest) = self.harvest {
            harvest.put_into(cx, partitions, now)?;
        }
        for (id, message) in self.records {
            cx.send(Topic::CloudTrailRecords, id.as_str().as_bytes(), message, now);
        }
        for coverage in self.coverage {
            extend_reach(cx, partitions, &coverage.to_key(), coverage, now)?;
        }
        for Message { topic, partition_key, key, value } in self.messages {
            cx.send_to(topic, partition_of(&partition_key, partitions), &key, value, now);
        }
        for Change { store, partition_key, key, value } in self.state {
            let partition = partition_of(&partition_key, partitions);
            match value {
                Some(value) => cx.put(store, partition, &key, value),
                None => cx.delete(store, partition, &key),
            }
        }
        Ok(())
    }
}

/// Why something was not committed. What was to be committed is not durable; whoever delivered it must not be told that it is.
#[derive(Clone, Debug, thiserror::Error)]
#[error("nothing enters the log any more: {cause}")]
pub struct NotCommitted {
    /// What happened to the log, or that the program is stopping.
    pub cause: Arc<str>,
}

type Waiting = (Entry, oneshot::Sender<Result<(), NotCommitted>>);

/// Gives entries to the committing thread. Cheap to clone; when the last clone is gone, the thread commits what it has and ends.
#[derive(Clone, Debug)]
pub struct Committer {
    entries: mpsc::Sender<Waiting>,
}

impl Committer {
    /// Opens the task and starts the thread. `now` is the wall clock. The handle gives the failure that ended the thread, if one did.
    ///
    /// # Errors
    /// Those of [`Log::open_task`], and [`LogError::Storage`] when the system gives no thread.
    pub fn start<L: Log>(log: &L, now: fn() -> UtcSecond) -> Result<(Self, JoinHandle<Result<(), LogError>>), LogError>
    where
        L::Task: 'static,
    {
        let partitions = log.partitions();
        let all: Vec<u32> = (0..partitions).collect();
        let task = log.open_task(LIVE, &all)?;
        let (entries, waiting) = mpsc::channel(COMMIT_QUEUE_MAX);
        let thread = std::thread::Builder::new().name("commit".to_owned()).spawn(move || run(task, partitions, waiting, now));
        let thread = thread.map_err(|error| LogError::Storage {
            doing: "starting the thread that commits",
            cause: error.to_string(),
            help: "raise the limit of processes (ulimit -u)",
        })?;
        Ok((Self { entries }, thread))
    }

    /// Commits an entry. When this returns, it is durable.
    ///
    /// # Errors
    /// [`NotCommitted`] when the log failed. Dropping the future gives up waiting, not the entry: it may become durable still.
    pub async fn commit(&self, entry: Entry) -> Result<(), NotCommitted> {
        let stopped = || NotCommitted { cause: "the committing thread has ended".into() };
        let (done, committed) = oneshot::channel();
        self.entries.send((entry, done)).await.map_err(|_| stopped())?;
        committed.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Waits until the committing thread has ended, which it does by itself only when the log failed. Holds no clone that would keep it alive
    /// longer than the caller does.
    pub async fn ended(&self) {
        self.entries.closed().await;
    }
}

fn run<T: Task>(mut task: T, partitions: u32, mut waiting: mpsc::Receiver<Waiting>, now: fn() -> UtcSecond) -> Result<(), LogError> {
    while let Some(first) = waiting.blocking_recv() {
        // What arrived while the last commit was made is the next one: under load batches grow by themselves, and nothing waits without.
        let mut batch = vec![first];
        let mut bytes = batch[0].0.bytes();
        let mut records = batch[0].0.messages();
        while batch.len() < COMMIT_ENTRIES && bytes < COMMIT_BYTES && records < COMMIT_RECORDS {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.0.bytes();
            records += next.0.messages();
            batch.push(next);
        }
        let (entries, finders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let committed = commit(&mut task, partitions, entries, now());
        for finder in finders {
            let told = match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(NotCommitted { cause: error.to_string().into() }),
            };
            // A finder that no longer waits needs no answer.
            let _ = finder.send(told);
        }
        committed?;
    }
    Ok(())
}

/// Commits entries by a task of one's own, all of them or none.
///
/// # Errors
/// Those of [`Task::commit`], and of reading state.
pub fn commit<T: Task>(task: &mut T, partitions: u32, entries: Vec<Entry>, now: UtcSecond) -> Result<(), LogError> {
    let mut cx = Cx::new(&*task, partitions);
    entries.into_iter().try_for_each(|entry| entry.put_into(&mut cx, partitions, now))?;
    let (txn, _) = cx.finish();
    if txn.is_empty() { Ok(()) } else { commit_again(task, txn) }
}

/// Commits what comes from no poll: where it is given up, it is for us to make it again.
pub(crate) fn commit_again<T: Task>(task: &mut T, txn: Txn) -> Result<(), LogError> {
    for _ in 1..COMMITS_REPEATED_MAX {
        match task.commit(txn.clone()) {
            Err(LogError::Abort { cause, .. }) => {
                tracing::warn!(cause, "a commit was given up and is made again");
                std::thread::sleep(RETRY_PAUSE);
            }
            committed => return committed,
        }
    }
    task.commit(txn)
}
