//! All stored tables together: catching up with the log, and writing them anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloudigrade_schemas::Topic;
use cloudigrade_schemas::table::bucket_of;
use futures::TryStreamExt;
use futures::future::{join_all, try_join_all};
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::delta::{DeltaWriter, Rewritten};
use super::group::{Change, Kind};
use super::threads::on_threads;
use super::{SinkError, TableRoot};
use crate::limits;
use crate::log::{Log, PollLimits, Position, Record};

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
const LANES: [(Topic, &[Kind]); 7] = [
    (Topic::InstanceIntervals, &[Kind::Intervals, Kind::Events]),
    (Topic::Coverage, &[Kind::Coverage]),
    (Topic::DeadLetters, &[Kind::DeadLetters]),
    (Topic::Accounts, &[Kind::Accounts]),
    (Topic::Gaps, &[Kind::Gaps]),
    (Topic::ImageFacts, &[Kind::ImageFacts]),
    (Topic::Images, &[Kind::Images]),
];

impl Tables {
    /// Opens the tables, or makes them.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn open(root: &TableRoot, partitions: u32) -> Result<Self, SinkError> {
        let lanes = LANES.map(async |(topic, kinds)| {
            let writers = try_join_all(kinds.iter().map(|kind| DeltaWriter::open(root, *kind, topic, partitions))).await?;
            Ok::<_, SinkError>(Lane { topic, writers })
        });
        Ok(Self { lanes: try_join_all(lanes).await?, partitions })
    }

    /// Opens the tables, or makes them, and applies all that the log holds now. Where another process writes them at the same time, they are
    /// opened anew and it is tried again: it has written what this one then need not write.
    ///
    /// # Errors
    /// Any [`SinkError`]; [`SinkError::Superseded`] after [`limits::SUPERSEDED_MAX`] times.
    pub async fn open_caught_up<L: Log>(root: &TableRoot, log: &L) -> Result<(Self, Applied), SinkError> {
        let mut attempts = 1;
        loop {
            let mut tables = Self::open(root, log.partitions()).await?;
            match tables.catch_up(log).await {
                Err(SinkError::Superseded { .. }) if attempts < limits::SUPERSEDED_MAX => attempts += 1,
                applied => return Ok((tables, applied?)),
            }
        }
    }

    /// Writes the tables anew from what the log still holds: what they held is dropped first. A table that does not even open is deleted.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn rebuild<L: Log>(root: &TableRoot, log: &L) -> Result<Applied, SinkError> {
        for (topic, kinds) in LANES {
            let begin = |partition| log.begin(topic, partition).map(|begin| (partition, begin.offset));
            let begins = (0..log.partitions()).map(begin).collect::<Result<_, _>>()?;
            for kind in kinds {
                clear(root, *kind, topic, &begins).await?;
            }
        }
        Self::open_caught_up(root, log).await.map(|(_, applied)| applied)
    }

    /// Applies all that the log holds and the tables do not yet. What enters it meanwhile is for the next time: chasing a log that grows
    /// makes a commit, and new files, of every few messages, and need not end.
    ///
    /// # Errors
    /// Any [`SinkError`].
    pub async fn catch_up<L: Log>(&mut self, log: &L) -> Result<Applied, SinkError> {
        let partitions = self.partitions;
        // Nearly all is in one of them; the others wait for the storage more than they work. Each goes on to its end, whatever comes of the others.
        let lanes = join_all(self.lanes.iter_mut().map(|lane| lane.catch_up(log, partitions))).await;
        lanes.into_iter().try_fold(Applied::default(), |all, lane| {
            let lane = lane?;
            Ok(Applied { messages: all.messages + lane.messages, files: all.files + lane.files, commits: all.commits + lane.commits })
        })
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

/// A stretch of the log, and where to go on.
#[derive(Default)]
struct Stretch {
    records: Vec<Record>,
    next: BTreeMap<u32, u64>,
    bytes: usize,
}

impl Stretch {
    /// What its records say, with each: of each key the latest alone.
    fn changes<'s>(&'s self) -> Result<Vec<(&'s Record, Change<'s>)>, SinkError> {
        // In a partition later ones follow earlier ones, and a key has one partition.
        let latest: HashMap<&[u8], &Record> = self.records.iter().map(|record| (record.key.as_slice(), record)).collect();
        let is_latest = |record: &Record| latest.get(record.key.as_slice()).is_some_and(|latest| latest.offset == record.offset);
        let latest: Vec<&Record> = self.records.iter().filter(|record| is_latest(record)).collect();
        let share = latest.len().div_ceil(limits::DECODES_AT_ONCE_MAX).max(1);
        let read = |records: &[&'s Record]| records.iter().map(|record| Ok((*record, read_change(record)?))).collect::<Result<Vec<_>, _>>();
        let read = on_threads("all", latest.chunks(share).map(|records| move || read(records)))?;
        read.into_iter().collect::<Result<Vec<_>, _>>().map(|read| read.into_iter().flatten().collect())
    }
}

fn read_change(record: &Record) -> Result<Change<'_>, SinkError> {
    Change::read(record).map_err(|error| SinkError::UnreadableMessage {
        topic: record.topic.name(),
        partition: record.partition,
        offset: record.offset,
        cause: error.to_string(),
    })
}

impl Lane {
    /// Applies what the log holds and the tables do not yet.
    async fn catch_up<L: Log>(&mut self, log: &L, partitions: u32) -> Result<Applied, SinkError> {
        let mut applied = Applied::default();
        let ends = self.ends(log, partitions)?;
        while let Some(stretch) = self.read(log, &ends)? {
            for writer in &mut self.writers {
                writer.clean_before_checkpoint().await?;
            }
            applied.messages += stretch.records.len() as u64;
            let changes = stretch.changes()?;
            let rewritten = self.rewrite(&changes)?;
            let writers = self.writers.iter_mut().zip(rewritten);
            // Each to its end: a commit that is given up halfway leaves its writer not knowing what its table holds.
            let applies = writers.map(|(writer, rewritten)| writer.apply(rewritten, &stretch.next));
            let files = join_all(applies).await.into_iter().collect::<Result<Vec<usize>, SinkError>>()?;
            applied.files += files.iter().sum::<usize>();
            applied.commits += files.len() as u64;
        }
        Ok(applied)
    }

    /// The lowest position of its tables.
    fn position(&self, partition: u32) -> Position {
        let offset = self.writers.iter().map(|writer| writer.position(partition)).min().unwrap_or(0);
        Position { topic: self.topic, partition, offset }
    }

    /// The log's ends. No table may have applied more.
    fn ends<L: Log>(&self, log: &L, partitions: u32) -> Result<Vec<Position>, SinkError> {
        let ends = (0..partitions).map(|partition| log.end(self.topic, partition)).collect::<Result<Vec<_>, _>>()?;
        for &Position { partition, offset: end, .. } in &ends {
            if let Some(ahead) = self.writers.iter().find(|writer| writer.position(partition) > end) {
                let (table, applied) = (ahead.kind().name(), ahead.position(partition));
                return Err(SinkError::AheadOfLog { table, partition, applied, end });
            }
        }
        Ok(ends)
    }

    /// Rewrites the files of all its tables that have not applied some changes yet, [`limits::REWRITES_AT_ONCE_MAX`] at a time.
    ///
    /// The threads wait for the store themselves, so the caller's runtime needs a thread of its own beside this one for a store in a network.
    fn rewrite(&self, changes: &[(&Record, Change<'_>)]) -> Result<Vec<Vec<Rewritten>>, SinkError> {
        let files_of = |writer: &DeltaWriter| {
            let is_due = |record: &Record| record.offset >= writer.position(record.partition);
            let due: Vec<_> = changes.iter().filter(|(record, _)| is_due(record)).map(|(_, change)| change).collect();
            writer.files_of(&due)
        };
        let files: Vec<_> = self.writers.iter().map(files_of).collect();
        let queue = Mutex::new(files.iter().enumerate().flat_map(|(table, files)| files.iter().map(move |file| (table, file))));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let runtime = Handle::current();
        let rewrite_some = || -> Result<Vec<(usize, Rewritten)>, SinkError> {
            let mut done = Vec::new();
            while let Some((table, file)) = next() {
                done.push((table, runtime.block_on(self.writers[table].rewrite(file))?));
            }
            Ok(done)
        };
        let mut rewritten: Vec<Vec<Rewritten>> = self.writers.iter().map(|_| Vec::new()).collect();
        for done in on_threads(self.topic.name(), (0..limits::REWRITES_AT_ONCE_MAX).map(|_| &rewrite_some))? {
            done?.into_iter().for_each(|(table, file)| rewritten[table].push(file));
        }
        Ok(rewritten)
    }

    /// The next stretch of the log, at most [`limits::SINK_BATCH_BYTES`] of it; `None` at these ends.
    ///
    /// Partitions of one bucket follow each other, so that a long stretch rewrites few files.
    fn read<L: Log>(&self, log: &L, ends: &[Position]) -> Result<Option<Stretch>, SinkError> {
        let mut stretch = Stretch::default();
        let mut order = ends.to_vec();
        order.sort_by_key(|end| (bucket_of(end.partition), end.partition));
        for Position { partition, offset: end, .. } in order {
            let mut from = self.position(partition);
            while from.offset < end {
                let room = limits::SINK_BATCH_BYTES.saturating_sub(stretch.bytes);
                if room == 0 {
                    return Ok(Some(stretch));
                }
                let records = log.read(from, PollLimits { bytes: room, ..PollLimits::default() })?;
                let Some(last) = records.last() else { break };
                from.offset = last.offset + 1;
                stretch.next.insert(partition, from.offset);
                stretch.bytes += records.iter().map(|record| record.key.len() + record.value.len()).sum::<usize>();
                stretch.records.extend(records);
            }
        }
        Ok((!stretch.records.is_empty()).then_some(stretch))
    }
}

/// Drops all rows of a table, and makes it where it is not.
async fn clear(root: &TableRoot, kind: Kind, topic: Topic, begins: &BTreeMap<u32, u64>) -> Result<(), SinkError> {
    let partitions = u32::try_from(begins.len()).unwrap_or(u32::MAX);
    let mut attempts = 1;
    loop {
        let cleared = match DeltaWriter::open(root, kind, topic, partitions).await {
            Ok(mut writer) => writer.clear(begins).await,
            Err(SinkError::Damaged { .. }) => {
                delete_files(root, kind).await?;
                // Made anew, it is told where to begin.
                DeltaWriter::open(root, kind, topic, partitions).await?.clear(begins).await
            }
            Err(error) => Err(error),
        };
        match cleared {
            Err(SinkError::Superseded { .. }) if attempts < limits::SUPERSEDED_MAX => attempts += 1,
            cleared => return cleared,
        }
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
