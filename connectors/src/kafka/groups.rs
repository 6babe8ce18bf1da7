//! The positions that groups have committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::KafkaOptions;
use crate::kafka::client::Quiet;
use crate::kafka::ends::Place;
use crate::kafka::failure::{self, is_refusal};
use crate::kafka::settings::{self, Sees};
use crate::limits as l;

/// Clients that ask for the positions of groups, one a group, which none of them is a member of.
#[derive(Default)]
pub(super) struct Groups(Mutex<BTreeMap<String, Arc<BaseConsumer<Quiet>>>>);

impl Groups {
    /// The committed positions of a group.
    pub(super) fn positions(&self, options: &KafkaOptions, group: &str, places: &[Place]) -> KafkaResult<Vec<u64>> {
        let client = {
            let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match clients.get(group) {
                Some(client) => Arc::clone(client),
                None => {
                    let config = settings::consumer(options, group, Sees::Committed, l::KAFKA_FETCH_WAIT);
                    let client = Arc::new(config.create_with_context(Quiet)?);
                    clients.insert(group.to_owned(), Arc::clone(&client));
                    client
                }
            }
        };
        positions(&client, places, l::KAFKA_CALL_TIMEOUT).map_err(|error| refusal(&client).unwrap_or(error))
    }
}

/// The right that is lacking, where the library told of one: who may not see a group waits in vain, and is told only on the side.
fn refusal(client: &BaseConsumer<Quiet>) -> Option<KafkaError> {
    while let Some(told) = client.poll(Duration::ZERO) {
        if let Err(error) = told
            && is_refusal(&error)
        {
            return Some(error);
        }
    }
    None
}

/// The committed positions of a client's group; those that it never committed are the beginning of the log.
pub(super) fn positions(client: &BaseConsumer<Quiet>, places: &[Place], wait: Duration) -> KafkaResult<Vec<u64>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(places.len());
    for place in places {
        asked.add_partition(&place.topic, place.partition);
    }
    let told = client.committed_offsets(asked, wait)?;
    let position = |place: &Place| {
        let found = told.find_partition(&place.topic, place.partition).ok_or_else(failure::no_partition)?;
        found.error()?;
        Ok(match found.offset() {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
            _ => 0,
        })
    };
    places.iter().map(position).collect()
}
