//! The sink's loop while serving: the tables follow the log at a bounded distance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::log::DataLog;
use cloudigrade_connectors::source::Readiness;
use cloudigrade_pipeline::heap;
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_pipeline::sink::{SinkError, TableRoot, Tables};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::data::now;

/// How long a failed catch-up waits before it is tried again, at first; doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How long it waits at most.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The name under which readiness knows the tables.
const PART: &str = "tables";

/// The thread that keeps the tables.
pub struct TableKeeper {
    asked: Arc<Asked>,
    thread: JoinHandle<Result<(), SinkError>>,
}

/// What is asked of the thread, and what it has done.
struct Asked {
    stop: AtomicBool,
    /// How often somebody asked for the tables to be brought up to date.
    times: AtomicU64,
    /// How many of these times were before the beginning of the last catch-up that was done.
    done: watch::Sender<u64>,
}

/// Wakes the thread before its time. Cheap to clone.
#[derive(Clone)]
pub struct Wake {
    asked: Arc<Asked>,
    thread: Thread,
}

impl Wake {
    /// Waits until all that the log holds now is in the tables; for ever, where the thread has ended or the tables cannot be written.
    pub async fn caught_up(&self) {
        let mut done = self.asked.done.subscribe();
        let mine = self.asked.times.fetch_add(1, Ordering::AcqRel) + 1;
        self.thread.unpark();
        // The sender is ours: it lives as long as this.
        let _ = done.wait_for(|done| *done >= mine).await;
    }
}

impl TableKeeper {
    /// Opens the tables and starts keeping them: up to date already, unless the log cannot be read to its end at this moment. A storage that
    /// fails is tried again; meanwhile the log keeps all. What cannot be mended by trying again ends the thread: records that were deleted
    /// before they were read. When it ends, also by a panic, `stop` is cancelled.
    ///
    /// # Errors
    /// Any [`SinkError`] of opening them.
    pub async fn start(
        root: TableRoot,
        log: DataLog,
        every: Duration,
        readiness: Readiness,
        stop_all: &CancellationToken,
    ) -> Result<Self, SinkError> {
        let (tables, first) = match Tables::open_caught_up(&root, &log).await {
            Ok((tables, _)) => (tables, every),
            // The process whose transaction is open, or a broker, is gone: that passes.
            Err(error @ SinkError::Log(LogError::Retry { .. })) => {
                tell_behind(&readiness, &error);
                (Tables::open(&root, log.partitions()).await?, RETRY_FIRST)
            }
            Err(error) => return Err(error),
        };
        let asked = Arc::new(Asked { stop: AtomicBool::new(false), times: AtomicU64::new(0), done: watch::Sender::new(0) });
        let told = Arc::clone(&asked);
        let runtime = Handle::current();
        let ends = stop_all.clone().drop_guard();
        let keep = move || {
            let _ends = ends;
            keep(&root, tables, &log, Pace { first, every }, &readiness, &told, &runtime)
        };
        let thread = std::thread::Builder::new().name("tables".to_owned()).spawn(keep);
        let thread = thread.map_err(|error| SinkError::Storage {
            doing: "starting the thread that keeps",
            table: "all tables",
            cause: error.to_string(),
        })?;
        Ok(Self { asked, thread })
    }

    /// What wakes it.
    pub fn wake(&self) -> Wake {
        Wake { asked: Arc::clone(&self.asked), thread: self.thread.thread().clone() }
    }

    /// Brings the tables up to date once more and ends.
    ///
    /// # Errors
    /// The failure of that last catch-up: the log has all, and the next start writes it. Or what ended the thread before.
    pub fn finish(self) -> Result<(), SinkError> {
        self.asked.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Asked {
    /// Sleeps until the time has come, somebody asks, or all ends. A storage that fails is not asked more often because of who waits for it.
    fn wait(&self, pause: Duration, failing: bool) {
        let until = Instant::now() + pause;
        loop {
            let is_wanted = !failing && self.times.load(Ordering::Acquire) > *self.done.borrow();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || is_wanted || self.stop.load(Ordering::Acquire) {
                return;
            }
            std::thread::park_timeout(left);
        }
    }
}

/// How long is waited before the first catch-up, and between those that succeed.
struct Pace {
    first: Duration,
    every: Duration,
}

fn tell_behind(readiness: &Readiness, error: &SinkError) {
    tracing::warn!(%error, "the tables could not be written; they are tried again");
    let message = format!("{error}; nothing is lost: the log keeps all, and the tables follow when this is mended");
    readiness.report(PART, "behind", PART, message, now());
}

fn keep(
    root: &TableRoot,
    mut tables: Tables,
    log: &DataLog,
    Pace { first, every }: Pace,
    readiness: &Readiness,
    asked: &Asked,
    runtime: &Handle,
) -> Result<(), SinkError> {
    let (mut pause, mut failing) = (first, false);
    loop {
        asked.wait(pause, failing);
        let last = asked.stop.load(Ordering::Acquire);
        let times = asked.times.load(Ordering::Acquire);
        let started = Instant::now();
        let mut applied = runtime.block_on(tables.catch_up(log));
        if last && matches!(applied, Err(SinkError::Superseded { .. })) {
            applied = runtime.block_on(Tables::open_caught_up(root, log)).map(|(_, applied)| applied);
        }
        // Writing tables takes much memory for a moment, again and again.
        heap::give_back();
        match applied {
            Ok(applied) => {
                readiness.works(PART);
                metrics::counter!("cloudigrade_table_messages_total").increment(applied.messages);
                metrics::counter!("cloudigrade_table_commits_total").increment(applied.commits);
                metrics::histogram!("cloudigrade_table_catch_up_seconds").record(started.elapsed().as_secs_f64());
                asked.done.send_replace(times);
                (pause, failing) = (every, false);
            }
            // Another process keeps them too. What it has written need not be written here.
            Err(SinkError::Superseded { table }) => {
                tracing::info!(table, "another process keeps the tables too");
                // Where it was first to the very end, it is there to write what comes.
                (pause, failing) = reopen(root, &mut tables, log, runtime).map_or((RETRY_FIRST, true), |()| (every, false));
            }
            // To read again meets the same.
            Err(error @ SinkError::Log(LogError::Gone { .. })) => {
                tracing::error!(%error, "the tables cannot follow the log any more");
                return Err(error);
            }
            Err(error) if last => return Err(error),
            Err(error) => {
                tell_behind(readiness, &error);
                (pause, failing) = ((pause * 2).clamp(RETRY_FIRST, RETRY_MAX), true);
                // What a failed write left half done is not in memory's picture of the tables: look anew. Where that fails too, the next try tells.
                let _ = reopen(root, &mut tables, log, runtime);
            }
        }
        if last {
            return Ok(());
        }
    }
}

fn reopen(root: &TableRoot, tables: &mut Tables, log: &DataLog, runtime: &Handle) -> Result<(), SinkError> {
    *tables = runtime.block_on(Tables::open(root, log.partitions()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
    use cloudigrade_pipeline::log::{Output, Task, TaskSpec, Txn};
    use cloudigrade_schemas::{Coverage, Topic, UtcSecond};

    use super::*;

    /// Longer than the test: only who ends catches up.
    const NEVER: Duration = Duration::from_secs(3600);

    fn extend(log: &DataLog, through: i64) {
        let coverage = Coverage { account_id: "1".into(), region: "r".into(), complete_through: UtcSecond(through) };
        let (key, value) = (coverage.to_key().into_bytes(), serde_json::to_vec(&coverage).unwrap());
        let output = Output { topic: Topic::Coverage, partition: 0, key, value, entered_at: UtcSecond(1) };
        log.open_task(TaskSpec::of_each("source"), &[]).unwrap().commit(Txn { outputs: vec![output], ..Txn::default() }).unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_that_keep_the_same_tables_both_start_and_both_end_without_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let log = DataLog::Embedded(EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap());
        let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
        let stop = CancellationToken::new();
        extend(&log, 1);
        let start = || tokio::spawn(start_one(root.clone(), log.clone(), stop.clone()));
        let (one, other) = (start(), start());
        let keepers = [one.await.unwrap(), other.await.unwrap()];
        // Both have this to write when they end, and one of them is not the first.
        extend(&log, 2);
        let ends = keepers.map(|keeper| tokio::task::spawn_blocking(|| keeper.finish()));
        for end in ends {
            end.await.unwrap().unwrap();
        }
        let (_, applied) = Tables::open_caught_up(&root, &log).await.unwrap();
        assert_eq!(applied.messages, 0);
    }

    async fn start_one(root: TableRoot, log: DataLog, stop: CancellationToken) -> TableKeeper {
        TableKeeper::start(root, log, NEVER, Readiness::default(), &stop).await.unwrap()
    }
}
