//! Taking over a log that was kept elsewhere: as long as that goes on, nobody else opens this one.

use cloudigrade_pipeline::log::LogError;

use crate::kafka::ends::Place;
use crate::kafka::pause::patiently;
use crate::kafka::register::{self, Import};
use crate::kafka::{KafkaLog, KafkaOptions, OpenError, Shared, failure};

impl KafkaLog {
    /// Opens a log that takes over what another one holds. It must have nothing yet, or what an interrupted call took over from the same one,
    /// known by `source`. Until [`Self::finish_import`], [`Self::open`] refuses it. `place` says where the other log is, in words.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_import(options: KafkaOptions, source: &str, place: &str) -> Result<Self, OpenError> {
        let (log, import) = Self::open_whatever(options)?;
        match import {
            Some(import) if import.source != source => Err(OpenError::OtherImport { place: import.place }),
            Some(Import { done: true, place, .. }) => Err(OpenError::Imported { place }),
            Some(_) => Ok(log),
            None => {
                // Topics that were just made are not led at once.
                if let Some(topic) = patiently(failure::may_succeed, || log.shared.used())? {
                    return Err(OpenError::NotEmpty { topic });
                }
                log.say_import(source, place, false)?;
                Ok(log)
            }
        }
    }

    /// Says that all was taken over: from now on this log is as any other.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn finish_import(&self, source: &str, place: &str) -> Result<(), LogError> {
        self.say_import(source, place, true)
    }

    fn say_import(&self, source: &str, place: &str, done: bool) -> Result<(), LogError> {
        let import = Import { source: source.to_owned(), place: place.to_owned(), done };
        patiently(failure::may_succeed, || register::say_import(&self.shared.options, &self.shared.names, &import))
    }
}

impl Shared {
    /// A topic into which anything was ever written, if there is one.
    fn used(&self) -> Result<Option<String>, LogError> {
        let partitions = || 0..self.options.partitions.get().cast_signed();
        let topics = cloudigrade_schemas::Topic::ALL.into_iter().map(|topic| self.names.topic(topic));
        let changelogs = self.options.stores.iter().map(|store| self.names.changelog(*store));
        for topic in topics.chain(changelogs) {
            let places: Vec<Place> = partitions().map(|partition| Place { topic: topic.clone(), partition }).collect();
            let ends = self.ends.written(&places).map_err(|error| failure::outside("looking whether the log is empty", None, &error))?;
            if ends.iter().any(|end| *end > 0) {
                return Ok(Some(topic));
            }
        }
        Ok(None)
    }
}
