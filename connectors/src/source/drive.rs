//! Drives an operator: the same loop for an ingest, which ends, and for a server, which goes on until it is told to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloudigrade_pipeline::engine::{Counters, Operator, step};
use cloudigrade_pipeline::log::{LogError, PollLimits, Task, TaskSpec};
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

/// Folds until what the task reads is complete and it has caught up. `wait` is how long one poll waits for records before it looks whether
/// it may end; `folded` is told what each batch counted. What may succeed later is tried again for as long as more is to come, and once all
/// is complete for [`RETRY_LAST_MAX`].
///
/// # Errors
/// Those of [`step`]. What was committed stays.
pub fn drive<T: Task>(
    mut task: T,
    partitions: u32,
    operator: &dyn Operator,
    complete: &AtomicBool,
    wait: Duration,
    mut folded: impl FnMut(&Counters),
) -> Result<Counters, LogError> {
    let mut counters = Counters::default();
    let mut failing = None;
    loop {
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
