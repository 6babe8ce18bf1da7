//! What a consumer's queue brings: records, ends of partitions, and the group's word of which partitions are whose.
//!
//! The library's own wrapper for Rust gives the end of a partition without topic and offset, and answers the group by itself; so the queue is
//! read here.

use std::ffi::CStr;
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as ffi;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr as Native;

use crate::kafka::client::Quiet;
use crate::kafka::ends::Place;
use crate::kafka::failure::Code;

/// A consumer's queue.
pub(super) struct Queue(NonNull<ffi::rd_kafka_queue_t>);

// SAFETY: the library's queues may be used from any thread.
unsafe impl Send for Queue {}

/// What happened.
pub(super) enum Happening {
    /// A record came.
    Message(Message),
    /// A partition was read to its end.
    End { place: Place, offset: u64 },
    /// The group gives partitions.
    Given(Vec<Place>),
    /// The group takes all partitions.
    Taken,
    /// Something failed; with what the library says of it, and the partition where it is of one.
    Error { code: Code, reason: String, place: Option<Place> },
    /// Nothing that matters here.
    Other,
}

impl Queue {
    /// The queue of a consumer with a group.
    pub(super) fn of(client: &BaseConsumer<Quiet>) -> KafkaResult<Self> {
        // SAFETY: the client is alive for the call; what is returned is null or a reference that is ours until it is destroyed.
        let queue = unsafe { ffi::rd_kafka_queue_get_consumer(client.client().native_ptr()) };
        NonNull::new(queue).map(Self).ok_or_else(|| KafkaError::ClientCreation("the consumer has no queue".to_owned()))
    }

    /// A queue of its own, for answers.
    pub(super) fn fresh(client: &Client<Quiet>) -> KafkaResult<Self> {
        // SAFETY: the client is alive for the call; what is returned is null or a queue that is ours until it is destroyed.
        let queue = unsafe { ffi::rd_kafka_queue_new(client.native_ptr()) };
        NonNull::new(queue).map(Self).ok_or_else(|| KafkaError::ClientCreation("there is no queue for answers".to_owned()))
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::rd_kafka_queue_t {
        self.0.as_ptr()
    }

    /// The next event, or `None` when `wait` passed without one.
    pub(super) fn next(&self, wait: Duration) -> Option<Event> {
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is ours and not destroyed; what is returned is null or an event that is ours.
        NonNull::new(unsafe { ffi::rd_kafka_queue_poll(self.0.as_ptr(), wait) }).map(Event)
    }

    /// What comes next, or `None` when `wait` passed without anything.
    pub(super) fn poll(&self, wait: Duration) -> Option<Happening> {
        let event = self.next(wait)?;
        Some(match event.kind() {
            ffi::RD_KAFKA_EVENT_FETCH => Message::of(event).map_or(Happening::Other, Happening::Message),
            ffi::RD_KAFKA_EVENT_REBALANCE => match event.error() {
                Native::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Happening::Given(event.places()),
                // Whatever else is told of the division: it does not hold any more.
                _ => Happening::Taken,
            },
            ffi::RD_KAFKA_EVENT_ERROR => match event.error() {
                Native::RD_KAFKA_RESP_ERR__PARTITION_EOF => {
                    event.end().map_or(Happening::Other, |(place, offset)| Happening::End { place, offset })
                }
                error => {
                    let place = event.end().map(|(place, _)| place);
                    Happening::Error { code: Code::from(error), reason: event.reason(), place }
                }
            },
            _ => Happening::Other,
        })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and not used after this.
        unsafe { ffi::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// An event that is ours to destroy.
pub(super) struct Event(NonNull<ffi::rd_kafka_event_t>);

impl Event {
    pub(super) fn as_ptr(&self) -> *mut ffi::rd_kafka_event_t {
        self.0.as_ptr()
    }

    pub(super) fn kind(&self) -> i32 {
        // SAFETY: the event lives until `drop`.
        unsafe { ffi::rd_kafka_event_type(self.0.as_ptr()) }
    }

    pub(super) fn error(&self) -> Native {
        // SAFETY: the event lives until `drop`.
        unsafe { ffi::rd_kafka_event_error(self.0.as_ptr()) }
    }

    /// What the library says of an error.
    fn reason(&self) -> String {
        // SAFETY: the event lives until `drop`.
        let reason = unsafe { ffi::rd_kafka_event_error_string(self.0.as_ptr()) };
        if reason.is_null() {
            return String::new();
        }
        // SAFETY: it is a string that ends with a null, and lives as long as the event.
        unsafe { CStr::from_ptr(reason) }.to_string_lossy().into_owned()
    }

    /// The partitions of a rebalance.
    fn places(&self) -> Vec<Place> {
        // SAFETY: the event lives until `drop`; the list is null or the event's.
        let Some(list) = (unsafe { ffi::rd_kafka_event_topic_partition_list(self.0.as_ptr()).as_ref() }) else { return Vec::new() };
        let count = usize::try_from(list.cnt).unwrap_or(0);
        if list.elems.is_null() || count == 0 {
            return Vec::new();
        }
        // SAFETY: the list has `cnt` elements, which live as long as the event.
        let elements = unsafe { std::slice::from_raw_parts(list.elems, count) };
        elements.iter().map(place).collect()
    }

    /// The partition that an event of this kind is of, and where in it; its end, where that is what the event tells.
    fn end(&self) -> Option<(Place, u64)> {
        // SAFETY: the event lives until `drop`; what is returned is null or ours to destroy.
        let told = NonNull::new(unsafe { ffi::rd_kafka_event_topic_partition(self.0.as_ptr()) })?;
        // SAFETY: it is not null, and destroyed only below.
        let found = unsafe { (place(told.as_ref()), told.as_ref().offset) };
        // SAFETY: it is ours, and nothing of it is used after this.
        unsafe { ffi::rd_kafka_topic_partition_destroy(told.as_ptr()) };
        Some((found.0, u64::try_from(found.1).unwrap_or(0)))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was given to us, and nothing of it is used after this.
        unsafe { ffi::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

fn place(told: &ffi::rd_kafka_topic_partition_t) -> Place {
    // SAFETY: the library's names of topics are strings that end with a null, and live as long as what names them.
    let topic = unsafe { CStr::from_ptr(told.topic) };
    Place { topic: topic.to_string_lossy().into_owned(), partition: told.partition }
}

/// A record, with the event that it is of.
pub(super) struct Message {
    message: NonNull<ffi::rd_kafka_message_t>,
    _event: Event,
}

impl Message {
    fn of(event: Event) -> Option<Self> {
        // SAFETY: the event lives; the message is null or lives as long as the event, which is kept beside it.
        let message = NonNull::new(unsafe { ffi::rd_kafka_event_message_next(event.0.as_ptr()) }.cast_mut())?;
        Some(Self { message, _event: event })
    }

    fn message(&self) -> &ffi::rd_kafka_message_t {
        // SAFETY: the message lives as long as the event beside it.
        unsafe { self.message.as_ref() }
    }

    /// Whether it is of this place.
    pub(super) fn is_of(&self, place: &Place) -> bool {
        let message = self.message();
        if message.partition != place.partition || message.rkt.is_null() {
            return false;
        }
        // SAFETY: the topic lives as long as the message, and its name is a string that ends with a null.
        unsafe { CStr::from_ptr(ffi::rd_kafka_topic_name(message.rkt)) }.to_bytes() == place.topic.as_bytes()
    }

    pub(super) fn offset(&self) -> Option<u64> {
        u64::try_from(self.message().offset).ok()
    }

    pub(super) fn key(&self) -> Vec<u8> {
        let message = self.message();
        // SAFETY: key and length are those of one allocation of the message, which lives.
        unsafe { copy(message.key, message.key_len) }
    }

    pub(super) fn value(&self) -> Vec<u8> {
        let message = self.message();
        // SAFETY: payload and length are those of one allocation of the message, which lives.
        unsafe { copy(message.payload, message.len) }
    }

    /// Its time, in milliseconds since 1970.
    pub(super) fn millis(&self) -> i64 {
        let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives, and `kind` is where its kind of time is written to.
        unsafe { ffi::rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) }
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
