//! The steps of a commit, and a member of a group that stops at one of them until it is told to go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{KeyValue, LogError, PollLimits, Record, StateRead, Store, Task, Txn};

use super::super::ends::Place;
use super::super::{KafkaLog, KafkaTask};
use super::fold::COPIES;
use super::gate::Gate;
use super::proxy::{END_TXN, Frame};

/// Kafka's numbers of requests.
pub(super) const PRODUCE: i16 = 0;
const ADD_PARTITIONS_TO_TXN: i16 = 24;
const ADD_OFFSETS_TO_TXN: i16 = 25;
const TXN_OFFSET_COMMIT: i16 = 28;
/// How long anything that is waited for may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Where a commit stops. Each is what Kafka has of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// The batch is folded; the transaction has not begun.
    Folded,
    /// The transaction has begun, which Kafka does not know yet.
    Begun,
    /// Kafka knows of the transaction, and nothing of it was written.
    Known,
    /// The outputs of one partition are written, those of others not.
    SomeOutputs,
    /// All outputs are written, and no changes of state.
    AllOutputs,
    /// The changes of state are written too.
    AllState,
    /// Kafka knows that positions are to come.
    PositionsToCome,
    /// The positions are there. To commit is not asked yet.
    Positions,
    /// It is committed, which the member does not know yet, nor its cache.
    Committed,
    /// The member knows it, and its cache has it.
    Kept,
}

impl Step {
    pub(super) const ALL: [Self; 10] = [
        Self::Folded,
        Self::Begun,
        Self::Known,
        Self::SomeOutputs,
        Self::AllOutputs,
        Self::AllState,
        Self::PositionsToCome,
        Self::Positions,
        Self::Committed,
        Self::Kept,
    ];

    /// Whether the commit is stopped by what Kafka is asked or answers, not outside of it.
    fn is_inside(self) -> bool {
        !matches!(self, Self::Folded | Self::Kept)
    }

    /// Whether whoever has the partitions then goes on while the commit stands still. It waits where there are changes of state, or positions,
    /// of which it is not decided whether they hold.
    pub(super) fn leaves_others_free(self) -> bool {
        !matches!(self, Self::AllState | Self::PositionsToCome | Self::Positions)
    }

    /// Says of each frame of a client whether it is of what comes after this step.
    fn rule(self, client: String, outputs: String) -> impl FnMut(&Frame<'_>) -> bool + Send + 'static {
        let mut has_output = false;
        move |frame| {
            let last_before = match (frame.kind, frame.is_answer) {
                (ADD_PARTITIONS_TO_TXN, false) => Self::Begun,
                (PRODUCE, false) if contains(frame.bytes, outputs.as_bytes()) => {
                    if has_output {
                        Self::SomeOutputs
                    } else {
                        Self::Known
                    }
                }
                (PRODUCE, false) => Self::AllOutputs,
                (ADD_OFFSETS_TO_TXN, false) => Self::AllState,
                (TXN_OFFSET_COMMIT, false) => Self::PositionsToCome,
                (END_TXN, false) => Self::Positions,
                (END_TXN, true) => Self::Committed,
                _ => return false,
            };
            let is_held = frame.client == client && self <= last_before;
            has_output |= frame.client == client && last_before == Self::Known && !is_held;
            is_held
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Records on their way to some partitions that nobody else writes to.
struct Underway {
    places: Vec<Place>,
    before: Vec<u64>,
    records: u64,
}

impl Underway {
    fn to(log: &KafkaLog, places: impl IntoIterator<Item = Place>) -> Self {
        let mut records = 0;
        let places: BTreeMap<_, _> =
            places.into_iter().inspect(|_| records += 1).map(|place| ((place.topic.clone(), place.partition), place)).collect();
        let places: Vec<_> = places.into_values().collect();
        let mut before = Vec::new();
        // The marks of the commit before come a moment after it.
        until("the transactions before to be over", || {
            before = log.shared.ends.written(&places).unwrap();
            before == log.shared.ends.committed(&places).unwrap()
        });
        Self { places, before, records }
    }

    /// How many of them are written.
    fn written(&self, log: &KafkaLog) -> u64 {
        let now = log.shared.ends.written(&self.places).unwrap();
        now.iter().zip(&self.before).map(|(now, before)| now - before).sum()
    }
}

/// A commit that stops at a step.
pub(super) struct Stopping {
    step: Step,
    outputs: Underway,
    state: Underway,
}

impl Stopping {
    fn of(step: Step, log: &KafkaLog, txn: &Txn) -> Self {
        let outputs = txn.outputs.iter().map(|output| log.shared.place(output.topic, output.partition));
        let state = txn.state.iter().map(|change| log.shared.state.place((change.store, change.partition)));
        Self { step, outputs: Underway::to(log, outputs), state: Underway::to(log, state) }
    }

    /// Whether it has come to its step, where it is one inside the commit.
    pub(super) fn has_stopped(&self, log: &KafkaLog, gate: &Gate) -> bool {
        if !self.step.is_inside() {
            return true;
        }
        let (outputs, state) = (self.outputs.written(log), self.state.written(log));
        let is_there = match self.step {
            Step::Folded | Step::Begun | Step::Known | Step::Kept => outputs == 0 && state == 0,
            Step::SomeOutputs => outputs > 0 && outputs < self.outputs.records && state == 0,
            Step::AllOutputs => outputs == self.outputs.records && state == 0,
            Step::AllState | Step::PositionsToCome | Step::Positions => outputs == self.outputs.records && state == self.state.records,
            // With marks.
            Step::Committed => outputs > self.outputs.records && state > self.state.records,
        };
        gate.has_held() && is_there
    }
}

/// What came of a commit that was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Committed,
    /// The batch is polled again, by whoever has its partitions.
    GivenUp,
    Other(String),
}

/// A member whose commits can be stopped.
pub(super) struct Member<'a> {
    pub(super) task: KafkaTask,
    pub(super) log: &'a KafkaLog,
    pub(super) gate: Arc<Gate>,
    /// At which step the commit of the next batch stops.
    pub(super) orders: Receiver<Step>,
    pub(super) order: Option<Step>,
    /// Where it tells which commit it stops.
    pub(super) stops: Sender<Stopping>,
    /// By which it is told to go on.
    pub(super) goes_on: Receiver<()>,
    /// Where it tells what came of it.
    pub(super) came: Sender<Came>,
}

impl StateRead for Member<'_> {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.task.get(store, partition, key)
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.task.scan(store, partition, prefix)
    }
}

impl Task for Member<'_> {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        let mut records = self.task.poll(limits)?;
        if records.is_empty() {
            return Ok(records);
        }
        self.order = self.orders.try_recv().ok();
        // Of two partitions, so that there is something between the first and the last.
        let is_enough = |records: &[Record]| records.iter().map(|record| record.partition).collect::<BTreeSet<_>>().len() > 1;
        if self.order.is_some() {
            until("records of two partitions", || {
                if !is_enough(&records) {
                    match self.task.poll(limits) {
                        Ok(more) => records.extend(more),
                        Err(LogError::Retry { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                is_enough(&records)
            });
        }
        Ok(records)
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        let Some(step) = self.order.take() else { return self.task.commit(txn) };
        let stopping = Stopping::of(step, self.log, &txn);
        if step.is_inside() {
            self.gate.hold(step.rule(self.log.shared.options.member.clone(), self.log.shared.names.topic(COPIES)));
        }
        self.stops.send(stopping).unwrap();
        if step == Step::Folded {
            self.goes_on.recv().unwrap();
        }
        let answer = self.task.commit(txn);
        let came = match &answer {
            Ok(()) => Came::Committed,
            Err(LogError::Abort { .. }) => Came::GivenUp,
            Err(error) => Came::Other(error.to_string()),
        };
        self.came.send(came).unwrap();
        if step != Step::Folded {
            self.goes_on.recv().unwrap();
        }
        answer
    }
}

/// Waits until something is so.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::yield_now();
    }
}
