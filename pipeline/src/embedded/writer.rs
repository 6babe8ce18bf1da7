//! The writer: one thread that makes groups of commits durable, and decides which tasks may still commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};

use redb::{ReadableDatabase, ReadableTable, Table};

use crate::embedded::Shared;
use crate::embedded::failure::Failure;
use crate::embedded::layout::{self, Place, RecordKey};
use crate::embedded::prepare::{Append, Prepared};
use crate::limits;
use crate::log::{LogError, TaskId};

/// Where the writer's answer goes.
pub(super) type Done<T> = SyncSender<Result<T, LogError>>;

/// What the writer is asked for. It serves requests in their order.
pub(super) enum Request {
    /// Make a transaction durable.
    Commit(Commit),
    /// Open a task: end the one that was opened before it. The answer comes when all commits before it are durable.
    Fence {
        /// The task.
        task: TaskId,
        /// Its right to commit.
        done: Done<Fence>,
    },
}

/// A commit that waits.
pub(super) struct Commit {
    pub(super) task: TaskId,
    pub(super) generation: u64,
    pub(super) txn: Prepared,
    pub(super) done: Done<()>,
}

/// A task's right to commit, which ends when the task is opened again.
#[derive(Clone)]
pub(super) struct Fence {
    /// The generation that was opened last.
    current: Arc<AtomicU64>,
    /// The generation that this right belongs to.
    pub(super) generation: u64,
}

impl Fence {
    pub(super) fn is_passed(&self) -> bool {
        self.current.load(Ordering::Acquire) != self.generation
    }
}

/// The writer's own view of the log.
pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The offset that the next record of a partition gets. Readers are told by [`Shared::tell_appended`] once it is durable.
    ends: BTreeMap<Place, u64>,
    generations: BTreeMap<TaskId, Arc<AtomicU64>>,
    /// After a failure the file's state is unknown until it is opened anew, so nothing more is written.
    failure: Option<Failure>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, redb::Error> {
        let mut ends = BTreeMap::new();
        for stored in shared.db.begin_read()?.open_table(layout::ENDS)?.iter()? {
            let (place, end) = stored?;
            ends.insert(*place.value(), end.value());
        }
        shared.tell_appended(ends.clone());
        Ok(Self { shared, ends, generations: BTreeMap::new(), failure: None })
    }

    /// Serves requests until all who could send one are gone.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let waiting = std::iter::from_fn(|| requests.try_recv().ok());
            let group = std::iter::once(first).chain(waiting).take(limits::GROUP_COMMITS_MAX).collect();
            self.serve(group);
        }
    }

    fn serve(&mut self, group: Vec<Request>) {
        let (mut commits, mut fences) = (Vec::new(), Vec::new());
        for request in group {
            match request {
                Request::Commit(commit) if self.is_current(&commit) => commits.push(commit),
                Request::Commit(commit) => answer(&commit.done, Err(LogError::Fenced { task: commit.task })),
                Request::Fence { task, done } => fences.push((self.open(task), done)),
            }
        }
        let outcome = self.write(&commits);
        if outcome.is_ok() {
            let grown = commits.iter().flat_map(|commit| &commit.txn.appends);
            let ends: BTreeMap<Place, u64> = grown.filter_map(|(place, _)| Some((*place, *self.ends.get(place)?))).collect();
            self.shared.tell_appended(ends);
        }
        for commit in commits {
            answer(&commit.done, outcome.as_ref().map(|&()| ()).map_err(|failure| failure.to_error("committing to the log")));
        }
        for (fence, done) in fences {
            answer(&done, outcome.as_ref().map(|&()| fence).map_err(|failure| failure.to_error("opening a task")));
        }
    }

    fn is_current(&self, commit: &Commit) -> bool {
        self.generations.get(&commit.task).is_some_and(|current| current.load(Ordering::Acquire) == commit.generation)
    }

    fn open(&mut self, task: TaskId) -> Fence {
        let current = Arc::clone(self.generations.entry(task).or_default());
        let generation = current.fetch_add(1, Ordering::AcqRel) + 1;
        Fence { current, generation }
    }

    /// Makes commits durable, all or none of them.
    fn write(&mut self, commits: &[Commit]) -> Result<(), Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        if commits.iter().all(|commit| commit.txn.is_empty()) {
            return Ok(());
        }
        self.write_group(commits).map_err(|error| {
            let failure = Failure::from(error);
            tracing::error!(?failure, "the embedded log can not be written any more");
            self.failure.insert(failure).clone()
        })
    }

    fn write_group(&mut self, commits: &[Commit]) -> Result<(), redb::Error> {
        let mut txn = self.shared.db.begin_write()?;
        txn.set_quick_repair(true);
        {
            let mut records = txn.open_table(layout::RECORDS)?;
            let mut latest = txn.open_table(layout::LATEST)?;
            let mut ends = txn.open_table(layout::ENDS)?;
            for (place, appends) in commits.iter().flat_map(|commit| &commit.txn.appends) {
                let end = self.ends.entry(*place).or_default();
                append(&mut records, &mut latest, *place, end, appends)?;
                ends.insert(place, *end)?;
            }
            let mut state = txn.open_table(layout::STATE)?;
            for (key, value) in commits.iter().flat_map(|commit| &commit.txn.state) {
                match value {
                    Some(value) => state.insert(key.as_slice(), value.as_slice())?,
                    None => state.remove(key.as_slice())?,
                };
            }
            let mut positions = txn.open_table(layout::POSITIONS)?;
            for (key, offset) in commits.iter().flat_map(|commit| &commit.txn.positions) {
                positions.insert(key.as_slice(), offset)?;
            }
        }
        Ok(txn.commit()?)
    }
}

fn append(
    records: &mut Table<'_, &'static RecordKey, &'static [u8]>,
    latest: &mut Table<'_, &'static [u8], u64>,
    place: Place,
    end: &mut u64,
    appends: &[Append],
) -> Result<(), redb::Error> {
    for append in appends {
        let (count, bytes) = match append {
            Append::Batch { records, bytes } => (*records, bytes),
            Append::Latest { key, bytes } => {
                let replaced = latest.insert(key.as_slice(), *end)?.map(|offset| offset.value());
                if let Some(offset) = replaced {
                    records.remove(&layout::record_key(place, offset))?;
                }
                (1, bytes)
            }
        };
        records.insert(&layout::record_key(place, *end), bytes.as_slice())?;
        *end += count;
    }
    Ok(())
}

/// Whoever asked may have given up waiting; then nobody needs the answer.
fn answer<T>(done: &Done<T>, answer: Result<T, LogError>) {
    let _ = done.send(answer);
}
