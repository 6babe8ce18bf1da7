//! Copying, each time only what the other log lacks.

use std::collections::BTreeMap;

use cloudigrade_pipeline::log::{Log, LogError, Output, Position, Record, Sharing, StateChange, StateRead, Store, Task, TaskSpec, Txn};
use cloudigrade_schemas::Topic;

use super::MoveError;
use super::progress::{Progress, Step};
use super::records::Records;
use crate::limits::{MOVE_BATCH_BYTES, MOVE_BATCH_RECORDS};
use crate::log::{DataLog, DataTask, patiently};

/// Who writes. It is alone, so whoever begins again ends what a predecessor left open.
const TASK: TaskSpec = TaskSpec::alone("migrate", &[]);

/// What is collected for one commit.
struct Batch {
    task: DataTask,
    txn: Txn,
    bytes: usize,
}

impl Batch {
    fn open(log: &DataLog) -> Result<Self, LogError> {
        Ok(Self { task: patiently(|| log.open_task(TASK, &[]))?, txn: Txn::default(), bytes: 0 })
    }

    fn add(&mut self, bytes: usize, add: impl FnOnce(&mut Txn)) -> Result<(), LogError> {
        add(&mut self.txn);
        self.bytes += bytes;
        let is_full = self.bytes >= MOVE_BATCH_BYTES || self.txn.outputs.len() + self.txn.state.len() >= MOVE_BATCH_RECORDS;
        if is_full { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.bytes = 0;
        self.task.commit(std::mem::take(&mut self.txn))
    }
}

/// Whether two logs hold the same record, wherever each has it.
fn is_same(one: &Record, other: &Record) -> bool {
    (&one.key, &one.value, one.entered_at) == (&other.key, &other.value, other.entered_at)
}

/// Copies the records of all topics, in the order of each partition.
pub(super) fn records(from: &DataLog, to: &DataLog, progress: &Progress) -> Result<(), MoveError> {
    progress.begin(Step::Records);
    let mut batch = Batch::open(to)?;
    for topic in Topic::ALL {
        for partition in 0..from.partitions() {
            let (mut here, mut there) = (Records::of(from, topic, partition), Records::of(to, topic, partition));
            while let Some(copied) = there.next()? {
                match here.next()? {
                    Some(record) if is_same(&record, &copied) => progress.add(1),
                    _ => return Err(MoveError::Differs { topic, partition, offset: copied.offset }),
                }
            }
            while let Some(Record { key, value, entered_at, .. }) = here.next()? {
                let bytes = key.len() + value.len();
                batch.add(bytes, |txn| txn.outputs.push(Output { topic, partition, key, value, entered_at }))?;
                progress.add(1);
            }
        }
    }
    Ok(batch.commit()?)
}

/// Copies state, and deletes what is only there.
pub(super) fn state(from: &DataLog, to: &DataLog, stores: &[Store], progress: &Progress) -> Result<(), MoveError> {
    progress.begin(Step::State);
    let mut batch = Batch::open(to)?;
    for &store in stores {
        for partition in 0..from.partitions() {
            let mut there: BTreeMap<_, _> = patiently(|| to.scan(store, partition, b""))?.into_iter().collect();
            for (key, value) in from.scan(store, partition, b"")? {
                progress.add(1);
                if there.remove(&key).as_ref() != Some(&value) {
                    let bytes = key.len() + value.len();
                    batch.add(bytes, |txn| txn.state.push(StateChange { store, partition, key, value: Some(value) }))?;
                }
            }
            for key in there.into_keys() {
                batch.add(key.len(), |txn| txn.state.push(StateChange { store, partition, key, value: None }))?;
            }
        }
    }
    Ok(batch.commit()?)
}

/// Has each task go on at the same record. All records must be there.
pub(super) fn positions(from: &DataLog, to: &DataLog, tasks: &[TaskSpec], progress: &Progress) -> Result<(), MoveError> {
    progress.begin(Step::Positions);
    let partitions: Vec<u32> = (0..from.partitions()).collect();
    for &task in tasks {
        let translated = positions_of(from, task)?.into_iter().map(|position| translate(from, to, position));
        let positions = translated.collect::<Result<Vec<_>, LogError>>()?;
        if patiently(|| to.positions(task))?.iter().all(|there| there.offset == 0) && positions.iter().all(|position| position.offset == 0)
        {
            continue;
        }
        // Whichever way processes share it later: here it is one process's.
        let alone = TaskSpec { sharing: Sharing::Alone, ..task };
        let mut alone = patiently(|| to.open_task(alone, &partitions))?;
        alone.commit(Txn { positions, ..Txn::default() })?;
        progress.add(1);
    }
    Ok(())
}

/// The positions of a task in what it reads. An earlier version may have read something else, too.
pub(super) fn positions_of(log: &DataLog, task: TaskSpec) -> Result<Vec<Position>, LogError> {
    let positions = patiently(|| log.positions(task))?;
    Ok(positions.into_iter().filter(|position| task.inputs.contains(&position.topic)).collect())
}

/// The position in the other log that has as many records before it.
fn translate(from: &DataLog, to: &DataLog, position: Position) -> Result<Position, LogError> {
    let Position { topic, partition, offset } = position;
    if offset >= from.end(topic, partition)?.offset {
        return patiently(|| to.end(topic, partition));
    }
    let (mut here, mut there) = (Records::of(from, topic, partition), Records::of(to, topic, partition));
    loop {
        let copied = there.next()?;
        match (here.next()?, copied) {
            (Some(record), Some(_)) if record.offset < offset => {}
            (_, Some(copied)) => return Ok(Position { topic, partition, offset: copied.offset }),
            (_, None) => return patiently(|| to.end(topic, partition)),
        }
    }
}
