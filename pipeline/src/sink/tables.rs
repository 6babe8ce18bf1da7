//! All stored tables together: catching up with the log, and writing them anew.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudigrade_schemas::Topic;
use cloudigrade_schemas::table::bucket_of;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

use super::delta::DeltaWriter;
use super::group::{Change, Kind, RowKey};
use super::slice::Cell;
use super::{SinkError, TableRoot};
use crate::limits;
use crate::log::{Log, PollLimits, Position};

/// What a catch-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Messages read from the log.
    pub messages: u64,
    /// Files written.
    pub files: usize,
    /// Delta commits made.
    pub commits: u64,
}

/// The tables that one topic fills.
struct Lane {
    topic: Topic,
    writers: Vec<DeltaWriter>,
}

/// The stored tables, open for writing.
pub struct Tables {
    lanes: Vec<Lane>,
    partitions: u32,
}

/// Which topic fills which tables.
const LANES: [(Topic, &[Kind]); 3] = [
    (Topic::InstanceIntervals, &[Kind::Intervals, Kind::Events]),
    (Topic::Coverage, &[Kind::Coverage]),
    (Topic::DeadLetters, &[Kind::DeadLetters]),
];

impl Tables {
    /// Opens the tables, or makes them.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn open(root: &TableRoot, partitions: u32) -> Result<Self, SinkError> {
        let mut lanes = Vec::new();
        for (topic, kinds) in LANES {
            let mut writers = Vec::new();
            for kind in kinds {
                writers.push(DeltaWriter::open(root, *kind, topic, partitions).await?);
            }
            lanes.push(Lane { topic, writers });
        }
        Ok(Self { lanes, partitions })
    }

    /// Writes the tables anew from the log: what they held is dropped first. A table that does not even open is deleted.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn rebuild<L: Log>(root: &TableRoot, log: &L) -> Result<Applied, SinkError> {
        for (topic, kinds) in LANES {
            for kind in kinds {
                match DeltaWriter::open(root, *kind, topic, log.partitions()).await {
                    Ok(mut writer) => writer.clear().await?,
                    Err(SinkError::Damaged { .. }) => delete_files(root, *kind).await?,
                    Err(error) => return Err(error),
                }
            }
        }
        Self::open(root, log.partitions()).await?.catch_up(log).await
    }

    /// Applies all that the log holds and the tables do not yet.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn catch_up<L: Log>(&mut self, log: &L) -> Result<Applied, SinkError> {
        let mut applied = Applied::default();
        for lane in &mut self.lanes {
            lane.check_against(log, self.partitions)?;
            while let Some(batch) = lane.read(log, self.partitions)? {
                applied.messages += batch.messages;
                for writer in &mut lane.writers {
                    let due = batch.changes_from(|partition| writer.position(partition));
                    applied.files += writer.apply(&due, &batch.next).await?;
                    applied.commits += 1;
                    if writer.version().is_multiple_of(limits::COMMITS_BETWEEN_CLEANINGS) {
                        writer.drop_replaced_files(limits::REPLACED_FILES_KEPT).await?;
                    }
                }
            }
        }
        Ok(applied)
    }

    /// Deletes the files of all tables that were replaced longer ago than this. Who still reads a version that had them cannot go on.
    ///
    /// Returns how many were deleted.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn drop_replaced_files(&mut self, replaced_for: Duration) -> Result<usize, SinkError> {
        let mut dropped = 0;
        for writer in self.lanes.iter_mut().flat_map(|lane| &mut lane.writers) {
            dropped += writer.drop_replaced_files(replaced_for).await?;
        }
        Ok(dropped)
    }
}

/// A stretch of the log: the latest change of each row group, and where to go on.
#[derive(Default)]
struct Batch {
    changes: BTreeMap<(Cell, RowKey), (Position, Change)>,
    next: BTreeMap<u32, u64>,
    messages: u64,
    bytes: usize,
}

impl Batch {
    /// The changes that a table at some positions has not applied yet.
    fn changes_from(&self, position: impl Fn(u32) -> u64) -> Vec<&Change> {
        self.changes.values().filter(|(at, _)| at.offset >= position(at.partition)).map(|(_, change)| change).collect()
    }
}

impl Lane {
    /// The lowest position of its tables.
    fn position(&self, partition: u32) -> Position {
        let offset = self.writers.iter().map(|writer| writer.position(partition)).min().unwrap_or(0);
        Position { topic: self.topic, partition, offset }
    }

    fn check_against<L: Log>(&self, log: &L, partitions: u32) -> Result<(), SinkError> {
        for partition in 0..partitions {
            let end = log.end(self.topic, partition)?.offset;
            if let Some(ahead) = self.writers.iter().find(|writer| writer.position(partition) > end) {
                let (table, applied) = (ahead.kind().name(), ahead.position(partition));
                return Err(SinkError::AheadOfLog { table, partition, applied, end });
            }
        }
        Ok(())
    }

    /// The next stretch of the log, at most [`limits::SINK_BATCH_BYTES`] of it; `None` at its end.
    ///
    /// Partitions of one bucket follow each other, so that a long stretch rewrites few files.
    fn read<L: Log>(&self, log: &L, partitions: u32) -> Result<Option<Batch>, SinkError> {
        let mut batch = Batch::default();
        let mut order: Vec<u32> = (0..partitions).collect();
        order.sort_by_key(|partition| (bucket_of(*partition), *partition));
        for partition in order {
            let mut from = self.position(partition);
            loop {
                let room = limits::SINK_BATCH_BYTES.saturating_sub(batch.bytes);
                if room == 0 {
                    return Ok(Some(batch));
                }
                let records = log.read(from, PollLimits { bytes: room, ..PollLimits::default() })?;
                let Some(last) = records.last() else { break };
                from.offset = last.offset + 1;
                batch.next.insert(partition, from.offset);
                for record in records {
                    batch.messages += 1;
                    batch.bytes += record.key.len() + record.value.len();
                    let change = Change::read(&record).map_err(|error| SinkError::UnreadableMessage {
                        topic: self.topic.name(),
                        partition,
                        offset: record.offset,
                        cause: error.to_string(),
                    })?;
                    let at = Position { topic: self.topic, partition, offset: record.offset };
                    batch.changes.insert((change.cell, change.key.clone()), (at, change));
                }
            }
        }
        Ok((batch.messages > 0).then_some(batch))
    }
}

async fn delete_files(root: &TableRoot, kind: Kind) -> Result<(), SinkError> {
    let storage = SinkError::storage("deleting", kind.name());
    let folder = root.file_path(kind.name(), "");
    let files: Vec<_> = root.store().list(Some(&folder)).map_ok(|file| file.location).try_collect().await.map_err(&storage)?;
    for file in files {
        root.store().delete(&file).await.map_err(&storage)?;
    }
    Ok(())
}
