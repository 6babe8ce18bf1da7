//! Partitions, read from given positions on, with how far each was read: also where only the marks of transactions or aborted records lie
//! between a record and the end.

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::bindings as ffi;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::client::Quiet;
use crate::kafka::ends::Place;

/// A record as Kafka has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Which of the tail's places it is of.
    pub(super) slot: usize,
    pub(super) offset: u64,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// Its time, in milliseconds since 1970.
    pub(super) millis: i64,
}

/// What a look brought.
pub(super) enum Event {
    Record(Arrived),
    /// Some partition was read to its end.
    Progress,
}

/// A place with how far it was read.
struct Slot {
    place: Place,
    /// Nothing that can be read lies before this offset.
    passed: u64,
}

/// Partitions that are read.
pub(super) struct Tail {
    client: BaseConsumer<Quiet>,
    slots: Vec<Slot>,
}

impl Tail {
    pub(super) fn new(client: BaseConsumer<Quiet>) -> Self {
        Self { client, slots: Vec::new() }
    }

    pub(super) fn client(&self) -> &BaseConsumer<Quiet> {
        &self.client
    }

    /// Reads these places from these offsets on, and no others. What was fetched before is thrown away.
    pub(super) fn assign(&mut self, from: Vec<(Place, u64)>) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (place, offset) in &from {
            list.add_partition_offset(&place.topic, place.partition, Offset::Offset(offset.cast_signed()))?;
        }
        self.slots.clear();
        self.client.assign(&list)?;
        self.slots = from.into_iter().map(|(place, passed)| Slot { place, passed }).collect();
        Ok(())
    }

    /// Reads nothing any more.
    pub(super) fn stop(&mut self) -> KafkaResult<()> {
        self.slots.clear();
        self.client.unassign()
    }

    /// Up to where a place was read.
    pub(super) fn passed(&self, slot: usize) -> u64 {
        self.slots.get(slot).map_or(0, |slot| slot.passed)
    }

    /// All places with up to where they were read.
    pub(super) fn progress(&self) -> impl Iterator<Item = (&Place, u64)> {
        self.slots.iter().map(|slot| (&slot.place, slot.passed))
    }

    /// A place that was not read up to its end yet.
    pub(super) fn short_of<'a>(&'a self, ends: &[u64]) -> Option<&'a Place> {
        self.slots.iter().zip(ends).find(|(slot, end)| slot.passed < **end).map(|(slot, _)| &slot.place)
    }

    /// The next record or end, or `None` when `wait` passed without one.
    pub(super) fn next(&mut self, wait: Duration) -> KafkaResult<Option<Event>> {
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is alive for the call, and the library's functions may be called from any thread. What is returned is null or a
        // message that is ours until it is destroyed, which `Owned` does.
        let Some(message) = Owned::new(unsafe { ffi::rd_kafka_consumer_poll(self.client.client().native_ptr(), wait) }) else {
            return Ok(None);
        };
        match message.code() {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(self.record(&message).map(Event::Record)),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                let end = u64::try_from(message.offset()).unwrap_or(0);
                if let Some(slot) = self.slot_of(&message) {
                    self.slots[slot].passed = self.slots[slot].passed.max(end);
                }
                Ok(Some(Event::Progress))
            }
            code => match Code::from(code) {
                // The library tells that it is cut off, and goes on trying.
                Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve | Code::OperationTimedOut => Ok(None),
                code => Err(KafkaError::MessageConsumption(code)),
            },
        }
    }

    fn slot_of(&self, message: &Owned) -> Option<usize> {
        let (topic, partition) = (message.topic()?, message.partition());
        self.slots.iter().position(|slot| slot.place.partition == partition && slot.place.topic.as_bytes() == topic)
    }

    fn record(&mut self, message: &Owned) -> Option<Arrived> {
        let slot = self.slot_of(message)?;
        let offset = u64::try_from(message.offset()).ok()?;
        self.slots[slot].passed = self.slots[slot].passed.max(offset + 1);
        Some(Arrived { slot, offset, key: message.key(), value: message.value(), millis: message.millis() })
    }
}

/// A message of the library that is ours to destroy.
///
/// The library's own wrapper for Rust gives the partition of an end without topic and offset, so messages are read here.
struct Owned(std::ptr::NonNull<ffi::rd_kafka_message_t>);

impl Owned {
    fn new(message: *mut ffi::rd_kafka_message_t) -> Option<Self> {
        std::ptr::NonNull::new(message).map(Self)
    }

    fn message(&self) -> &ffi::rd_kafka_message_t {
        // SAFETY: it is not null, was given by the library, and lives until `drop`.
        unsafe { self.0.as_ref() }
    }

    fn code(&self) -> RDKafkaRespErr {
        self.message().err
    }

    fn partition(&self) -> i32 {
        self.message().partition
    }

    fn offset(&self) -> i64 {
        self.message().offset
    }

    fn topic(&self) -> Option<&[u8]> {
        let topic = self.message().rkt;
        if topic.is_null() {
            return None;
        }
        // SAFETY: the topic lives as long as the message, and its name is a string that ends with a null.
        Some(unsafe { CStr::from_ptr(ffi::rd_kafka_topic_name(topic)) }.to_bytes())
    }

    fn key(&self) -> Vec<u8> {
        let message = self.message();
        // SAFETY: key and length are those of one allocation of the message, which lives.
        unsafe { copy(message.key, message.key_len) }
    }

    fn value(&self) -> Vec<u8> {
        let message = self.message();
        // SAFETY: payload and length are those of one allocation of the message, which lives.
        unsafe { copy(message.payload, message.len) }
    }

    fn millis(&self) -> i64 {
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives, and `kind` is where its kind of time is written to.
        unsafe { ffi::rd_kafka_message_timestamp(self.0.as_ptr(), &raw mut kind) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it was given to us by the library, and nothing of it is used after this.
        unsafe { ffi::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// Copies bytes; none where there are none.
///
/// # Safety
/// `bytes` is null, or `length` bytes can be read there.
unsafe fn copy(bytes: *const std::ffi::c_void, length: usize) -> Vec<u8> {
    if bytes.is_null() || length == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) }.to_vec()
}
