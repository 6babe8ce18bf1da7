//! A task of the log on Kafka.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{KeyValue, LogError, PollLimits, Record, Sharing, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use cloudigrade_schemas::Topic;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::Shared;
use crate::kafka::cache::{Change, Shelf};
use crate::kafka::client::{Landed, UNTRACKED};
use crate::kafka::cloud_event;
use crate::kafka::ends::Place;
use crate::kafka::failure;
use crate::kafka::groups::positions;
use crate::kafka::record::{self, Budget};
use crate::kafka::register;
use crate::kafka::session::{Failed, Positions, Sending, Session, again};
use crate::kafka::settings::{self, Sees};
use crate::kafka::tail::{Arrived, Event, Tail};
use crate::limits as l;

/// What is being done while a task is opened.
const OPENING: &str = "opening a task";

/// A task of the log on Kafka.
pub struct KafkaTask {
    id: TaskId,
    log: Arc<Shared>,
    session: Session,
    tail: Tail,
    /// The topics of the tail whose group gives it partitions; none for a tail that has its own.
    divided: Vec<Topic>,
    /// Which member of which group, in which generation, commits positions.
    group: Option<ConsumerGroupMetadata>,
    /// What the slots of the tail are, behind that of the register where there is one.
    inputs: Vec<(Topic, u32)>,
    /// Where each of them was committed, or begun.
    committed: Vec<u64>,
    /// What the register says of this opening of the task, where the last to open it has it. The register is then the tail's first slot.
    opening: Option<String>,
    /// Another opening was seen in the register.
    is_fenced: bool,
    /// Nothing more can be done: a commit's outcome is unknown, or the session broke.
    is_over: bool,
    /// What a poll met that had records to give: the library may tell it only once.
    failed: Option<LogError>,
    /// Whether other processes change the same state.
    is_one_of_many: bool,
    /// Shelves that the cache holds as of after this task had their partitions, or after its last commit.
    fresh: RefCell<BTreeSet<Shelf>>,
    /// Where the mark of the last commit lies in a changelog, behind this task's own last record.
    markers: BTreeMap<Shelf, u64>,
}

impl KafkaTask {
    pub(super) fn open(log: Arc<Shared>, spec: TaskSpec, partitions: &[u32]) -> Result<Self, LogError> {
        let id = spec.id;
        // First the fence: what the predecessor still commits before it is in the positions, and nothing after it.
        let session = Session::open(&log.options, &log.names.transactional_id(spec, &log.options.member), id)?;
        let tail = match spec.sharing {
            Sharing::Divided => join(&log, id, spec.inputs),
            Sharing::Alone | Sharing::OfEach => {
                Tail::new(&settings::consumer(&log.options, &log.names.group(id), Sees::Committed, l::KAFKA_FETCH_WAIT))
            }
        };
        let mut task = Self {
            id,
            log,
            session,
            tail: tail.map_err(|error| failure::outside(OPENING, None, &error))?,
            divided: if spec.sharing == Sharing::Divided { spec.inputs.to_vec() } else { Vec::new() },
            group: None,
            inputs: Vec::new(),
            committed: Vec::new(),
            opening: None,
            is_fenced: false,
            is_over: false,
            failed: None,
            is_one_of_many: spec.sharing == Sharing::OfEach,
            fresh: RefCell::default(),
            markers: BTreeMap::new(),
        };
        if spec.sharing == Sharing::Alone {
            task.own(spec, partitions)?;
        }
        Ok(task)
    }

    /// Reads given partitions, and the register behind the word of this opening.
    fn own(&mut self, spec: TaskSpec, partitions: &[u32]) -> Result<(), LogError> {
        let (opening, behind) = register::announce(&self.session, &self.log.names, self.id)?;
        self.opening = Some(opening);
        let inputs = spec.inputs.iter().flat_map(|&topic| partitions.iter().map(move |&partition| (topic, partition)));
        let register = Place { topic: self.log.names.register(), partition: 0 };
        self.read(Some((register, behind)), inputs.collect()).map_err(|error| failure::outside(OPENING, None, &error))
    }

    /// Reads these partitions from their committed positions on, and no others.
    fn read(&mut self, register: Option<(Place, u64)>, inputs: Vec<(Topic, u32)>) -> KafkaResult<()> {
        let places = inputs.iter().map(|&(topic, partition)| self.log.place(topic, partition)).collect::<Vec<_>>();
        // Where a predecessor's commit is still under way, Kafka says so until it has ended.
        let committed = again(l::KAFKA_RESTORE_IDLE_MAX, |wait| positions(self.tail.client(), &places, wait))?;
        self.tail.assign(register.into_iter().chain(places.into_iter().zip(committed.iter().copied())).collect())?;
        self.group = self.tail.client().group_metadata();
        (self.inputs, self.committed) = (inputs, committed);
        self.fresh.borrow_mut().clear();
        self.markers.clear();
        Ok(())
    }

    /// Takes the partitions that the group gives.
    fn take_over(&mut self, places: &[Place]) -> KafkaResult<()> {
        let of = |place: &Place| {
            let topic = self.divided.iter().find(|topic| self.log.names.topic(**topic) == place.topic)?;
            Some((*topic, u32::try_from(place.partition).ok()?))
        };
        let inputs: Vec<_> = places.iter().filter_map(of).collect();
        tracing::info!(task = self.id.0, partitions = inputs.len(), "the group gives partitions");
        metrics::counter!("cloudigrade_kafka_rebalances_total", "task" => self.id.0).increment(1);
        metrics::gauge!("cloudigrade_kafka_partitions", "task" => self.id.0).set(inputs.len() as f64);
        self.read(None, inputs)
    }

    /// Answers with a failure, which is the end of the task unless it may succeed later.
    fn end<T>(&mut self, error: LogError) -> Result<T, LogError> {
        self.is_over |= !matches!(error, LogError::Retry { .. });
        self.is_fenced |= matches!(error, LogError::Fenced { .. });
        Err(error)
    }

    /// Waits until the group has divided its partitions: before that, that nothing comes does not say that nothing is there.
    fn wait_for_group(&mut self) -> Result<(), LogError> {
        const DOING: &str = "joining the processes that share a task";
        let id = self.id;
        let of_kafka = |error: KafkaError| failure::outside(DOING, Some(id), &error);
        let (began, mut nothing) = (Instant::now(), Budget::new(PollLimits::default()));
        while !self.divided.is_empty() && self.group.is_none() {
            let wait = l::KAFKA_JOIN_SLICE.saturating_sub(began.elapsed());
            if wait.is_zero() {
                return Err(LogError::Retry { doing: DOING, cause: "its partitions are being divided".to_owned() });
            }
            if let Some(event) = self.tail.next(wait).map_err(of_kafka)? {
                self.heed(event, &mut nothing, &mut Vec::new()).map_err(of_kafka)?;
            }
        }
        Ok(())
    }

    /// Lets all partitions go.
    fn let_go(&mut self) -> KafkaResult<()> {
        self.inputs.clear();
        self.committed.clear();
        self.group = None;
        self.tail.stop()
    }

    /// The slot of the tail at which inputs begin.
    fn first_input(&self) -> usize {
        usize::from(self.opening.is_some())
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
        let Some(input) = arrived.slot.checked_sub(self.first_input()) else {
            self.is_fenced |= self.opening.as_ref().is_some_and(|opening| register::is_other_opening(&arrived, self.id, opening));
            return None;
        };
        let &(topic, partition) = self.inputs.get(input)?;
        Some(record::record(topic, partition, arrived))
    }

    /// Takes what happened. Where partitions come or go, what was polled is given up: it is polled again by whoever has its partition then.
    fn heed(&mut self, event: Event, budget: &mut Budget, records: &mut Vec<Record>) -> KafkaResult<()> {
        match event {
            Event::Record(arrived) => {
                if let Some(record) = self.take(arrived) {
                    budget.spend(&record);
                    records.push(record);
                }
            }
            Event::Progress => {}
            Event::Given(places) => {
                records.clear();
                self.take_over(&places)?;
            }
            Event::Taken => {
                records.clear();
                self.let_go()?;
            }
        }
        Ok(())
    }

    /// Takes what is there, waiting for a first record as long as the budget says.
    fn gather(&mut self, budget: &mut Budget, records: &mut Vec<Record>) -> KafkaResult<()> {
        let began = Instant::now();
        while !budget.is_spent() && !self.is_fenced {
            let wait = if records.is_empty() { budget.wait.saturating_sub(began.elapsed()) } else { Duration::ZERO };
            match self.tail.next(wait)? {
                Some(event) => self.heed(event, budget, records)?,
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
        let id = self.id;
        let of_kafka = |error: KafkaError| failure::outside(DOING, Some(id), &error);
        let ends = self.log.ends.written(&places).map_err(of_kafka)?;
        let began = Instant::now();
        while let Some(short) = self.tail.short_of(&ends) {
            let wait = l::KAFKA_UNDECIDED_MAX.saturating_sub(began.elapsed());
            if wait.is_zero() {
                return Err(failure::undecided(DOING, &short.topic, short.partition));
            }
            let Some(event) = self.tail.next(wait).map_err(of_kafka)? else { continue };
            if matches!(event, Event::Given(_) | Event::Taken) {
                // The partitions are others: what is there to confirm is asked anew.
                return self.heed(event, budget, records).map_err(of_kafka);
            }
            self.heed(event, budget, records).map_err(of_kafka)?;
            if !records.is_empty() {
                budget.wait = Duration::ZERO;
                return self.gather(budget, records).map_err(of_kafka);
            }
        }
        Ok(())
    }

    /// Goes back to the committed positions.
    fn rewind(&mut self) -> KafkaResult<()> {
        if !self.divided.is_empty() {
            // The group may have divided its partitions anew meanwhile, and waits for an answer to that: joining it again is one.
            self.let_go()?;
            self.tail = join(&self.log, self.id, &self.divided)?;
            return Ok(());
        }
        let from = self.tail.progress().map(|(place, passed)| (place.clone(), passed)).collect::<Vec<_>>();
        let register = self.opening.iter().map(|_| self.tail.passed(0));
        let offsets = register.chain(self.committed.iter().copied()).collect::<Vec<_>>();
        self.tail.assign(from.into_iter().zip(offsets).map(|((place, _), offset)| (place, offset)).collect())
    }

    /// Has the cache hold a shelf as of after this task had its partition, since when nobody else changes it; or where others do, as of after
    /// its last commit.
    fn freshen(&self, shelf: Shelf) -> Result<(), LogError> {
        if self.fresh.borrow().contains(&shelf) {
            return Ok(());
        }
        self.log.state.check(shelf.0)?;
        let began = Instant::now();
        loop {
            match self.log.state.catch_up(&self.log.ends, &self.log.readers, shelf) {
                Err(LogError::Retry { .. }) if began.elapsed() < l::KAFKA_COMMIT_MAX => std::thread::sleep(l::KAFKA_RETRY_MAX),
                caught_up => break caught_up.map_err(failure::ending)?,
            }
        }
        self.fresh.borrow_mut().insert(shelf);
        Ok(())
    }

    /// The positions of a transaction, for Kafka.
    fn positions_of(&self, txn: &Txn) -> Result<Option<Positions<'_>>, LogError> {
        const DOING: &str = "committing positions";
        if txn.positions.is_empty() {
            return Ok(None);
        }
        // All of them: Kafka forgets what a group committed long ago, also of a partition that only had nothing to read.
        let mut positions: BTreeMap<(Topic, u32), u64> = self.inputs.iter().copied().zip(self.committed.iter().copied()).collect();
        positions.extend(txn.positions.iter().map(|position| ((position.topic, position.partition), position.offset)));
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for ((topic, partition), offset) in positions {
            let Place { topic, partition } = self.log.place(topic, partition);
            list.add_partition_offset(&topic, partition, Offset::Offset(offset.cast_signed()))
                .map_err(|error| failure::storage(DOING, &error))?;
        }
        // That of when the partitions came: where the group has divided them anew since, Kafka refuses it.
        let group = self.group.as_ref().ok_or_else(|| failure::storage(DOING, &KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownGroup)))?;
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

/// Joins the group that divides the partitions of these topics.
fn join(log: &Shared, id: TaskId, topics: &[Topic]) -> KafkaResult<Tail> {
    let topics: Vec<String> = topics.iter().map(|topic| log.names.topic(*topic)).collect();
    Tail::join(&settings::member(&log.options, &log.names.group(id)), &topics)
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
        if let Some(error) = self.failed.take() {
            return self.end(error);
        }
        let (mut budget, mut records) = (Budget::new(limits), Vec::new());
        self.wait_for_group().or_else(|error| self.end(error))?;
        let polled = self.gather(&mut budget, &mut records).map_err(|error| failure::outside("reading records", Some(self.id), &error));
        let polled = polled
            .and_then(|()| if records.is_empty() && !budget.is_spent() { self.confirm_empty(&mut budget, &mut records) } else { Ok(()) });
        self.check_usable()?;
        match polled {
            // What was taken is given. What may succeed later is met again.
            Err(LogError::Retry { .. }) | Ok(()) if !records.is_empty() => Ok(records),
            Err(error) if !records.is_empty() => {
                self.failed = Some(error);
                Ok(records)
            }
            Err(error) => self.end(error),
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
                if self.is_one_of_many {
                    self.fresh.borrow_mut().clear();
                }
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
