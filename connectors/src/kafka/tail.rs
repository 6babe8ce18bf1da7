//! Partitions, read from given positions on, with how far each was read: also where only the marks of transactions or aborted records lie
//! between a record and the end.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::kafka::client::Quiet;
use crate::kafka::ends::Place;
use crate::kafka::events::{Happening, Message, Queue};
use crate::kafka::failure::{self, Code, Told, is_refusal_code};

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
    /// The group gives these partitions to this member, and no others. Nothing comes before [`Tail::assign`].
    Given(Vec<Place>),
    /// The group takes all partitions away, and waits until [`Tail::stop`].
    Taken,
}

/// A place with how far it was read.
struct Slot {
    place: Place,
    /// Nothing that can be read lies before this offset.
    passed: u64,
}

/// Partitions that are read.
pub(super) struct Tail {
    // Before the client, which it is of.
    queue: Queue,
    client: BaseConsumer<Quiet>,
    slots: Vec<Slot>,
    /// The group was heard, and waits for an answer. An answer before that is one too many: the library takes it for that of what is still to
    /// be heard, and waits for ever for one who hears that as the client is closed.
    owes_answer: bool,
    /// Where records were to be read that are not there any more.
    gone: Option<Place>,
}

impl Tail {
    /// A tail that reads what it is told to.
    pub(super) fn new(config: &ClientConfig) -> KafkaResult<Self> {
        let client: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
        Ok(Self { queue: Queue::of(&client)?, client, slots: Vec::new(), owes_answer: false, gone: None })
    }

    /// A tail that reads what its group gives it.
    pub(super) fn join(config: &ClientConfig, topics: &[String]) -> KafkaResult<Self> {
        let tail = Self::new(config)?;
        tail.client.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(tail)
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
        self.owes_answer = false;
        self.slots = from.into_iter().map(|(place, passed)| Slot { place, passed }).collect();
        Ok(())
    }

    /// Reads nothing any more, which is the answer to [`Event::Taken`].
    pub(super) fn stop(&mut self) -> KafkaResult<()> {
        self.slots.clear();
        self.owes_answer = false;
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

    /// The next event, or `None` when `wait` passed without one.
    pub(super) fn next(&mut self, wait: Duration) -> KafkaResult<Option<Event>> {
        let Some(happening) = self.queue.poll(wait) else { return Ok(None) };
        match happening {
            Happening::Message(message) => Ok(self.record(&message).map(Event::Record)),
            Happening::End { place, offset } => {
                if let Some(slot) = self.slots.iter_mut().find(|slot| slot.place == place) {
                    slot.passed = slot.passed.max(offset);
                }
                Ok(Some(Event::Progress))
            }
            Happening::Given(places) => {
                self.owes_answer = true;
                Ok(Some(Event::Given(places)))
            }
            Happening::Taken => {
                self.owes_answer = true;
                Ok(Some(Event::Taken))
            }
            Happening::Other => Ok(None),
            Happening::Error { code, reason, place } => match failure::told(code) {
                Told::GoesOn => Ok(None),
                Told::GoesOnOnceMended => {
                    tracing::warn!("Kafka: {reason}");
                    Ok(None)
                }
                Told::Over => Err(KafkaError::MessageConsumptionFatal(self.fatal(code))),
                Told::Failed => {
                    let error = KafkaError::MessageConsumption(code);
                    // An error of this kind has no place for words.
                    if is_refusal_code(code) {
                        tracing::warn!("Kafka: {reason}");
                    }
                    if failure::is_gone(&error) {
                        self.gone = place;
                    }
                    Err(error)
                }
            },
        }
    }

    /// Where records were to be read that are not there any more, after [`Self::next`] said that there is such a place.
    pub(super) fn gone(&self) -> Option<&Place> {
        self.gone.as_ref()
    }

    /// The right that is lacking, where the library told of one. For a tail that reads nothing yet: what else it has to tell is lost.
    pub(super) fn refusal(&self) -> Option<KafkaError> {
        while let Some(happening) = self.queue.poll(Duration::ZERO) {
            if let Happening::Error { code, reason, .. } = happening
                && is_refusal_code(code)
            {
                tracing::warn!("Kafka: {reason}");
                return Some(KafkaError::MessageConsumption(code));
            }
        }
        None
    }

    /// Why the client is of no more use.
    fn fatal(&self, told: Code) -> Code {
        self.client.client().fatal_error().map_or(told, |(code, _)| code)
    }

    fn record(&mut self, message: &Message) -> Option<Arrived> {
        let slot = self.slots.iter().position(|slot| message.is_of(&slot.place))?;
        let offset = message.offset()?;
        self.slots[slot].passed = self.slots[slot].passed.max(offset + 1);
        Some(Arrived { slot, offset, key: message.key(), value: message.value(), millis: message.millis() })
    }
}

impl Drop for Tail {
    /// What was heard is answered here, what was not is heard and answered as the client is closed: that waits until both are done.
    fn drop(&mut self) {
        if self.owes_answer
            && let Err(error) = self.stop()
        {
            tracing::warn!("Kafka: leaving a group: {error}");
        }
    }
}
