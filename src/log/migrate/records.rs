//! All records of a partition, one after the other.

use cloudigrade_pipeline::log::{Log, LogError, PollLimits, Position, Record};
use cloudigrade_schemas::Topic;

use crate::log::{DataLog, patiently};

/// The records of a partition from its beginning to its end, [`PollLimits`] of them in memory.
pub(super) struct Records<'a> {
    log: &'a DataLog,
    next: Position,
    read: std::vec::IntoIter<Record>,
}

impl<'a> Records<'a> {
    pub(super) fn of(log: &'a DataLog, topic: Topic, partition: u32) -> Self {
        Self { log, next: Position { topic, partition, offset: 0 }, read: Vec::new().into_iter() }
    }

    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Record>, LogError> {
        if self.read.as_slice().is_empty() {
            self.read = patiently(|| self.log.read(self.next, PollLimits::default()))?.into_iter();
        }
        let record = self.read.next();
        if let Some(record) = &record {
            self.next.offset = record.offset + 1;
        }
        Ok(record)
    }
}
