//! Moving a log to another one: records, state and positions, in a way that can be broken off anywhere and gone on with.
//!
//! Nothing here keeps how far it came. What is in the other log already is read and held against this one; the rest is appended. So to repeat
//! it is to check it. Offsets differ between logs: what is the same is how many records of a partition lie before a position.

mod copy;
mod digest;
mod progress;
mod records;
#[cfg(test)]
mod tests;

use cloudigrade_pipeline::log::{LogError, Store, TaskSpec};
use cloudigrade_schemas::Topic;

pub use self::digest::{LogDigest, Part, digest};
pub use self::progress::{Progress, Step};
use super::{DataLog, stores};
use crate::live::operators::TASKS;

/// Why a log was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The other log does not hold the beginning of this one.
    #[error(
        "partition {partition} of {topic} is not the beginning of what is to be moved, at offset {offset} there: this log was used since the \
         move began, or somebody else wrote there; delete the topics there, or use another prefix (kafka.prefix), and move it anew",
        topic = topic.name()
    )]
    Differs {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: u32,
        /// The offset in the other log.
        offset: u64,
    },
    /// Either log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// All stores that a log may have.
pub fn all_stores() -> Vec<Store> {
    stores::all()
}

/// All tasks that have positions.
pub fn all_tasks() -> Vec<TaskSpec> {
    TASKS.into_iter().chain([cloudigrade_inspect::TASK]).collect()
}

/// Has another log hold what this one holds.
///
/// # Errors
/// [`MoveError`]. To call it again goes on.
pub fn copy(from: &DataLog, to: &DataLog, progress: &Progress) -> Result<(), MoveError> {
    copy::records(from, to, progress)?;
    copy::state(from, to, &all_stores(), progress)?;
    copy::positions(from, to, &all_tasks(), progress)
}
