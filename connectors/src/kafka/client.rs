//! What all clients of Kafka share: their words go to our messages, and their records' fates to whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::kafka::failure::is_consequence;
use crate::limits as l;

pub(super) fn tell(level: Level, facility: &str, message: &str) {
    match level {
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => match noise(Instant::now()) {
            Some(0) => tracing::warn!(facility, "Kafka: {message}"),
            Some(unsaid) => tracing::warn!(facility, unsaid, "Kafka: {message}"),
            None => tracing::debug!(facility, "Kafka: {message}"),
        },
        Level::Warning | Level::Notice => tracing::info!(facility, "Kafka: {message}"),
        Level::Info | Level::Debug => tracing::debug!(facility, "Kafka: {message}"),
    }
}

/// Each thread of each client says that it cannot connect, several times a second: one of them is said. Gives how many were not, or nothing
/// where this is not to be.
fn noise(now: Instant) -> Option<u64> {
    static SAID: Mutex<Option<(Instant, u64)>> = Mutex::new(None);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *said {
        Some((at, unsaid)) if now.duration_since(*at) < l::KAFKA_SAID_AGAIN => {
            *unsaid += 1;
            None
        }
        before => {
            let unsaid = before.map_or(0, |(_, unsaid)| unsaid);
            *before = Some((now, 0));
            Some(unsaid)
        }
    }
}

fn tell_error(error: &KafkaError, reason: &str) {
    // The library goes on by itself; what it cannot mend is the answer to a call.
    tracing::info!("Kafka: {error}: {reason}");
}

/// A client without callbacks of its own.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: Level, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tell_error(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Where records landed that were sent with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Landed {
    /// Offset of the first.
    pub(super) first: u64,
    /// Offset of the last.
    pub(super) last: u64,
    /// How many.
    pub(super) count: u64,
}

impl Landed {
    /// Whether nobody else's records lie between.
    pub(super) fn is_contiguous(self) -> bool {
        self.last - self.first + 1 == self.count
    }
}

/// A producer's client: keeps where records landed, by the number that they were sent with, and the first failure.
#[derive(Default)]
pub(super) struct Deliveries(Mutex<Told>);

/// What was told of the records of a transaction.
#[derive(Default)]
pub(super) struct Told {
    pub(super) landed: BTreeMap<usize, Landed>,
    pub(super) failed: Option<KafkaError>,
    /// Why the library gave the transaction up.
    given_up: Option<String>,
    /// Which partition it could not make part of it.
    left_out: Option<String>,
}

/// The number of records whose place nobody asks for.
pub(super) const UNTRACKED: usize = usize::MAX;

impl Deliveries {
    /// The first failure of a record, if there is one.
    pub(super) fn failure(&self) -> Option<KafkaError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed.clone()
    }

    /// Why the library gave the transaction up, where that is for the lack of a right.
    pub(super) fn refusal(&self) -> Option<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let given_up = told.given_up.as_ref().filter(|reason| reason.contains("AUTHORIZATION_FAILED"))?;
        Some(told.left_out.as_ref().unwrap_or(given_up).clone())
    }

    /// What was kept, which is forgotten.
    pub(super) fn take(&self) -> Told {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the library says why it gave a transaction up: nothing else tells while it waits for what was sent.
const TRANSACTION_FAILED: &str = "TXNERR";
/// Where it says which partition it could not make part of one.
const PARTITION_LEFT_OUT: &str = "ADDPARTS";

impl ClientContext for Deliveries {
    fn log(&self, level: Level, facility: &str, message: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match facility {
            TRANSACTION_FAILED => told.given_up = Some(message.to_owned()),
            PARTITION_LEFT_OUT if told.left_out.is_none() => told.left_out = Some(message.to_owned()),
            _ => {}
        }
        drop(told);
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tell_error(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let message = match result {
            Ok(message) => message,
            Err((error, _)) => {
                // That others are thrown away for it says less than the failure itself.
                if told.failed.as_ref().is_none_or(is_consequence) {
                    told.failed = Some(error.clone());
                }
                return;
            }
        };
        let Ok(offset) = u64::try_from(message.offset()) else { return };
        if number == UNTRACKED {
            return;
        }
        let place = told.landed.entry(number).or_insert(Landed { first: offset, last: offset, count: 0 });
        place.first = place.first.min(offset);
        place.last = place.last.max(offset);
        place.count += 1;
    }
}
