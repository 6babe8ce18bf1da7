//! What a task reads: partitions that are its own, or those that a group gives it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{LogError, PollLimits, Position, Record, Sharing, TaskId, TaskSpec};
use cloudigrade_schemas::Topic;
use rdkafka::consumer::{Consumer, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::Shared;
use crate::kafka::ends::Place;
use crate::kafka::failure;
use crate::kafka::groups::positions;
use crate::kafka::record::{self, Budget};
use crate::kafka::register::{self, Opening};
use crate::kafka::session::{Positions, again};
use crate::kafka::settings::{self, Sees};
use crate::kafka::tail::{Arrived, Event, Tail};
use crate::limits as l;

/// The inputs of a task.
pub(super) struct Inputs {
    task: TaskId,
    log: Arc<Shared>,
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
    opening: Option<Opening>,
    /// Another opening was seen in the register.
    pub(super) is_fenced: bool,
    /// How often partitions came. What is known of their state holds as long as this does not change.
    pub(super) times_given: u64,
}

impl Inputs {
    /// The inputs of a task that reads given partitions, where it has it alone; or what its group gives it; or nothing.
    pub(super) fn open(log: Arc<Shared>, spec: TaskSpec, partitions: &[u32], opening: Option<Opening>) -> KafkaResult<Self> {
        let divided = if spec.sharing == Sharing::Divided { spec.inputs.to_vec() } else { Vec::new() };
        let tail = match spec.sharing {
            Sharing::Divided => join(&log, spec.id, &divided)?,
            Sharing::Alone | Sharing::OfEach => {
                Tail::new(&settings::consumer(&log.options, &log.names.group(spec.id), Sees::Committed, l::KAFKA_FETCH_WAIT))?
            }
        };
        let (task, inputs, committed) = (spec.id, Vec::new(), Vec::new());
        let mut this = Self { task, log, tail, divided, group: None, inputs, committed, opening, is_fenced: false, times_given: 0 };
        if spec.sharing == Sharing::Alone {
            let inputs = spec.inputs.iter().flat_map(|&topic| partitions.iter().map(move |&partition| (topic, partition)));
            this.read(inputs.collect())?;
        }
        Ok(this)
    }

    /// Whether a group gives them.
    pub(super) fn are_divided(&self) -> bool {
        !self.divided.is_empty()
    }

    /// Reads these partitions from their committed positions on, and no others; and the register behind the word of this opening.
    fn read(&mut self, inputs: Vec<(Topic, u32)>) -> KafkaResult<()> {
        let places = inputs.iter().map(|&(topic, partition)| self.log.place(topic, partition)).collect::<Vec<_>>();
        // Where a predecessor's commit is still under way, Kafka says so until it has ended.
        let committed = again(l::KAFKA_RESTORE_IDLE_MAX, |wait| {
            let told = positions(self.tail.client(), &places, wait.min(l::KAFKA_POSITIONS_SLICE));
            // Who may not see the group waits in vain, and is told only on the side. A member is told when it joins.
            told.map_err(|error| if self.divided.is_empty() { self.tail.refusal().unwrap_or(error) } else { error })
        })?;
        let register = self.opening.as_ref().map(|opening| (Place { topic: self.log.names.register(), partition: 0 }, opening.behind));
        self.tail.assign(register.into_iter().chain(places.into_iter().zip(committed.iter().copied())).collect())?;
        self.group = self.tail.client().group_metadata();
        (self.inputs, self.committed) = (inputs, committed);
        self.times_given += 1;
        Ok(())
    }

    /// Takes the partitions that the group gives.
    fn take_over(&mut self, places: &[Place]) -> KafkaResult<()> {
        let of = |place: &Place| {
            let topic = self.divided.iter().find(|topic| self.log.names.topic(**topic) == place.topic)?;
            Some((*topic, u32::try_from(place.partition).ok()?))
        };
        let inputs: Vec<_> = places.iter().filter_map(of).collect();
        tracing::info!(task = self.task.0, partitions = inputs.len(), "the group gives partitions");
        metrics::counter!("cloudigrade_kafka_rebalances_total", "task" => self.task.0).increment(1);
        self.tell_partitions(inputs.len());
        self.log.held.given(self.task, &inputs);
        self.read(inputs)
    }

    fn tell_partitions(&self, count: usize) {
        metrics::gauge!("cloudigrade_kafka_partitions", "task" => self.task.0).set(count as f64);
    }

    /// Waits until the group has divided its partitions: before that, that nothing comes does not say that nothing is there.
    pub(super) fn wait_for_group(&mut self) -> Result<(), LogError> {
        const DOING: &str = "joining the processes that share a task";
        let id = self.task;
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

    /// Has no partitions any more.
    fn forget(&mut self) {
        self.inputs.clear();
        self.committed.clear();
        self.group = None;
        self.tell_partitions(0);
        self.log.held.taken(self.task);
    }

    /// The slot of the tail at which inputs begin.
    fn first_input(&self) -> usize {
        usize::from(self.opening.is_some())
    }

    /// Takes what arrived: a record of an input, or word of another opening.
    fn take(&mut self, arrived: Arrived) -> Option<Record> {
        let Some(input) = arrived.slot.checked_sub(self.first_input()) else {
            self.is_fenced |= self.opening.as_ref().is_some_and(|opening| register::is_other_opening(&arrived, self.task, opening));
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
                if let Err(error) = self.take_over(&places) {
                    // The group waits for an answer, which leaving it is.
                    self.rewind()?;
                    return Err(error);
                }
            }
            Event::Taken => {
                records.clear();
                self.forget();
                self.tail.stop()?;
            }
        }
        Ok(())
    }

    /// Takes what is there, waiting for a first record as long as the budget says.
    pub(super) fn gather(&mut self, budget: &mut Budget, records: &mut Vec<Record>) -> KafkaResult<()> {
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

    /// What a failure of reading means.
    pub(super) fn failed(&self, doing: &'static str, error: &KafkaError) -> LogError {
        if failure::is_gone(error) {
            return failure::gone_for_task(self.task, &self.log.names.group(self.task), &self.log.options.bootstrap, self.tail.gone());
        }
        failure::outside(doing, Some(self.task), error)
    }

    /// Makes sure that there is nothing: up to where the partitions end now, and whoever opened this task meanwhile. A record that turns up
    /// is taken.
    pub(super) fn confirm_empty(&mut self, budget: &mut Budget, records: &mut Vec<Record>) -> Result<(), LogError> {
        const DOING: &str = "reading records";
        let places: Vec<Place> = self.tail.progress().map(|(place, _)| place.clone()).collect();
        let id = self.task;
        let of_kafka = |error: KafkaError| failure::outside(DOING, Some(id), &error);
        let ends = self.log.ends.written(&places).map_err(of_kafka)?;
        let began = Instant::now();
        while let Some(short) = self.tail.short_of(&ends) {
            let wait = l::KAFKA_UNDECIDED_MAX.saturating_sub(began.elapsed());
            if wait.is_zero() {
                return Err(failure::undecided(DOING, &short.topic, short.partition));
            }
            let next = self.tail.next(wait);
            let Some(event) = next.map_err(|error| self.failed(DOING, &error))? else { continue };
            if matches!(event, Event::Given(_) | Event::Taken) {
                // The partitions are others: what is there to confirm is asked anew.
                return self.heed(event, budget, records).map_err(of_kafka);
            }
            self.heed(event, budget, records).map_err(of_kafka)?;
            if !records.is_empty() {
                budget.wait = Duration::ZERO;
                let gathered = self.gather(budget, records);
                return gathered.map_err(|error| self.failed(DOING, &error));
            }
        }
        Ok(())
    }

    /// Goes back to the committed positions.
    pub(super) fn rewind(&mut self) -> KafkaResult<()> {
        if !self.divided.is_empty() {
            // The group may have divided its partitions anew meanwhile, which was not heard yet. Whoever leaves it and joins it again hears.
            self.forget();
            self.tail = join(&self.log, self.task, &self.divided)?;
            return Ok(());
        }
        let from = self.tail.progress().map(|(place, passed)| (place.clone(), passed)).collect::<Vec<_>>();
        let register = self.opening.iter().map(|_| self.tail.passed(0));
        let offsets = register.chain(self.committed.iter().copied()).collect::<Vec<_>>();
        self.tail.assign(from.into_iter().zip(offsets).map(|((place, _), offset)| (place, offset)).collect())
    }

    /// What to commit so that these positions hold; nothing where there are none.
    pub(super) fn positions(&self, behind: &[Position]) -> Result<Option<Positions<'_>>, LogError> {
        const DOING: &str = "committing positions";
        if behind.is_empty() {
            return Ok(None);
        }
        // All of them: Kafka forgets what a group committed long ago, also of a partition that only had nothing to read.
        let mut positions: BTreeMap<(Topic, u32), u64> = self.inputs.iter().copied().zip(self.committed.iter().copied()).collect();
        positions.extend(behind.iter().map(|position| ((position.topic, position.partition), position.offset)));
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for ((topic, partition), offset) in positions {
            let Place { topic, partition } = self.log.place(topic, partition);
            list.add_partition_offset(&topic, partition, Offset::Offset(offset.cast_signed()))
                .map_err(|error| failure::storage(DOING, &error))?;
        }
        // That of when the partitions came: where the group has divided them anew since, Kafka refuses it.
        let group = self.group.as_ref().ok_or_else(|| failure::storage(DOING, &failure::no_group()))?;
        Ok(Some(Positions { list, group }))
    }

    /// These positions were committed.
    pub(super) fn committed(&mut self, behind: &[Position]) {
        for position in behind {
            if let Some(at) = self.inputs.iter().position(|input| *input == (position.topic, position.partition)) {
                self.committed[at] = position.offset;
            }
        }
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        if self.are_divided() {
            self.log.held.taken(self.task);
        }
    }
}

/// Joins the group that divides the partitions of these topics.
fn join(log: &Shared, id: TaskId, topics: &[Topic]) -> KafkaResult<Tail> {
    let topics: Vec<String> = topics.iter().map(|topic| log.names.topic(*topic)).collect();
    Tail::join(&settings::member(&log.options, &log.names.group(id)), &topics)
}
