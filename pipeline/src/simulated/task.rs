//! A task of the simulated log.

use crate::log::{KeyValue, LogError, PollLimits, Position, Record, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use crate::simulated::SimulatedLog;
use crate::simulated::world::{Attempt, Delivery};

/// A task of the simulated log.
#[derive(Debug)]
pub struct SimulatedTask {
    log: SimulatedLog,
    id: TaskId,
    generation: u64,
    /// How many commits were begun.
    commits: u64,
    /// Where to go on reading, for each topic and partition.
    next: Vec<Position>,
}

impl SimulatedTask {
    pub(super) fn open(log: SimulatedLog, spec: TaskSpec, partitions: &[u32]) -> Result<Self, LogError> {
        let generation = {
            let mut world = log.world();
            world.maybe_retry("opening a task")?;
            world.open(spec.id)
        };
        let place = |&topic| partitions.iter().map(move |&partition| Position { topic, partition, offset: 0 });
        let next = spec.inputs.iter().flat_map(place).collect();
        let mut task = Self { log, id: spec.id, generation, commits: 0, next };
        task.rewind();
        Ok(task)
    }

    /// Goes back to the committed positions.
    fn rewind(&mut self) {
        let world = self.log.world();
        for at in &mut self.next {
            at.offset = world.position(self.id, at.topic, at.partition);
        }
    }
}

impl StateRead for SimulatedTask {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.log.get(store, partition, key)
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.log.scan(store, partition, prefix)
    }
}

impl Task for SimulatedTask {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        let mut world = self.log.world();
        world.check_fence(self.id, self.generation)?;
        world.maybe_retry("polling")?;
        Ok(world.poll(self.id, &mut self.next, limits))
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        txn.check_limits()?;
        self.commits += 1;
        let attempt = Attempt { task: self.id, generation: self.generation, number: self.commits, txn: &txn };
        loop {
            let delivery = self.log.world().deliver(&attempt);
            match delivery {
                Delivery::Unknown => {}
                Delivery::Answered(Err(error @ LogError::Abort { .. })) => {
                    self.rewind();
                    return Err(error);
                }
                Delivery::Answered(answer) => return answer,
            }
        }
    }
}
