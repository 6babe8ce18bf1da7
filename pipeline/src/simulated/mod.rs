//! The simulated log: in memory, with faults chosen by a seed.
//!
//! It keeps the contract of [`crate::log`] and is as unkind as the contract allows: answers get lost, commits are given up, tasks are
//! taken over, partitions arrive interleaved and in odd portions, offsets have gaps. The same seed and the same calls give the same
//! [`Event`]s, so whatever a seed finds can be looked at again. It can also be given a [`Bug`], to see that a test would find one.
//!
//! It waits for nothing: a poll without records returns at once.

mod faults;
mod task;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloudigrade_schemas::Topic;

pub use faults::{Bug, Chance, Faults};
pub use task::SimulatedTask;
pub use world::Event;

use crate::log::{KeyValue, Log, LogError, PollLimits, Position, Record, StateRead, Store, TaskSpec};
use world::World;

/// A simulated log. Clones share one world.
#[derive(Clone, Debug)]
pub struct SimulatedLog {
    partitions: u32,
    world: Arc<Mutex<World>>,
}

impl SimulatedLog {
    /// An empty log.
    pub fn new(seed: u64, partitions: u32, faults: Faults) -> Self {
        Self { partitions, world: Arc::new(Mutex::new(World::new(seed, faults))) }
    }

    /// The process dies: what is not committed is lost, and no task goes on until it is opened anew.
    pub fn crash(&self) {
        self.world().crash();
    }

    /// From now on other faults happen; with [`Faults::none`] none does, so that it can be seen whether all recovers.
    pub fn set_faults(&self, faults: Faults) {
        self.world().set_faults(faults);
    }

    /// All that happened so far, in order.
    pub fn trace(&self) -> Vec<Event> {
        self.world().trace().to_vec()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for SimulatedLog {
    type Task = SimulatedTask;

    fn partitions(&self) -> u32 {
        self.partitions
    }

    fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<SimulatedTask, LogError> {
        SimulatedTask::open(self.clone(), spec, partitions)
    }

    fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        let mut world = self.world();
        world.maybe_retry("reading the log")?;
        Ok(world.read(from, limits))
    }

    fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        let mut world = self.world();
        world.maybe_retry("finding the end of a partition")?;
        Ok(Position { topic, partition, offset: world.end(topic, partition) })
    }
}

/// Looks at committed state from outside any task.
impl StateRead for SimulatedLog {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.world().get(store, partition, key))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        Ok(self.world().scan(store, partition, prefix))
    }
}
