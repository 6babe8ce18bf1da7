//! A task of the embedded log.

use std::cell::RefCell;
use std::time::Instant;

use redb::ReadableDatabase;

use crate::embedded::failure::reading;
use crate::embedded::prepare::Prepared;
use crate::embedded::read::{self, Budget, StateTable};
use crate::embedded::writer::{Commit, Fence, Request};
use crate::embedded::{EmbeddedLog, layout};
use crate::log::{KeyValue, LogError, PollLimits, Position, Record, StateRead, Store, Task, TaskId, TaskSpec, Txn};

/// A task of the embedded log. It keeps the log open.
pub struct EmbeddedTask {
    id: TaskId,
    fence: Fence,
    /// Where to go on reading, for each topic and partition.
    next: Vec<Position>,
    /// Whose turn it is in `next`: no partition waits for ever behind a busy one.
    turn: usize,
    /// State as it was at the first look since the last poll or commit, so that the many looks of a batch cost one transaction. Not held
    /// longer: as long as it is, the file can not reuse the pages that it shows.
    state: RefCell<Option<StateTable>>,
    // Dropped last: it may close the file.
    log: EmbeddedLog,
}

impl EmbeddedTask {
    pub(super) fn open(log: EmbeddedLog, spec: TaskSpec, partitions: &[u32]) -> Result<Self, LogError> {
        // First the fence: what the predecessor still commits before it is in the positions, and nothing after it.
        let fence = log.fence(spec.id)?;
        let next = committed(&log, spec, partitions).map_err(reading)?;
        Ok(Self { id: spec.id, fence, next, turn: 0, state: RefCell::default(), log })
    }

    fn check_fence(&self) -> Result<(), LogError> {
        if self.fence.is_passed() { Err(LogError::Fenced { task: self.id }) } else { Ok(()) }
    }

    fn look<T>(&self, at: impl FnOnce(&StateTable) -> Result<T, redb::Error>) -> Result<T, LogError> {
        let mut state = self.state.borrow_mut();
        let state = match &mut *state {
            Some(state) => state,
            none => none.insert(self.log.handle.shared.state().map_err(reading)?),
        };
        at(state).map_err(reading)
    }

    /// What is there now.
    fn read_some(&mut self, limits: PollLimits) -> Result<Vec<Record>, redb::Error> {
        // Most partitions have nothing new most of the time, and their last batches would be opened in vain.
        let has_more: Vec<bool> = {
            let appended = self.log.handle.shared.appended();
            let end = |at: &Position| appended.ends.get(&layout::place(at.topic, at.partition)).copied().unwrap_or(0);
            self.next.iter().map(|at| at.offset < end(at)).collect()
        };
        if !has_more.contains(&true) {
            return Ok(Vec::new());
        }
        let table = self.log.handle.shared.db.begin_read()?.open_table(layout::RECORDS)?;
        let (mut budget, mut records) = (Budget::new(limits), Vec::new());
        for _ in 0..self.next.len() {
            if budget.is_spent() {
                break;
            }
            let at = self.turn;
            self.turn = (self.turn + 1) % self.next.len();
            if !has_more[at] {
                continue;
            }
            self.next[at] = read::partition(&table, self.next[at], &mut budget, &mut records)?;
        }
        Ok(records)
    }
}

fn committed(log: &EmbeddedLog, spec: TaskSpec, partitions: &[u32]) -> Result<Vec<Position>, redb::Error> {
    let table = log.handle.shared.db.begin_read()?.open_table(layout::POSITIONS)?;
    let mut next = Vec::new();
    for &topic in spec.inputs {
        for &partition in partitions {
            let key = layout::position_key(spec.id, layout::place(topic, partition));
            let offset = table.get(key.as_slice())?.map_or(0, |offset| offset.value());
            next.push(Position { topic, partition, offset });
        }
    }
    Ok(next)
}

impl StateRead for EmbeddedTask {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.look(|state| read::state(state, store, partition, key))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.look(|state| read::states(state, store, partition, prefix))
    }
}

impl Task for EmbeddedTask {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        let began = Instant::now();
        self.state.take();
        loop {
            self.check_fence()?;
            let seen = self.log.appends();
            let records = self.read_some(limits).map_err(reading)?;
            let wait = limits.wait.saturating_sub(began.elapsed());
            if !records.is_empty() || wait.is_zero() {
                return Ok(records);
            }
            self.log.wait_appended(seen, wait);
        }
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        let (task, generation) = (self.id, self.fence.generation);
        let txn = Prepared::new(task, txn)?;
        self.state.take();
        self.log.ask(|done| Request::Commit(Commit { task, generation, txn, done }))
    }
}
