//! Leading: what only one of several processes is to do, one of them does at a time.
//!
//! A group of Kafka decides, by whom it gives the one partition of the register to. It is no fence: who was away for long learns late that
//! another leads. So it is for what does no harm when two do it for a moment.

use std::thread::sleep;

use cloudigrade_pipeline::log::{LogError, TaskId};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::kafka::KafkaLog;
use crate::kafka::ends::Place;
use crate::kafka::failure::{self, Class, classify};
use crate::kafka::settings;
use crate::kafka::tail::{Event, Tail};
use crate::limits as l;

impl KafkaLog {
    /// Takes part in who leads, for as long as `goes_on` says. `tell` hears of each change; in the end it does not lead.
    ///
    /// # Errors
    /// [`LogError::Fenced`] where another process has this one's name, and [`LogError::Storage`]. That Kafka is away for a while is none.
    pub fn lead(&self, in_what: TaskId, goes_on: &dyn Fn() -> bool, tell: &mut dyn FnMut(bool)) -> Result<(), LogError> {
        const DOING: &str = "taking part in who leads";
        loop {
            let ended = self.lead_once(in_what, goes_on, tell);
            tell(false);
            match ended {
                Ok(()) => return Ok(()),
                Err(error) if matches!(classify(&error), Class::Retriable | Class::Abort) && goes_on() => {
                    tracing::warn!(%error, "who leads is not known; it is asked again");
                    sleep(l::KAFKA_RETRY_MAX);
                }
                Err(error) => return Err(failure::outside(DOING, Some(in_what), &error)),
            }
        }
    }

    fn lead_once(&self, in_what: TaskId, goes_on: &dyn Fn() -> bool, tell: &mut dyn FnMut(bool)) -> KafkaResult<()> {
        let names = &self.shared.names;
        let mut tail = Tail::join(&settings::member(&self.shared.options, &names.group(in_what)), &[names.register()])?;
        while goes_on() {
            match tail.next(l::KAFKA_LEAD_LOOK)? {
                Some(Event::Given(places)) => {
                    let leads = !places.is_empty();
                    // From the end on: what the register says is not for us.
                    let ends = self.shared.ends.written(&places)?;
                    tail.assign(places.into_iter().zip(ends).collect::<Vec<(Place, u64)>>())?;
                    tell(leads);
                }
                Some(Event::Taken) => {
                    tell(false);
                    tail.stop()?;
                }
                Some(Event::Record(_) | Event::Progress) | None => {}
            }
        }
        Ok::<(), KafkaError>(())
    }
}
