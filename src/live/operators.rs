//! The operators' threads while serving: each folds what arrives until what it reads is complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::log::DataLog;
use cloudigrade_connectors::source::drive::{ACCOUNTS, EXTRACT, IMAGE_TAGS, IMAGES, INTERVALS, SIGHTINGS, drive};
use cloudigrade_pipeline::engine::{Counters, Operator};
use cloudigrade_pipeline::log::{Log, LogError, TaskSpec};
use cloudigrade_pipeline::operators::{Accounts, Extract, ImageTags, Images, Intervals, Sightings};
use tokio_util::sync::CancellationToken;

/// How long an operator waits for records before it looks whether it may end. Records wake it at once.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The tasks of all operators.
pub const TASKS: [TaskSpec; 6] = [EXTRACT, INTERVALS, IMAGE_TAGS, SIGHTINGS, IMAGES, ACCOUNTS];

/// Running operators.
pub struct Operators {
    source_done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<Counters, LogError>>>,
}

/// Says that what a thread makes is complete, however the thread ends: whoever waits for it ends too.
struct Completes(Arc<AtomicBool>);

impl Drop for Completes {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Operators {
    /// Starts all of them. When one ends, also by a panic, `stop` is cancelled: the others would wait for what does not come.
    ///
    /// # Errors
    /// Those of opening tasks, and [`LogError::Storage`] when the system gives no thread.
    pub fn start(log: &DataLog, stop: &CancellationToken) -> Result<Self, LogError> {
        let source_done = Arc::new(AtomicBool::new(false));
        let extract_done = Arc::new(AtomicBool::new(false));
        let image_facts_done = Arc::new(AtomicBool::new(false));
        let extracted = Completes(Arc::clone(&extract_done));
        // Complete when all that tell of images have ended.
        let image_facts = Arc::new(Completes(Arc::clone(&image_facts_done)));
        let threads = vec![
            start(log, EXTRACT, Extract, &source_done, extracted, stop)?,
            start(log, INTERVALS, Intervals, &extract_done, (), stop)?,
            start(log, IMAGE_TAGS, ImageTags, &extract_done, Arc::clone(&image_facts), stop)?,
            start(log, SIGHTINGS, Sightings, &extract_done, image_facts, stop)?,
            start(log, IMAGES, Images, &image_facts_done, (), stop)?,
            start(log, ACCOUNTS, Accounts, &source_done, (), stop)?,
        ];
        Ok(Self { source_done, threads })
    }

    /// Says that nothing more enters the log, and waits until all is folded. Returns the first failure.
    ///
    /// # Errors
    /// That of an operator.
    pub fn finish(self) -> Result<(), LogError> {
        self.source_done.store(true, Ordering::Release);
        let ended = self.threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Vec<_>>().into_iter().try_for_each(|ended| ended.map(drop))
    }
}

/// Starts one operator. `completes` is held until it ends.
fn start(
    log: &DataLog,
    spec: TaskSpec,
    operator: impl Operator + 'static,
    complete: &Arc<AtomicBool>,
    completes: impl Send + 'static,
    stop: &CancellationToken,
) -> Result<JoinHandle<Result<Counters, LogError>>, LogError> {
    let partitions = log.partitions();
    let all: Vec<u32> = (0..partitions).collect();
    let task = log.open_task(spec, &all)?;
    let complete = Arc::clone(complete);
    let ends = stop.clone().drop_guard();
    let run = move || {
        let (_completes, _ends) = (completes, ends);
        let counted = |counters: &Counters| {
            for (name, n) in counters.iter() {
                metrics::counter!("cloudigrade_op_counted_total", "what" => name).increment(n);
            }
        };
        drive(task, spec.id, partitions, &operator, &complete, LOOK_EVERY, counted)
            .inspect_err(|error| tracing::error!(%error, operator = spec.id.0, "an operator failed"))
    };
    std::thread::Builder::new().name(spec.id.0.to_owned()).spawn(run).map_err(|error| LogError::Storage {
        doing: "starting the thread of an operator",
        cause: error.to_string(),
        help: "raise the limit of processes (ulimit -u)",
    })
}
