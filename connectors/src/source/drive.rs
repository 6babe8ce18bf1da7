//! Drives an operator: the same loop for an ingest, which ends, and for a server, which goes on until it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloudigrade_pipeline::engine::{Counters, Operator, step};
use cloudigrade_pipeline::log::{KeyValue, LogError, PollLimits, Record, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use cloudigrade_schemas::Topic;

use crate::limits::{RETRY_LAST_MAX, RETRY_PAUSE};

/// The task of [`cloudigrade_pipeline::operators::Extract`]. Its name is that of the task which once drove both operators: logs know its
/// positions by it.
pub const EXTRACT: TaskSpec = TaskSpec::divided("operators", &[Topic::CloudTrailRecords]);
/// The task of [`cloudigrade_pipeline::operators::Intervals`]. It is its own, so that one operator folds while the other waits for its
/// commit.
pub const INTERVALS: TaskSpec = TaskSpec::divided("operators.intervals", &[Topic::PowerEvents]);
/// The task of [`cloudigrade_pipeline::operators::ImageTags`].
pub const IMAGE_TAGS: TaskSpec = TaskSpec::divided("operators.image_tags", &[Topic::ImageTags]);
/// The task of [`cloudigrade_pipeline::operators::Sightings`]. Of a log that was written before there was one it reads all power events.
pub const SIGHTINGS: TaskSpec = TaskSpec::divided("operators.sightings", &[Topic::PowerEvents]);
/// The task of [`cloudigrade_pipeline::operators::Images`].
pub const IMAGES: TaskSpec = TaskSpec::divided("operators.images", &[Topic::ImageFacts, Topic::ImageSightings]);
/// The task of [`cloudigrade_pipeline::operators::Accounts`].
pub const ACCOUNTS: TaskSpec = TaskSpec::divided("operators.accounts", &[Topic::AccountCommands]);

/// A task that adds up where the time goes: waiting for records, reading them, and committing. What is left is folding.
struct Timed<T> {
    task: T,
    waiting: Duration,
    reading: Duration,
    committing: Duration,
}

impl<T> Timed<T> {
    const fn new(task: T) -> Self {
        Self { task, waiting: Duration::ZERO, reading: Duration::ZERO, committing: Duration::ZERO }
    }

    /// What was added up since it was told last, of a time that ends now.
    fn tell(&mut self, id: TaskId, took: Duration) {
        let known = [("wait", &mut self.waiting), ("read", &mut self.reading), ("commit", &mut self.committing)];
        let parts = known.map(|(part, time)| (part, std::mem::take(time)));
        let fold = parts.iter().fold(took, |left, (_, time)| left.saturating_sub(*time));
        for (part, time) in parts.into_iter().chain([("fold", fold)]) {
            let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            metrics::counter!("cloudigrade_task_microseconds_total", "task" => id.0, "part" => part).increment(microseconds);
        }
    }
}

impl<T: Task> StateRead for Timed<T> {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.task.get(store, partition, key)
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.task.scan(store, partition, prefix)
    }
}

impl<T: Task> Task for Timed<T> {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        let began = Instant::now();
        let polled = self.task.poll(limits);
        let waited = polled.as_ref().is_ok_and(Vec::is_empty);
        *(if waited { &mut self.waiting } else { &mut self.reading }) += began.elapsed();
        polled
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        let began = Instant::now();
        let committed = self.task.commit(txn);
        self.committing += began.elapsed();
        committed
    }
}

/// Folds until what the task reads is complete and it has caught up. `wait` is how long one poll waits for records before it looks whether
/// it may end; `folded` is told what each batch counted. Where the time goes is told as metrics under the task's name. What may succeed later is
/// tried again for as long as more is to come, and once all is complete for [`RETRY_LAST_MAX`].
///
/// # Errors
/// Those of [`step`]. What was committed stays.
pub fn drive<T: Task>(
    task: T,
    id: TaskId,
    partitions: u32,
    operator: &dyn Operator,
    complete: &AtomicBool,
    wait: Duration,
    mut folded: impl FnMut(&Counters),
) -> Result<Counters, LogError> {
    let mut counters = Counters::default();
    let mut failing = None;
    let mut task = Timed::new(task);
    loop {
        let began = Instant::now();
        let last = complete.load(Ordering::Acquire);
        let wait = if last { Duration::ZERO } else { wait };
        let stepped = match step(&mut task, partitions, &[operator], PollLimits { wait, ..PollLimits::default() }) {
            Ok(stepped) => stepped,
            Err(error @ (LogError::Retry { .. } | LogError::Abort { .. })) => {
                let since = *failing.get_or_insert_with(Instant::now);
                if last && since.elapsed() > RETRY_LAST_MAX {
                    return Err(error);
                }
                tracing::warn!(%error, "an operator tries again");
                std::thread::sleep(RETRY_PAUSE);
                continue;
            }
            Err(error) => return Err(error),
        };
        task.tell(id, began.elapsed());
        failing = None;
        if stepped.consumed > 0 {
            folded(&stepped.counters);
        }
        counters.merge(&stepped.counters);
        if last && stepped.consumed == 0 {
            return Ok(counters);
        }
    }
}
