//! How many records tasks have not consumed yet.

use std::collections::BTreeMap;

use cloudigrade_pipeline::log::{LogError, Position, TaskId, TaskSpec};
use cloudigrade_schemas::Topic;

use super::DataLog;

/// Offsets between a position and an end that may be marks of transactions alone, so that it is worth looking.
const MARKS_MAX: u64 = 4;

/// Measures lags, again and again.
#[derive(Debug, Default)]
pub struct Lags {
    /// Of each task's partition the position and the end between which there was no record when that was looked at.
    empty: BTreeMap<(TaskId, Topic, u32), (u64, u64)>,
}

impl Lags {
    /// How many records a task has not consumed yet. On Kafka marks of transactions count among them while there are records.
    ///
    /// # Errors
    /// [`LogError::Retry`] or [`LogError::Storage`].
    pub fn of(&mut self, log: &DataLog, spec: TaskSpec) -> Result<u64, LogError> {
        let positions = log.positions(spec)?;
        let mut behind = 0;
        for &topic in spec.inputs {
            for (partition, end) in (0..).zip(log.ends(topic)?) {
                let known = positions.iter().find(|position| position.topic == topic && position.partition == partition);
                let position = known.copied().unwrap_or(Position { topic, partition, offset: 0 });
                behind += self.of_partition(log, spec.id, position, end)?;
            }
        }
        Ok(behind)
    }

    fn of_partition(&mut self, log: &DataLog, task: TaskId, position: Position, end: u64) -> Result<u64, LogError> {
        let behind = end.saturating_sub(position.offset);
        let place = (task, position.topic, position.partition);
        if behind == 0 || behind > MARKS_MAX || !log.is_shared() {
            return Ok(behind);
        }
        if self.empty.get(&place) == Some(&(position.offset, end)) {
            return Ok(0);
        }
        if log.is_consumed(position, end)? {
            self.empty.insert(place, (position.offset, end));
            return Ok(0);
        }
        Ok(behind)
    }
}
