//! The log from outside any task: committed state, committed records, and where partitions begin and end.

use std::thread::sleep;
use std::time::Instant;

use cloudigrade_pipeline::log::{KeyValue, Log, LogError, PollLimits, Position, Record, StateRead, Store, TaskSpec};
use cloudigrade_schemas::Topic;
use rdkafka::error::KafkaError;

use crate::kafka::reader::{Ended, Patience, Stretch};
use crate::kafka::record::{self, Budget};
use crate::kafka::{KafkaLog, KafkaTask, failure};
use crate::limits as l;

/// Looks at committed state from outside any task.
impl StateRead for KafkaLog {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.freshen(store, partition)?;
        self.shared.state.cache.get((store, partition), key).map_err(|error| failure::cache(&error))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.freshen(store, partition)?;
        self.shared.state.cache.scan((store, partition), prefix).map_err(|error| failure::cache(&error))
    }
}

impl Log for KafkaLog {
    type Task = KafkaTask;

    fn partitions(&self) -> u32 {
        self.shared.options.partitions.get()
    }

    fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<KafkaTask, LogError> {
        KafkaTask::open(&self.shared, spec, partitions)
    }

    fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        const DOING: &str = "reading records";
        const PATIENCE: Patience = Patience { without_progress: l::KAFKA_UNDECIDED_MAX, with_records: l::KAFKA_READ_LINGER };
        let place = self.shared.place(from.topic, from.partition);
        let of_kafka = |error: KafkaError| match failure::is_gone(&error) {
            true => failure::gone_for_reader(&place),
            false => failure::outside(DOING, None, &error),
        };
        let upto = self.shared.ends.written(std::slice::from_ref(&place)).map_err(of_kafka)?.first().copied().unwrap_or(0);
        let (mut budget, mut records) = (Budget::new(limits), Vec::new());
        if from.offset >= upto || budget.is_spent() {
            return Ok(records);
        }
        let more = |arrived| {
            let record = record::record(from.topic, from.partition, arrived);
            budget.spend(&record);
            records.push(record);
            !budget.is_spent()
        };
        let (ended, _) = self.shared.readers.read(Stretch { place: &place, from: from.offset, upto }, PATIENCE, more).map_err(of_kafka)?;
        if ended == Ended::Undecided && records.is_empty() {
            return Err(failure::undecided(DOING, &place.topic, place.partition));
        }
        Ok(records)
    }

    fn begin(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        let place = [self.shared.place(topic, partition)];
        let begins = self.shared.ends.begins(&place);
        let begins = begins.map_err(|error| failure::outside("looking for the beginning of a partition", None, &error))?;
        Ok(Position { topic, partition, offset: begins.first().copied().unwrap_or(0) })
    }

    fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        const DOING: &str = "looking for the end of a partition";
        let (place, of_kafka) = ([self.shared.place(topic, partition)], |error| failure::outside(DOING, None, &error));
        let written = self.shared.ends.written(&place).map_err(of_kafka)?;
        // What was committed by now lies before `written`: the committed end shows it once it has come so far.
        let began = Instant::now();
        loop {
            let committed = self.shared.ends.committed(&place).map_err(of_kafka)?;
            match (committed.first(), written.first()) {
                (Some(&committed), Some(&written)) if committed >= written => return Ok(Position { topic, partition, offset: committed }),
                _ if began.elapsed() < l::KAFKA_UNDECIDED_MAX => sleep(l::KAFKA_READER_FETCH_WAIT),
                _ => return Err(failure::undecided(DOING, &place[0].topic, place[0].partition)),
            }
        }
    }
}
