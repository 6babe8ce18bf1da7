//! Where partitions end.
//!
//! A partition has two ends. The *written* end is behind all records, the *committed* end is before the first record of a transaction
//! that is still open. What was committed before a moment lies before the written end of that moment: who has read up to there missed
//! nothing.

use std::thread::sleep;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::KafkaOptions;
use crate::kafka::client::Quiet;
use crate::kafka::failure::{Class, classify};
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
        ends(&self.committed, places)
    }

    /// The written ends of partitions, in their order.
    pub(super) fn written(&self, places: &[Place]) -> KafkaResult<Vec<u64>> {
        ends(&self.written, places)
    }
}

/// Asks again for a moment: who leads a partition changes, and is not known at once when it was just made.
fn ends(client: &BaseConsumer<Quiet>, places: &[Place]) -> KafkaResult<Vec<u64>> {
    let began = Instant::now();
    loop {
        match ends_now(client, places) {
            Err(error) if classify(&error) == Class::Retriable && began.elapsed() < l::KAFKA_UNDECIDED_MAX => sleep(l::KAFKA_RETRY_MIN),
            answer => return answer,
        }
    }
}

fn ends_now(client: &BaseConsumer<Quiet>, places: &[Place]) -> KafkaResult<Vec<u64>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(places.len());
    for place in places {
        // The end stands where a question for a time would have the time.
        asked.add_partition_offset(&place.topic, place.partition, Offset::End)?;
    }
    let told = client.offsets_for_times(asked, l::KAFKA_CALL_TIMEOUT)?;
    let end = |place: &Place| {
        let found =
            told.find_partition(&place.topic, place.partition).ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
        found.error()?;
        match found.offset() {
            Offset::Offset(end) => u64::try_from(end).map_err(|_| KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable)),
            _ => Err(KafkaError::OffsetFetch(RDKafkaErrorCode::OffsetNotAvailable)),
        }
    };
    places.iter().map(end).collect()
}
