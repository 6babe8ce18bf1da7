//! A task of the log on Kafka.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use cloudigrade_pipeline::log::{KeyValue, LogError, PollLimits, Record, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use cloudigrade_schemas::Topic;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::Shared;
use crate::kafka::cache::{Change, Shelf};
use crate::kafka::client::{Landed, Quiet, UNTRACKED};
use crate::kafka::cloud_event;
use crate::kafka::ends::Place;
use crate::kafka::failure;
use crate::kafka::record::{self, Budget};
use crate::kafka::register;
use crate::kafka::session::{Failed, Positions, Sending, Session};
use crate::kafka::settings::{self, Sees};
use crate::kafka::tail::{Arrived, Event, Tail};
use crate::limits as l;

/// The slot of the register in a task's tail; its inputs follow.
const REGISTER: usize = 0;

/// A task of the log on Kafka.
pub struct KafkaTask {
    id: TaskId,
    log: Arc<Shared>,
    session: Session,
    tail: Tail,
    /// What the slots of the tail behind the register are.
    inputs: Vec<(Topic, u32)>,
    /// Where each of them was committed, or begun.
    committed: Vec<u64>,
    /// What the register says of this opening of the task.
    opening: String,
    /// Another opening was seen in the register.
    is_fenced: bool,
    /// Nothing more can be done: a commit's outcome is unknown, or the session broke.
    is_over: bool,
    /// Shelves that the cache holds as of after this task was opened.
    fresh: RefCell<BTreeSet<Shelf>>,
    /// Where the mark of the last commit lies in a changelog, behind this task's own last record.
    markers: BTreeMap<Shelf, u64>,
}

impl KafkaTask {
    pub(super) fn open(log: Arc<Shared>, spec: TaskSpec, partitions: &[u32]) -> Result<Self, LogError> {
        const DOING: &str = "opening a task";
        let id = spec.id;
        let of_kafka = |error: KafkaError| failure::outside(DOING, None, &error);
        // First the fence: what the predecessor still commits before it is in the positions, and nothing after it.
        let session = Session::open(&log.options, &log.names.transactional_id(id), id)?;
        let (opening, behind) = register::announce(&session, &log.names, id)?;
        let group = log.names.group(id);
        let config = settings::consumer(&log.options, &group, Sees::Committed, l::KAFKA_FETCH_WAIT);
        let mut tail = Tail::new(config.create_with_context(Quiet).map_err(of_kafka)?);
        let inputs: Vec<_> = spec.inputs.iter().flat_map(|&topic| partitions.iter().map(move |&partition| (topic, partition))).collect();
        let places = inputs.iter().map(|&(topic, partition)| log.place(topic, partition)).collect::<Vec<_>>();
        let committed = positions(&tail, &places).map_err(of_kafka)?;
        let register = Place { topic: log.names.register(), partition: 0 };
        let from = std::iter::once((register, behind)).chain(places.into_iter().zip(committed.iter().copied())).collect();
        tail.assign(from).map_err(of_kafka)?;
        let (fresh, markers) = (RefCell::default(), BTreeMap::new());
        Ok(Self { id, log, session, tail, inputs, committed, opening, is_fenced: false, is_over: false, fresh, markers })
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.is_fenced {
            return Err(LogError::Fenced { task: self.id });
        }
        if self.is_over {
            return Err(LogError::Storage {
                doing: "going on with a task",
                cause: format!("an earlier failure ended {}", self.id),
                help: "open the task again",
            });
        }
        Ok(())
    }

    /// Takes what arrived: a record of an input, or word of another opening.
    fn take(&mut self, arrived: Arrived) -> Option<Record> {
        if arrived.slot == REGISTER {
            self.is_fenced |= register::is_other_opening(&arrived, self.id, &self.opening);
            return None;
        }
        let &(topic, partition) = self.inputs.get(arrived.slot - 1)?;
        Some(record::record(topic, partition, arrived))
    }

    /// Takes what is there, waiting for a first record as long as the budget says.
    fn gather(&mut self, budget: &mut Budget, records: &mut Vec<Record>) -> KafkaResult<()> {
        let began = Instant::now();
        while !budget.is_spent() && !self.is_fenced {
            let wait = if records.is_empty() { budget.wait.saturating_sub(began.elapsed()) } else { std::time::Duration::ZERO };
            match self.tail.next(wait)? {
                Some(Event::Record(arrived)) => {
                    if let Some(record) = self.take(arrived) {
                        budget.spend(&record);
                        records.push(record);
                    }
                }
                Some(Event::Progress) => {}
                None if records.is_empty() && began.elapsed() < budget.wait => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Makes sure that there is nothing: up to where the partitions end now, and whoever opened this task meanwhile. A record that turns up
    /// is taken.
    fn confirm_empty(&mut self, budget: &mut Budget, records: &mut Vec<Record>) -> Result<(), LogError> {
        const DOING: &str = "reading records";
        let places: Vec<Place> = self.tail.progress().map(|(place, _)| place.clone()).collect();
        let of_kafka = |error: KafkaError| failure::outside(DOING, None, &error);
        let ends = self.log.ends.written(&places).map_err(of_kafka)?;
        let began = Instant::now();
        while let Some(short) = self.tail.short_of(&ends) {
            let wait = l::KAFKA_UNDECIDED_MAX.saturating_sub(began.elapsed());
            if wait.is_zero() {
                return Err(failure::undecided(DOING, &short.topic, short.partition));
            }
            let Some(Event::Record(arrived)) = self.tail.next(wait).map_err(of_kafka)? else { continue };
            if let Some(record) = self.take(arrived) {
                budget.spend(&record);
                records.push(record);
                budget.wait = std::time::Duration::ZERO;
                return self.gather(budget, records).map_err(of_kafka);
            }
        }
        Ok(())
    }

    /// Goes back to the committed positions.
    fn rewind(&mut self) -> KafkaResult<()> {
        let from = self.tail.progress().map(|(place, passed)| (place.clone(), passed)).collect::<Vec<_>>();
        let offsets = std::iter::once(self.tail.passed(REGISTER)).chain(self.committed.iter().copied());
        self.tail.assign(from.into_iter().zip(offsets).map(|((place, _), offset)| (place, offset)).collect())
    }

    /// Has the cache hold a shelf as of after the opening of this task. Nobody else changes it since.
    fn freshen(&self, shelf: Shelf) -> Result<(), LogError> {
        if self.fresh.borrow().contains(&shelf) {
            return Ok(());
        }
        self.log.state.check(shelf.0)?;
        self.log.state.catch_up(&self.log.ends, &self.log.readers, shelf).map_err(failure::ending)?;
        self.fresh.borrow_mut().insert(shelf);
        Ok(())
    }

    /// The positions of a transaction, for Kafka.
    fn positions_of(&self, txn: &Txn) -> Result<Option<Positions>, LogError> {
        const DOING: &str = "committing positions";
        if txn.positions.is_empty() {
            return Ok(None);
        }
        let mut list = TopicPartitionList::with_capacity(txn.positions.len());
        for position in &txn.positions {
            let Place { topic, partition } = self.log.place(position.topic, position.partition);
            list.add_partition_offset(&topic, partition, Offset::Offset(position.offset.cast_signed()))
                .map_err(|error| failure::storage(DOING, &error))?;
        }
        // Asked for anew each time, as the library demands.
        let group = self.tail.client().group_metadata();
        let group = group.ok_or_else(|| failure::storage(DOING, &KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownGroup)))?;
        Ok(Some(Positions { list, group }))
    }

    /// After a commit: its changes go to the cache. What fails here only has the cache read the changelog again.
    fn keep(&mut self, shelves: Vec<(Shelf, Vec<Change>)>, landed: &BTreeMap<usize, Landed>) {
        for (number, (shelf, changes)) in shelves.into_iter().enumerate() {
            let applied = match landed.get(&number) {
                Some(landed) => self.log.state.apply(shelf, *landed, self.markers.get(&shelf).copied(), &changes),
                None => Ok(false),
            };
            match (applied, landed.get(&number)) {
                (Ok(true), Some(landed)) => {
                    self.markers.insert(shelf, landed.last + 1);
                }
                (other, _) => {
                    if let Err(error) = other {
                        tracing::warn!(store = shelf.0.0, partition = shelf.1, "a commit was not applied to the cache of state: {error}");
                    }
                    self.markers.remove(&shelf);
                    self.fresh.borrow_mut().remove(&shelf);
                }
            }
        }
    }
}

/// The committed positions of the tail's group; those that it never committed are the beginning of the log.
fn positions(tail: &Tail, places: &[Place]) -> KafkaResult<Vec<u64>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut asked = TopicPartitionList::with_capacity(places.len());
    for place in places {
        asked.add_partition(&place.topic, place.partition);
    }
    let told = tail.client().committed_offsets(asked, l::KAFKA_CALL_TIMEOUT)?;
    let position = |place: &Place| {
        let found =
            told.find_partition(&place.topic, place.partition).ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
        found.error()?;
        Ok(match found.offset() {
            Offset::Offset(offset) => u64::try_from(offset).unwrap_or(0),
            _ => 0,
        })
    };
    places.iter().map(position).collect()
}

impl StateRead for KafkaTask {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.freshen((store, partition))?;
        self.log.state.cache.get((store, partition), key).map_err(|error| failure::cache(&error))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.freshen((store, partition))?;
        self.log.state.cache.scan((store, partition), prefix).map_err(|error| failure::cache(&error))
    }
}

impl Task for KafkaTask {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        self.check_usable()?;
        let (mut budget, mut records) = (Budget::new(limits), Vec::new());
        let polled = self.gather(&mut budget, &mut records).map_err(|error| failure::outside("reading records", Some(self.id), &error));
        let polled = polled
            .and_then(|()| if records.is_empty() && !budget.is_spent() { self.confirm_empty(&mut budget, &mut records) } else { Ok(()) });
        self.check_usable()?;
        match polled {
            // What was taken is given; the failure is met again.
            Err(_) if !records.is_empty() => Ok(records),
            Err(error) => Err(error),
            Ok(()) => Ok(records),
        }
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        self.check_usable()?;
        record::check(&txn)?;
        txn.state.iter().try_for_each(|change| self.log.state.check(change.store))?;
        if txn.is_empty() {
            return Ok(());
        }
        let positions = self.positions_of(&txn)?;
        let mut shelves: BTreeMap<Shelf, Vec<Change>> = BTreeMap::new();
        for change in txn.state {
            shelves.entry((change.store, change.partition)).or_default().push((change.key, change.value));
        }
        let shelves: Vec<_> = shelves.into_iter().collect();
        let topics: BTreeMap<Topic, String> = txn.outputs.iter().map(|output| (output.topic, self.log.names.topic(output.topic))).collect();
        let changelogs: Vec<String> = shelves.iter().map(|((store, _), _)| self.log.names.changelog(*store)).collect();
        let values: Vec<Vec<Vec<u8>>> =
            shelves.iter().map(|(_, changes)| changes.iter().map(|(_, value)| record::encode_change(value.as_deref())).collect()).collect();
        let outputs = txn.outputs.iter().map(|output| Sending {
            topic: topics.get(&output.topic).map_or("", String::as_str),
            partition: output.partition,
            key: &output.key,
            value: &output.value,
            millis: record::millis(output.entered_at).unwrap_or(1),
            headers: cloud_event::headers(output),
            number: UNTRACKED,
        });
        let changed = shelves.iter().zip(&changelogs).zip(&values).enumerate();
        let state = changed.flat_map(|(number, (((shelf, changes), topic), values))| {
            changes.iter().zip(values).map(move |((key, _), value)| Sending {
                topic,
                partition: shelf.1,
                key,
                value,
                millis: register::now_millis(),
                headers: None,
                number,
            })
        });
        match self.session.transact(outputs.chain(state), positions.as_ref()) {
            Ok(landed) => {
                for position in &txn.positions {
                    if let Some(at) = self.inputs.iter().position(|input| *input == (position.topic, position.partition)) {
                        self.committed[at] = position.offset;
                    }
                }
                self.keep(shelves, &landed);
                Ok(())
            }
            Err(Failed::Aborted(cause)) => match self.rewind() {
                Ok(()) => Err(LogError::Abort { task: self.id, cause }),
                Err(error) => {
                    self.is_over = true;
                    Err(failure::storage("going back after a commit that was given up", &error))
                }
            },
            Err(Failed::Over(error)) => {
                self.is_over = true;
                self.is_fenced |= matches!(error, LogError::Fenced { .. });
                Err(error)
            }
        }
    }
}
