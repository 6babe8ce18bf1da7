//! State: the changelogs in Kafka, and the cache of what they say.

use cloudigrade_pipeline::log::{LogError, Store};

use crate::kafka::cache::{Cache, Change, Shelf};
use crate::kafka::client::Landed;
use crate::kafka::ends::{Ends, Place};
use crate::kafka::failure;
use crate::kafka::names::Names;
use crate::kafka::reader::{Ended, Patience, Readers, Stretch};
use crate::kafka::record;
use crate::limits as l;

const DOING: &str = "bringing the cache of state up to date";
const PATIENCE: Patience = Patience { without_progress: l::KAFKA_RESTORE_IDLE_MAX, with_records: l::KAFKA_RESTORE_IDLE_MAX };

/// The state of a log.
pub(super) struct State {
    pub(super) cache: Cache,
    pub(super) stores: Vec<Store>,
    pub(super) names: Names,
}

impl State {
    pub(super) fn place(&self, (store, partition): Shelf) -> Place {
        Place { topic: self.names.changelog(store), partition: partition.cast_signed() }
    }

    /// Whether the log has this store.
    ///
    /// # Errors
    /// [`LogError::Storage`] where it has not.
    pub(super) fn check(&self, store: Store) -> Result<(), LogError> {
        if self.stores.contains(&store) {
            return Ok(());
        }
        Err(LogError::Storage {
            doing: "looking for state",
            cause: format!("the store {} is not among those that the log was opened with", store.0),
            help: "this is a fault of the program; please report it",
        })
    }

    /// Reads what a changelog holds beyond the cache, up to where it ends now.
    ///
    /// # Errors
    /// [`LogError::Retry`], and [`LogError::Storage`] where the changelog or the cache is damaged.
    pub(super) fn catch_up(&self, ends: &Ends, readers: &Readers, shelf: Shelf) -> Result<(), LogError> {
        let place = self.place(shelf);
        let of_kafka = |error| failure::outside(DOING, None, &error);
        let end = || Ok(ends.written(std::slice::from_ref(&place)).map_err(of_kafka)?.first().copied().unwrap_or(0));
        let upto = end()?;
        loop {
            let from = self.cache.applied(shelf).map_err(|error| failure::cache(&error))?;
            if from == upto {
                return Ok(());
            }
            // A commit meanwhile moves both. Only what is ahead of a later end is of no changelog that there is.
            if from > upto && from <= end()? {
                return Ok(());
            }
            if from > upto {
                tracing::warn!(store = shelf.0.0, partition = shelf.1, "the cache of state is ahead of its changelog and is read anew");
                self.cache.forget(shelf).map_err(|error| failure::cache(&error))?;
                continue;
            }
            let (mut changes, mut bytes, mut damaged) = (Vec::<Change>::new(), 0, None);
            let more = |arrived: crate::kafka::tail::Arrived| {
                let (offset, size) = (arrived.offset, arrived.key.len() + arrived.value.len());
                match record::decode_change(arrived.value) {
                    Some(value) => changes.push((arrived.key, value)),
                    None => damaged = Some(offset),
                }
                bytes += size;
                damaged.is_none() && bytes < l::KAFKA_RESTORE_BYTES
            };
            let (ended, passed) = readers.read(Stretch { place: &place, from, upto }, PATIENCE, more).map_err(of_kafka)?;
            if let Some(offset) = damaged {
                return Err(LogError::Storage {
                    doing: DOING,
                    cause: format!("the record at offset {offset} of {}, partition {}, is no change of state", place.topic, shelf.1),
                    help: "the changelog is damaged or of a newer version",
                });
            }
            if !self.cache.apply(shelf, from, passed, &changes).map_err(|error| failure::cache(&error))? {
                // Somebody else moved the shelf, perhaps not as far.
                continue;
            }
            if passed >= upto {
                return Ok(());
            }
            if ended == Ended::Undecided {
                return Err(failure::undecided(DOING, &place.topic, place.partition));
            }
        }
    }

    /// Applies what was just committed, without reading it, where it follows what the cache holds. `marker` is the offset at which the mark of
    /// the task's commit before lies, if it is the cache's last. Returns whether it was applied.
    pub(super) fn apply(&self, shelf: Shelf, landed: Landed, marker: Option<u64>, changes: &[Change]) -> Result<bool, redb::Error> {
        let at = self.cache.applied(shelf)?;
        let follows = landed.first == at || (landed.first == at + 1 && marker == Some(at));
        Ok(landed.is_contiguous() && follows && self.cache.apply(shelf, at, landed.last + 1, changes)?)
    }
}
