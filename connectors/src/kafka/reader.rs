//! Committed records of one partition from an offset on, without a task.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaResult;

use crate::kafka::KafkaOptions;
use crate::kafka::ends::Place;
use crate::kafka::settings::{self, Sees};
use crate::kafka::tail::{Arrived, Event, Tail};
use crate::limits as l;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All up to the given end was read.
    Complete,
    /// Whoever reads had enough.
    Full,
    /// The given end was not reached in time.
    Undecided,
}

/// How long a read waits for its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// While nothing comes.
    pub(super) without_progress: Duration,
    /// Once there is something to return.
    pub(super) with_records: Duration,
}

/// What is to be read.
#[derive(Clone, Copy)]
pub(super) struct Stretch<'a> {
    pub(super) place: &'a Place,
    pub(super) from: u64,
    /// The end that is to be reached. Records behind it are returned too.
    pub(super) upto: u64,
}

/// Consumers that read, kept for the next read: to connect anew each time would cost more than reading.
pub(super) struct Readers {
    options: KafkaOptions,
    group: String,
    idle: Mutex<Vec<Tail>>,
}

impl Readers {
    pub(super) fn new(options: &KafkaOptions, group: String) -> Self {
        Self { options: options.clone(), group, idle: Mutex::default() }
    }

    /// Gives `more` the records of a stretch in order, until it says no. Returns how that ended, and up to where it was read.
    pub(super) fn read(
        &self,
        stretch: Stretch<'_>,
        patience: Patience,
        mut more: impl FnMut(Arrived) -> bool,
    ) -> KafkaResult<(Ended, u64)> {
        let mut tail = self.take(stretch.place, stretch.from)?;
        let (mut last, mut limit) = (Instant::now(), patience.without_progress);
        let ended = loop {
            if tail.passed(0) >= stretch.upto {
                break Ended::Complete;
            }
            let wait = limit.saturating_sub(last.elapsed());
            if wait.is_zero() {
                break Ended::Undecided;
            }
            match tail.next(wait)? {
                Some(Event::Record(record)) => {
                    if !more(record) {
                        break Ended::Full;
                    }
                    (last, limit) = (Instant::now(), patience.with_records);
                }
                Some(Event::Progress | Event::Given(_) | Event::Taken) | None => {}
            }
        };
        let passed = tail.passed(0);
        if ended != Ended::Full {
            // At an end it would go on asking for more, for nobody.
            tail.stop()?;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < l::KAFKA_READERS_KEPT {
            idle.push(tail);
        }
        Ok((ended, passed))
    }

    /// The consumer that is at this place already, with what it fetched ahead; else another one, sent there.
    fn take(&self, place: &Place, from: u64) -> KafkaResult<Tail> {
        let is_there = |tail: &Tail| tail.progress().any(|(at, passed)| at == place && passed == from);
        let kept = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            match idle.iter().position(is_there) {
                Some(at) => return Ok(idle.remove(at)),
                // The one that was put back first.
                None if idle.is_empty() => None,
                None => Some(idle.remove(0)),
            }
        };
        let mut tail = match kept {
            Some(tail) => tail,
            None => {
                let config = settings::consumer(&self.options, &self.group, Sees::Committed, l::KAFKA_READER_FETCH_WAIT);
                Tail::new(&config)?
            }
        };
        tail.assign(vec![(place.clone(), from)])?;
        Ok(tail)
    }
}
