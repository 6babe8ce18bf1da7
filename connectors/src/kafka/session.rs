//! A transactional producer: all of a transaction's records and positions in Kafka, or nothing of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{LogError, TaskId};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::kafka::KafkaOptions;
use crate::kafka::client::{Deliveries, Landed};
use crate::kafka::failure::{self, Class, classify, is_refusal, passes};
use crate::kafka::pause::Pause;
use crate::kafka::settings;
use crate::limits as l;

const COMMITTING: &str = "committing to Kafka";

/// A record to send.
pub(super) struct Sending<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: u32,
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) millis: i64,
    pub(super) headers: Option<OwnedHeaders>,
    /// See [`Deliveries`].
    pub(super) number: usize,
}

/// Where a group goes on reading.
pub(super) struct Positions<'a> {
    pub(super) list: TopicPartitionList,
    pub(super) group: &'a ConsumerGroupMetadata,
}

/// Why a transaction did not come to its end.
pub(super) enum Failed {
    /// Nothing of it is in Kafka, and the session goes on.
    Aborted(String),
    /// The session is over.
    Over(LogError),
}

/// A producer with a transactional id. Whoever opens a session with the same id later ends this one.
///
/// After a transaction that was given up the next one begins in a session that is opened anew. The library counts on from the last record that it
/// knows of, so that a broker which has one more, of which the answer was lost, takes what comes next for a repetition of that: it says that it
/// has it, and it is aborted.
pub(super) struct Session {
    producer: BaseProducer<Deliveries>,
    config: ClientConfig,
    transactional_id: String,
    task: TaskId,
    /// A transaction was given up.
    is_stale: bool,
}

impl Session {
    /// Opens a session: aborts what a predecessor left open, waits for what it was committing, and fences it.
    pub(super) fn open(options: &KafkaOptions, transactional_id: &str, task: TaskId) -> Result<Self, LogError> {
        let config = settings::producer(options, transactional_id);
        let producer = Self::producer(&config, transactional_id)?;
        Ok(Self { producer, config, transactional_id: transactional_id.to_owned(), task, is_stale: false })
    }

    fn producer(config: &ClientConfig, transactional_id: &str) -> Result<BaseProducer<Deliveries>, LogError> {
        const DOING: &str = "opening a task's transactions";
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(Deliveries::default()).map_err(|error| failure::storage(DOING, &error))?;
        again(l::KAFKA_OPEN_MAX, |wait| producer.init_transactions(wait)).map_err(|error| match classify(&error) {
            // Somebody opens the same task at this moment.
            Class::Fenced => LogError::Retry { doing: DOING, cause: error.to_string() },
            _ => failure::about(format_args!("transactional id {transactional_id}"), failure::outside(DOING, None, &error)),
        })?;
        Ok(producer)
    }

    /// Makes records and positions durable together, and returns where those with a number landed.
    ///
    /// A commit without an answer is repeated until there is one, or until the transaction's time is over by far.
    pub(super) fn transact<'a>(
        &mut self,
        records: impl Iterator<Item = Sending<'a>>,
        positions: Option<&Positions<'_>>,
    ) -> Result<BTreeMap<usize, Landed>, Failed> {
        if self.is_stale {
            self.producer = Self::producer(&self.config, &self.transactional_id).map_err(|error| match error {
                LogError::Retry { cause, .. } => Failed::Aborted(cause),
                error => Failed::Over(error),
            })?;
            self.is_stale = false;
        }
        let done = self.transact_now(records, positions);
        self.is_stale = matches!(done, Err(Failed::Aborted(_)));
        done
    }

    fn transact_now<'a>(
        &self,
        records: impl Iterator<Item = Sending<'a>>,
        positions: Option<&Positions<'_>>,
    ) -> Result<BTreeMap<usize, Landed>, Failed> {
        self.producer.context().take();
        self.producer.begin_transaction().map_err(|error| self.over(&error))?;
        let landed = self.fill(records, positions).map_err(|error| self.give_up(&error))?;
        match again(l::KAFKA_COMMIT_MAX, |wait| self.producer.commit_transaction(wait)) {
            Ok(()) => Ok(landed),
            Err(error) => Err(match classify(&error) {
                // The broker stumbled over a successor that opens the session at this moment, or over the end of the transaction's time. To
                // abort is to ask again: it is refused where the transaction was committed.
                Class::Abort if failure::has_stumbled(&error) => match self.give_up(&error) {
                    told @ (Failed::Aborted(_) | Failed::Over(LogError::Fenced { .. })) => told,
                    Failed::Over(_) => Failed::Over(failure::unknown(&error)),
                },
                // Also what is to be aborted may have been committed, by a request whose answer was lost: only who opens the session anew
                // learns from Kafka what happened.
                Class::Abort | Class::Retriable => Failed::Over(failure::unknown(&error)),
                Class::Fenced | Class::Fatal => self.over(&error),
            }),
        }
    }

    /// Has records and positions in Kafka, all that is to be committed but for the word that it is.
    fn fill<'a>(
        &self,
        records: impl Iterator<Item = Sending<'a>>,
        positions: Option<&Positions<'_>>,
    ) -> KafkaResult<BTreeMap<usize, Landed>> {
        for record in records {
            self.send(record)?;
        }
        if let Some(Positions { list, group }) = positions {
            again(l::KAFKA_CALL_TIMEOUT, |wait| self.producer.send_offsets_to_transaction(list, group, wait))?;
        }
        self.settle(l::KAFKA_TRANSACTION_TIMEOUT)
    }

    /// Waits until it is known of all records where they landed, or of one that it failed: the others may then never be sent.
    ///
    /// In slices, since the library's wait for what became of records ends with its time, not with the news.
    fn settle(&self, limit: Duration) -> KafkaResult<BTreeMap<usize, Landed>> {
        let began = Instant::now();
        loop {
            let flushed = self.producer.flush(l::KAFKA_FLUSH_SLICE);
            if let Some(error) = self.producer.context().failure() {
                return Err(error);
            }
            if self.producer.context().refusal().is_some() {
                return Err(failure::refused());
            }
            match flushed {
                Ok(()) => return Ok(self.producer.context().take().landed),
                Err(error) if classify(&error) == Class::Retriable && began.elapsed() < limit => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Hands a record to the library, when it has room.
    fn send(&self, record: Sending<'_>) -> KafkaResult<()> {
        let began = Instant::now();
        let mut sending = BaseRecord::<[u8], [u8], usize>::with_opaque_to(record.topic, record.number)
            .partition(record.partition.cast_signed())
            .key(record.key)
            .payload(record.value)
            .timestamp(record.millis);
        sending.headers = record.headers;
        loop {
            match self.producer.send(sending) {
                Ok(()) => return Ok(()),
                Err((error, unsent)) if failure::lacks_room(&error) && began.elapsed() < l::KAFKA_TRANSACTION_TIMEOUT => {
                    sending = unsent;
                    self.producer.poll(l::KAFKA_QUEUE_WAIT);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Aborts, where the failure leaves something to abort.
    fn give_up(&self, error: &KafkaError) -> Failed {
        if matches!(classify(error), Class::Fenced) {
            return self.over(error);
        }
        let abort = |_| {
            // The library waits until it was heard what became of the records, and is heard only here.
            self.producer.poll(l::KAFKA_QUEUE_WAIT);
            self.producer.abort_transaction(l::KAFKA_ABORT_CALL)
        };
        // What is told of this transaction's records must not be taken for the next one's.
        let heard = || repeat(l::KAFKA_ABORT_MAX, steady(), |_| self.producer.flush(l::KAFKA_FLUSH_SLICE));
        let refusal = self.producer.context().refusal();
        // What the library tells of it may be a consequence.
        let refused = failure::refused();
        let error = if refusal.is_some() && !is_refusal(error) { &refused } else { error };
        // To abort takes a broker: one that is away is waited for, as a commit would wait.
        let limit = if passes(error) { l::KAFKA_COMMIT_MAX } else { l::KAFKA_ABORT_MAX };
        match repeat(limit, steady(), abort).and_then(|()| heard()) {
            Err(error) if classify(&error) == Class::Fenced => self.over(&error),
            // To poll the same records again would meet the same. Where nothing was let into the transaction, there is none to abort, which
            // fails.
            _ if is_refusal(error) => {
                let over = failure::storage(COMMITTING, error);
                Failed::Over(refusal.into_iter().fold(over, |over, reason| failure::about(reason, over)))
            }
            Ok(()) => Failed::Aborted(self.producer.context().failure().unwrap_or_else(|| error.clone()).to_string()),
            // After some failures the library waits for a new epoch for long. Opening the session anew aborts as well, at once.
            Err(again) if classify(&again) == Class::Retriable => Failed::Over(failure::storage(COMMITTING, error)),
            Err(error) => self.over(&error),
        }
    }

    fn over(&self, error: &KafkaError) -> Failed {
        Failed::Over(match classify(error) {
            Class::Fenced => LogError::Fenced { task: self.task },
            _ => failure::storage(COMMITTING, error),
        })
    }
}

/// Repeats a call while it may succeed: the same call, since what an earlier one did is not known.
pub(super) fn again<T>(limit: Duration, call: impl FnMut(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    repeat(limit, Pause::upto(l::KAFKA_RETRY_MAX), call)
}

/// The pause between calls that wait for the library, which is to be heard soon, and not for a broker.
fn steady() -> Pause {
    Pause::upto(l::KAFKA_RETRY_MIN)
}

fn repeat<T>(limit: Duration, mut pause: Pause, mut call: impl FnMut(Duration) -> KafkaResult<T>) -> KafkaResult<T> {
    let began = Instant::now();
    loop {
        let left = limit.saturating_sub(began.elapsed());
        match call(left.min(l::KAFKA_CALL_TIMEOUT).max(l::KAFKA_RETRY_MIN)) {
            Err(error) if classify(&error) == Class::Retriable && began.elapsed() < limit => {
                pause.wait(limit.saturating_sub(began.elapsed()));
            }
            answer => return answer,
        }
    }
}
