//! Where partitions end, and begin.
//!
//! A partition has two ends. The *written* end is behind all records, the *committed* end is before the first record of a transaction
//! that is still open. What was committed before a moment lies before the written end of that moment: who has read up to there missed
//! nothing.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::KafkaOptions;
use crate::kafka::client::Quiet;
use crate::kafka::failure::{self, Class, classify};
use crate::kafka::pause::Pause;
use crate::kafka::settings::{self, Sees};
use crate::limits as l;

/// A partition of a Kafka topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
}

/// Asks where partitions end.
pub(super) struct Ends {
    committed: BaseConsumer<Quiet>,
    written: BaseConsumer<Quiet>,
}

impl Ends {
    pub(super) fn new(options: &KafkaOptions, group: &str) -> KafkaResult<Self> {
        let client = |sees| settings::consumer(options, group, sees, l::KAFKA_FETCH_WAIT).create_with_context(Quiet);
        Ok(Self { committed: client(Sees::Committed)?, written: client(Sees::Written)? })
    }

    /// The committed ends of partitions, in their order.
    pub(super) fn committed(&self, places: &[Place]) -> KafkaResult<Vec<u64>> {
        offsets(&self.committed, places, Offset::End, l::KAFKA_UNDECIDED_MAX)
    }

    /// The written ends of partitions, in their order.
    pub(super) fn written(&self, places: &[Place]) -> KafkaResult<Vec<u64>> {
        offsets(&self.written, places, Offset::End, l::KAFKA_UNDECIDED_MAX)
    }

    /// Waits until brokers lead all of these partitions: they show topics that were just made before they do, and many take seconds.
    ///
    /// # Errors
    /// That of the last question, where it may yet succeed. What is refused is for whoever needs it to tell.
    pub(super) fn await_leaders(&self, places: &[Place]) -> KafkaResult<()> {
        match offsets(&self.written, places, Offset::End, l::KAFKA_OPEN_MAX) {
            Err(error) if classify(&error) == Class::Retriable => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Where partitions begin, in their order: what lay before was deleted.
    pub(super) fn begins(&self, places: &[Place]) -> KafkaResult<Vec<u64>> {
        offsets(&self.written, places, Offset::Beginning, l::KAFKA_UNDECIDED_MAX)
    }
}

/// Asks again for so long: who leads a partition changes, and is not known at once when it was just made.
fn offsets(client: &BaseConsumer<Quiet>, places: &[Place], which: Offset, patience: Duration) -> KafkaResult<Vec<u64>> {
    let (began, mut pause) = (Instant::now(), Pause::upto(l::KAFKA_RETRY_MAX));
    loop {
        match offsets_now(client, places, which) {
            Err(error) if classify(&error) == Class::Retriable => {
                look_anew(client);
                let left = patience.saturating_sub(began.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                pause.wait(left);
            }
            answer => return answer,
        }
    }
}

/// Has the library forget who led partitions. Of topics that nobody consumes with a client it asks by itself only once in a quarter of an hour,
/// so that what it heard in the middle of an election it would go on believing.
fn look_anew(client: &BaseConsumer<Quiet>) {
    if let Err(error) = client.fetch_metadata(None, l::KAFKA_CALL_TIMEOUT) {
        tracing::debug!(%error, "who leads partitions is not known anew");
    }
}

fn offsets_now(client: &BaseConsumer<Quiet>, places: &[Place], which: Offset) -> KafkaResult<Vec<u64>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(places.len());
    for place in places {
        // Which end stands where a question for a time would have the time.
        asked.add_partition_offset(&place.topic, place.partition, which)?;
    }
    let told = client.offsets_for_times(asked, l::KAFKA_CALL_TIMEOUT)?;
    let offset = |place: &Place| {
        let found = told.find_partition(&place.topic, place.partition).ok_or_else(failure::no_partition)?;
        found.error()?;
        match found.offset() {
            Offset::Offset(offset) => u64::try_from(offset).map_err(|_| failure::no_offset()),
            _ => Err(failure::no_offset()),
        }
    };
    places.iter().map(offset).collect()
}
