//! The sink's loop while serving: the tables follow the log at a bounded distance.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cloudigrade_connectors::source::Readiness;
use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::sink::{SinkError, TableRoot, Tables};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::data::now;
use crate::heap;

/// How long a failed catch-up waits before it is tried again, at first; doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// How long it waits at most.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The name under which readiness knows the tables.
const PART: &str = "tables";

/// The thread that keeps the tables.
pub struct TableKeeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), SinkError>>,
}

impl TableKeeper {
    /// Opens the tables and starts keeping them. A storage that fails is tried again; meanwhile the log keeps all. When the thread ends, also
    /// by a panic, `stop` is cancelled.
    ///
    /// # Errors
    /// Any [`SinkError`] of opening them.
    pub async fn start(
        root: TableRoot,
        log: EmbeddedLog,
        every: Duration,
        readiness: Readiness,
        stop_all: &CancellationToken,
    ) -> Result<Self, SinkError> {
        let mut tables = Tables::open(&root, log.partitions()).await?;
        tables.catch_up(&log).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let runtime = Handle::current();
        let ends = stop_all.clone().drop_guard();
        let keep = move || {
            let _ends = ends;
            keep(&root, tables, &log, every, &readiness, &told, &runtime)
        };
        let thread = std::thread::Builder::new().name("tables".to_owned()).spawn(keep);
        let thread = thread.map_err(|error| SinkError::Storage {
            doing: "starting the thread that keeps",
            table: "all tables",
            cause: error.to_string(),
        })?;
        Ok(Self { stop, thread })
    }

    /// Brings the tables up to date once more and ends.
    ///
    /// # Errors
    /// The failure of that last catch-up: the log has all, and the next start writes it.
    pub fn finish(self) -> Result<(), SinkError> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn keep(
    root: &TableRoot,
    mut tables: Tables,
    log: &EmbeddedLog,
    every: Duration,
    readiness: &Readiness,
    stop: &AtomicBool,
    runtime: &Handle,
) -> Result<(), SinkError> {
    let mut pause = every;
    loop {
        std::thread::park_timeout(pause);
        let last = stop.load(Ordering::Acquire);
        let started = Instant::now();
        let applied = runtime.block_on(tables.catch_up(log));
        // Writing tables takes much memory for a moment, again and again.
        heap::give_back();
        match applied {
            Ok(applied) => {
                readiness.works(PART);
                metrics::counter!("cloudigrade_table_messages_total").increment(applied.messages);
                metrics::counter!("cloudigrade_table_commits_total").increment(applied.commits);
                metrics::histogram!("cloudigrade_table_catch_up_seconds").record(started.elapsed().as_secs_f64());
                pause = every;
            }
            Err(error) if last => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "the tables could not be written; they are tried again");
                readiness.report(
                    PART,
                    "behind",
                    PART,
                    format!("{error}; nothing is lost: the log keeps all, and the tables follow when this is mended"),
                    now(),
                );
                pause = (pause * 2).clamp(RETRY_FIRST, RETRY_MAX);
                // What a failed write left half done is not in memory's picture of the tables: look anew.
                if let Ok(opened) = runtime.block_on(Tables::open(root, log.partitions())) {
                    tables = opened;
                }
            }
        }
        if last {
            return Ok(());
        }
    }
}
