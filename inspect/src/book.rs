//! What the worker knows, and how it is made durable: one task of the log.
//!
//! The task's fence is the worker's lease: of two workers the one that opened it later goes on, and nothing that the other one still finds out
//! becomes durable. Memory follows the log: it changes when a commit has succeeded.

use std::collections::{BTreeMap, BTreeSet};

use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{LogError, PollLimits, Position, Task, TaskSpec, Txn};
use cloudigrade_schemas::findings::{Findings, ImageFindings};
use cloudigrade_schemas::image_fact::{Fact, InspectionProgress};
use cloudigrade_schemas::inspection::{CommandId, InspectionState, Reader, SourceDisk};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{DeadLetter, ImageFact, Inspection, InspectionCommand, Topic, UtcSecond};
use serde::{Deserialize, Serialize};

use crate::advance::stage_of;
use crate::batch::Batch;
use crate::limits::{COMMANDS_PER_COMMIT, COMMITS_REPEATED_MAX};
use crate::record::{self, BATCHES, CONTENTS, CONTENTS_OF, INSPECTIONS, PLACES, image_key};

/// The worker's task. Opening it fences the worker before.
pub const TASK: TaskSpec = TaskSpec::alone("inspect", &[Topic::InspectionCommands]);

/// The cloud that findings are of.
pub(crate) const CLOUD: &str = "aws";

/// An account and a region in which images were copied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ReadersPlace {
    pub(crate) reader: Reader,
    pub(crate) region: String,
}

/// What becomes durable together.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// Inspections as they are now.
    pub(crate) inspections: Vec<Inspection>,
    /// Batches as they are now.
    pub(crate) batches: Vec<Batch>,
    /// Batches that are over and gone.
    pub(crate) gone: Vec<Batch>,
    /// What was found in an image, in which region, and by which attempt.
    pub(crate) findings: Vec<Found>,
    /// Messages that are none.
    pub(crate) letters: Vec<DeadLetter>,
    /// Where to go on reading commands.
    pub(crate) positions: Vec<Position>,
}

/// What was found in an image.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) image_id: String,
    pub(crate) region: String,
    /// The attempt that found it.
    pub(crate) command_id: CommandId,
    /// The snapshot of the image's disk.
    pub(crate) snapshot_id: Option<String>,
    /// The snapshot that was read instead, of which the image's is a copy or which it is, if its own was not read now.
    pub(crate) known_from: Option<String>,
    pub(crate) at: UtcSecond,
    pub(crate) findings: Box<ImageFindings>,
}

/// Commands that were read, and where to go on after them.
pub(crate) struct Commands {
    pub(crate) commands: Vec<InspectionCommand>,
    pub(crate) positions: Vec<Position>,
    /// Messages that do not read: they were not written by this program.
    pub(crate) unreadable: u64,
    /// Whether the log could be asked, which it answers only to the worker that has the task.
    pub(crate) asked: bool,
}

/// What the worker knows.
pub(crate) struct Book<T> {
    /// Absent while it is being used on a thread that may block.
    task: Option<T>,
    partitions: u32,
    live: BTreeMap<CommandId, Inspection>,
    batches: BTreeMap<String, Batch>,
    places: BTreeSet<ReadersPlace>,
}

impl<T: Task + 'static> Book<T> {
    /// Reads what an earlier worker left.
    pub(crate) fn open(task: T, partitions: u32) -> Result<Self, LogError> {
        let (mut live, mut batches, mut places) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for partition in 0..partitions {
            let inspections: Vec<Inspection> = record::scan(&task, INSPECTIONS, partition, "")?;
            let open = inspections.into_iter().filter(|inspection| inspection.state != InspectionState::Over);
            live.extend(open.map(|inspection| (inspection.command_id.clone(), inspection)));
            let of_partition: Vec<Batch> = record::scan(&task, BATCHES, partition, "")?;
            batches.extend(of_partition.into_iter().map(|batch| (batch.batch_id.clone(), batch)));
            places.extend(record::scan::<ReadersPlace>(&task, PLACES, partition, "")?);
        }
        Ok(Self { task: Some(task), partitions, live, batches, places })
    }

    /// The inspections that are not over.
    pub(crate) fn live(&self) -> &BTreeMap<CommandId, Inspection> {
        &self.live
    }

    /// The batches whose scanners are not gone.
    pub(crate) fn batches(&self) -> &BTreeMap<String, Batch> {
        &self.batches
    }

    /// Remembers, until the worker ends, when inspections that wait are to be looked at next.
    pub(crate) fn put_off(&mut self, waiting: Vec<Inspection>) {
        self.live.extend(waiting.into_iter().map(|inspection| (inspection.command_id.clone(), inspection)));
    }

    /// Where images were copied.
    pub(crate) fn places(&self) -> &BTreeSet<ReadersPlace> {
        &self.places
    }

    /// The newest attempt to inspect an image, also one that is over.
    pub(crate) async fn newest(&mut self, image_id: &str) -> Result<Option<Inspection>, LogError> {
        let (partitions, image) = (self.partitions, image_id.to_owned());
        self.off_the_runtime(move |task| record::of_image(task, partitions, &image)).await.map(|mut attempts| attempts.pop())
    }

    /// An attempt to inspect an image, also one that is over.
    pub(crate) async fn attempt(&mut self, image_id: &str, attempt: u32) -> Result<Option<Inspection>, LogError> {
        let (partitions, key) = (self.partitions, record::key(image_id, attempt));
        let partition = partition_of(image_id.as_bytes(), partitions);
        self.off_the_runtime(move |task| Cx::new(&*task, partitions).get_json(INSPECTIONS, partition, key.as_bytes())).await
    }

    /// What is known of a disk without reading it, and the snapshot that was read: another image of the same snapshot, or one that this is a copy of,
    /// was inspected before.
    pub(crate) async fn contents(&mut self, disk: &SourceDisk) -> Result<Option<(String, Box<ImageFindings>)>, LogError> {
        let (partitions, disk) = (self.partitions, disk.clone());
        let known = move |task: &mut T| {
            let cx = Cx::new(&*task, partitions);
            let get = |key: &str| cx.get_json::<String>(CONTENTS_OF, partition_of(key.as_bytes(), partitions), key.as_bytes());
            let source = disk.copy_of.as_ref().map(|source| image_key(&source.region, &source.image_id));
            let pointed = match (get(&disk.snapshot_id)?, source) {
                (None, Some(source)) => get(&source)?,
                (pointed, _) => pointed,
            };
            let snapshot = pointed.unwrap_or(disk.snapshot_id);
            let found = cx.get_json(CONTENTS, partition_of(snapshot.as_bytes(), partitions), snapshot.as_bytes())?;
            Ok(found.map(|found| (snapshot, found)))
        };
        self.off_the_runtime(known).await
    }

    /// The next commands, if there are any. They are taken once their positions are committed.
    pub(crate) async fn commands(&mut self) -> Result<Commands, LogError> {
        let limits = PollLimits { records: COMMANDS_PER_COMMIT, wait: std::time::Duration::ZERO, ..PollLimits::default() };
        let polled = self.off_the_runtime(move |task| task.poll(limits)).await;
        let (asked, records) = match polled {
            Err(LogError::Retry { .. }) => (false, Vec::new()),
            polled => (true, polled?),
        };
        let mut told = Commands { commands: Vec::new(), positions: Vec::new(), unreadable: 0, asked };
        let mut behind = BTreeMap::new();
        for record in &records {
            behind.insert((record.topic, record.partition), record.offset + 1);
            match serde_json::from_slice(&record.value) {
                Ok(command) => told.commands.push(command),
                Err(_) => told.unreadable += 1,
            }
        }
        told.positions = behind.into_iter().map(|((topic, partition), offset)| Position { topic, partition, offset }).collect();
        Ok(told)
    }

    /// Makes something durable. Gives whether it is: commands whose commit was given up are read again.
    pub(crate) async fn commit(&mut self, entry: Entry, now: UtcSecond) -> Result<bool, LogError> {
        let txn = self.transaction(&entry, now)?;
        if txn.is_empty() {
            return Ok(true);
        }
        for _ in 0..COMMITS_REPEATED_MAX {
            let again = txn.clone();
            match self.off_the_runtime(move |task| task.commit(again)).await {
                Ok(()) => {
                    self.remember(entry);
                    return Ok(true);
                }
                // The task goes on from its committed positions.
                Err(LogError::Abort { .. }) if !entry.positions.is_empty() => return Ok(false),
                Err(LogError::Abort { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(LogError::Storage {
            doing: "writing how far inspections are",
            cause: format!("it was given up {COMMITS_REPEATED_MAX} times"),
            help: "see what is the matter with the log, and start the program again",
        })
    }

    fn transaction(&self, entry: &Entry, now: UtcSecond) -> Result<Txn, LogError> {
        let nothing = NoState;
        let mut cx = Cx::new(&nothing, self.partitions);
        for found in &entry.findings {
            self.send_findings(&mut cx, found, now)?;
        }
        for inspection in &entry.inspections {
            self.send_inspection(&mut cx, inspection, now)?;
        }
        for batch in &entry.batches {
            cx.put_json(BATCHES, self.partition_of_batch(batch), batch.batch_id.as_bytes(), batch)?;
        }
        for batch in &entry.gone {
            cx.delete(BATCHES, self.partition_of_batch(batch), batch.batch_id.as_bytes());
        }
        for letter in &entry.letters {
            cx.send_json(Topic::DeadLetters, letter.id.as_bytes(), letter, now)?;
        }
        let (mut txn, _) = cx.finish();
        txn.positions.clone_from(&entry.positions);
        Ok(txn)
    }

    fn send_inspection(&self, cx: &mut Cx<'_>, inspection: &Inspection, now: UtcSecond) -> Result<(), LogError> {
        let partition = partition_of(inspection.image_id.as_bytes(), self.partitions);
        let key = record::key(&inspection.image_id, inspection.attempt);
        cx.put_json(INSPECTIONS, partition, key.as_bytes(), inspection)?;
        cx.send_to(Topic::Inspections, partition, inspection.to_key().as_bytes(), Cx::encode(inspection)?, now);
        if let Some(place) = place_of(inspection) {
            cx.put_json(PLACES, partition, format!("{}/{}", place.reader.account_id, place.region).as_bytes(), &place)?;
        }
        let before = self.live.get(&inspection.command_id).and_then(stage_of);
        let Some(progress) = stage_of(inspection).filter(|stage| Some(stage) != before.as_ref()) else { return Ok(()) };
        let fact = ImageFact {
            image_id: inspection.image_id.clone(),
            region: inspection.region.clone(),
            at: inspection.changed_at,
            source: source_of(&inspection.command_id),
            fact: Fact::Inspection(InspectionProgress { attempt: inspection.attempt, progress }),
        };
        cx.send_to(Topic::ImageFacts, partition, fact.to_key().as_bytes(), Cx::encode(&fact)?, now);
        Ok(())
    }

    fn send_findings(&self, cx: &mut Cx<'_>, found: &Found, now: UtcSecond) -> Result<(), LogError> {
        let partition = partition_of(found.image_id.as_bytes(), self.partitions);
        let images = BTreeMap::from([(found.image_id.clone(), (*found.findings).clone())]);
        let findings = Findings { cloud: CLOUD.to_owned(), errors: found.findings.errors.clone(), images };
        cx.send_to(Topic::InspectionFindings, partition, found.image_id.as_bytes(), Cx::encode(&findings)?, now);
        if let Some(snapshot) = &found.snapshot_id {
            self.keep_contents(cx, found, snapshot)?;
        }
        for fact in ImageFact::of_findings(findings, &found.region, found.at, &source_of(&found.command_id)) {
            cx.send_to(Topic::ImageFacts, partition, fact.to_key().as_bytes(), Cx::encode(&fact)?, now);
        }
        Ok(())
    }

    /// So that neither other images of the snapshot nor copies of this image are read again.
    fn keep_contents(&self, cx: &mut Cx<'_>, found: &Found, snapshot: &str) -> Result<(), LogError> {
        let of = |key: &str| partition_of(key.as_bytes(), self.partitions);
        if found.known_from.is_none() {
            cx.put_json(CONTENTS, of(snapshot), snapshot.as_bytes(), &found.findings)?;
        }
        let read = found.known_from.as_deref().unwrap_or(snapshot);
        for key in [image_key(&found.region, &found.image_id), snapshot.to_owned()] {
            cx.put_json(CONTENTS_OF, of(&key), key.as_bytes(), &read)?;
        }
        Ok(())
    }

    fn partition_of_batch(&self, batch: &Batch) -> u32 {
        let first = batch.members.first().map_or("", |member| member.image_id.as_str());
        partition_of(first.as_bytes(), self.partitions)
    }

    fn remember(&mut self, entry: Entry) {
        for inspection in entry.inspections {
            self.places.extend(place_of(&inspection));
            match inspection.state {
                InspectionState::Over => self.live.remove(&inspection.command_id),
                _ => self.live.insert(inspection.command_id.clone(), inspection),
            };
        }
        self.batches.extend(entry.batches.into_iter().map(|batch| (batch.batch_id.clone(), batch)));
        for batch in entry.gone {
            self.batches.remove(&batch.batch_id);
        }
    }

    /// Does something with the task where waiting for a disk keeps nobody else waiting.
    async fn off_the_runtime<R: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut T) -> Result<R, LogError> + Send + 'static,
    ) -> Result<R, LogError> {
        let lost = || LogError::Storage {
            doing: "using the worker's task",
            cause: "an earlier use of it ended abnormally".to_owned(),
            help: "start the program again",
        };
        let mut task = self.task.take().ok_or_else(lost)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work(&mut task);
            (task, done)
        });
        let (task, done) = working.await.map_err(|_| lost())?;
        self.task = Some(task);
        done
    }
}

/// Where something of an inspection may be in its reader's account.
fn place_of(inspection: &Inspection) -> Option<ReadersPlace> {
    let reader = inspection.reader.clone().filter(|_| inspection.state == InspectionState::CopyingImage)?;
    Some(ReadersPlace { reader, region: inspection.region.clone() })
}

/// Where facts that an attempt found out were learned.
fn source_of(command_id: &CommandId) -> String {
    format!("inspection {command_id}")
}

/// What the transactions of the worker need of the state: nothing. All that is in it is in memory.
struct NoState;

impl cloudigrade_pipeline::log::StateRead for NoState {
    fn get(&self, _: cloudigrade_pipeline::log::Store, _: u32, _: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        Ok(None)
    }

    fn scan(&self, _: cloudigrade_pipeline::log::Store, _: u32, _: &[u8]) -> Result<Vec<cloudigrade_pipeline::log::KeyValue>, LogError> {
        Ok(Vec::new())
    }
}
