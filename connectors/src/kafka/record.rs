//! From records of the log to Kafka's and back.

use std::time::Duration;

use cloudigrade_pipeline::log::{LogError, PollLimits, Record, Txn};
use cloudigrade_schemas::{Topic, UtcSecond};

use crate::kafka::tail::Arrived;

/// First byte of a changelog's record that deletes its key. Kafka's own mark of a deletion is not used: compaction drops it after a while,
/// and a cache that is older than that would keep the key.
const DELETED: u8 = 0;
/// First byte of a changelog's record whose rest is the value.
const VALUE: u8 = 1;

/// A change of state as the value of a changelog's record.
pub(super) fn encode_change(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        Some(value) => [&[VALUE], value].concat(),
        None => vec![DELETED],
    }
}

/// Reads what [`encode_change`] wrote; `None` for anything else.
pub(super) fn decode_change(mut stored: Vec<u8>) -> Option<Option<Vec<u8>>> {
    match *stored.first()? {
        DELETED if stored.len() == 1 => Some(None),
        VALUE => {
            stored.remove(0);
            Some(Some(stored))
        }
        _ => None,
    }
}

/// Kafka's time of a record. To Kafka's library 0 means now, so the first second of 1970 is given as its first millisecond.
pub(super) fn millis(second: UtcSecond) -> Option<i64> {
    match second.0 {
        ..0 => None,
        0 => Some(1),
        second => second.checked_mul(1000),
    }
}

/// Holds a transaction against what Kafka can keep, beyond the limits of every log.
///
/// # Errors
/// [`LogError`], and nothing was sent.
pub(super) fn check(txn: &Txn) -> Result<(), LogError> {
    txn.check_limits()?;
    match txn.outputs.iter().find(|output| millis(output.entered_at).is_none()) {
        Some(output) => Err(LogError::Storage {
            doing: "committing to Kafka",
            cause: format!("a record of {} has a time that Kafka cannot keep: {} s before 1970", output.topic.name(), output.entered_at.0),
            help: "correct the clock of this machine",
        }),
        None => Ok(()),
    }
}

/// A record as read.
pub(super) fn record(topic: Topic, partition: u32, arrived: Arrived) -> Record {
    let Arrived { offset, key, value, millis, .. } = arrived;
    Record { topic, partition, offset, key, value, entered_at: UtcSecond(millis.div_euclid(1000)) }
}

/// What a poll may still return.
pub(super) struct Budget {
    records: usize,
    bytes: usize,
    pub(super) wait: Duration,
}

impl Budget {
    pub(super) fn new(limits: PollLimits) -> Self {
        Self { records: limits.records, bytes: limits.bytes, wait: limits.wait }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    pub(super) fn spend(&mut self, record: &Record) {
        self.records = self.records.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(record.key.len() + record.value.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_read_as_they_were_written_and_anything_else_is_damage() {
        for value in [None, Some(vec![]), Some(vec![DELETED]), Some(vec![9; 100])] {
            assert_eq!(decode_change(encode_change(value.as_deref())), Some(value));
        }
        for damaged in [vec![], vec![DELETED, 1], vec![7]] {
            assert_eq!(decode_change(damaged), None);
        }
    }

    #[test]
    fn times_come_back_as_they_were_given() {
        for second in [0, 1, 1_700_000_000] {
            assert_eq!(millis(UtcSecond(second)).unwrap().div_euclid(1000), second);
            assert_ne!(millis(UtcSecond(second)), Some(0));
        }
        assert_eq!(millis(UtcSecond(-1)), None);
    }
}
