//! Reading places into the log: workers decode, one thread commits, one drives each operator.
//!
//! ```text
//! feed -> reader -> worker (inflate, scan) --\
//! feed -> reader -> worker (inflate, scan) ---> committer: messages + "was read", one commit -> log -> extract -> log -> intervals
//!                                                                                                                   \\-> image_tags, sightings -> log -> images
//! ```
//! When all was read, a look at the digests among it says which log files are missing.
//!
//! What an object gave and that it was read are committed together, so a run that is interrupted anywhere is continued by the next one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cloudigrade_pipeline::engine::{Counters, Cx, Operator};
use cloudigrade_pipeline::log::{Log, LogError, Task, TaskSpec};
use cloudigrade_pipeline::operators::{Extract, ImageTags, Images, Intervals, Sightings, counted};
use cloudigrade_schemas::{DeadLetterReason, UtcSecond};

use super::ahead::{Read, read_ahead};
use super::drive::{EXTRACT, IMAGE_TAGS, IMAGES, INTERVALS, SIGHTINGS, drive};
use super::feed::{Delivery, Feed, FeedError, Object};
use super::gate::{Gate, Pass};
use super::harvest::Harvest;
use crate::codec::{CodecLimits, Decoder, ObjectKind};
use crate::completeness::{Rules, look};
use crate::limits::{
    BUNDLE_BYTES, BUNDLE_OBJECTS, COMMIT_BYTES, COMMIT_LINGER, COMMIT_OBJECTS, COMMIT_RECORDS, HARVEST_QUEUE_MAX, IN_FLIGHT_BYTES_MAX,
    INFLATED_BYTES_MAX, LARGE_OBJECT_BYTES,
};

/// The task under which objects enter the log.
const SOURCE: TaskSpec = TaskSpec::of_each("source.objects");
/// How long an operator's task waits for records before it looks whether it may end.
const OPERATORS_WAIT: Duration = Duration::from_millis(2);

/// How to ingest.
#[derive(Clone, Copy, Debug)]
pub struct IngestOptions {
    /// Threads that decode. Beside each, one reads.
    pub threads: usize,
    /// What one object may cost.
    pub codec: CodecLimits,
}

/// What was done so far. Other threads may look at it while it goes on.
#[derive(Debug, Default)]
pub struct Progress {
    files: AtomicU64,
    files_known: AtomicU64,
    files_other: AtomicU64,
    bytes: AtomicU64,
    records: AtomicU64,
    stop: AtomicBool,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Files read.
    pub files: u64,
    /// Files that were read before and have not changed since: passed over.
    pub files_known: u64,
    /// Files among those read that are digests or Insights: no records.
    pub files_other: u64,
    /// Bytes read, as stored.
    pub bytes: u64,
    /// CloudTrail records in the files read.
    pub records: u64,
    /// Distinct CloudTrail records that are power events.
    pub power_records: u64,
    /// Power events: one an instance.
    pub power_events: u64,
    /// Repeated deliveries of a power record.
    pub duplicates: u64,
    /// Files and records that could not be used.
    pub dead_letters: u64,
    /// Whether it was told to stop before the end.
    pub interrupted: bool,
}

/// Why ingesting stopped.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A place cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The log failed. What was committed stays; run the command again to go on.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The system gives no thread.
    #[error("no thread can be started: {0}; raise the limit of processes (ulimit -u), or ask for fewer with --threads")]
    Threads(std::io::Error),
}

impl Summary {
    /// Adds what another run did.
    pub fn merge(&mut self, other: &Self) {
        self.files += other.files;
        self.files_known += other.files_known;
        self.files_other += other.files_other;
        self.bytes += other.bytes;
        self.records += other.records;
        self.power_records += other.power_records;
        self.power_events += other.power_events;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
        self.interrupted |= other.interrupted;
    }
}

impl Progress {
    /// Asks to stop after what is being read now.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// What was done so far; what the operators count comes only at the end.
    pub fn so_far(&self) -> Summary {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Summary {
            files: read(&self.files),
            files_known: read(&self.files_known),
            files_other: read(&self.files_other),
            bytes: read(&self.bytes),
            records: read(&self.records),
            interrupted: self.stop.load(Ordering::Relaxed),
            ..Summary::default()
        }
    }
}

/// Reads all that the feeds give into the log, and lets the operators catch up.
///
/// # Errors
/// [`IngestError`]; all that was committed until then stays.
pub fn ingest<L: Log>(log: &L, feeds: &[Box<dyn Feed>], options: IngestOptions, progress: &Progress) -> Result<Summary, IngestError> {
    let all: Vec<u32> = (0..log.partitions()).collect();
    let source = log.open_task(SOURCE, &all)?;
    let extract = log.open_task(EXTRACT, &all)?;
    let intervals = log.open_task(INTERVALS, &all)?;
    let image_tags = log.open_task(IMAGE_TAGS, &all)?;
    let sightings = log.open_task(SIGHTINGS, &all)?;
    let images = log.open_task(IMAGES, &all)?;
    let run = Run {
        feeds,
        options,
        progress,
        partitions: log.partitions(),
        gate: Gate::new(IN_FLIGHT_BYTES_MAX),
        large: Mutex::new(()),
        source_done: AtomicBool::new(false),
        extract_done: AtomicBool::new(false),
        image_facts_done: AtomicBool::new(false),
        failed: AtomicBool::new(false),
    };
    let (committed, counters) = thread::scope(|scope| {
        let complete = Completes(&run.source_done);
        let (sender, receiver) = sync_channel(HARVEST_QUEUE_MAX);
        let worker = |number| {
            let (run, sender) = (&run, sender.clone());
            named(&format!("decode-{number}")).spawn_scoped(scope, move || run.work(number, &sender)).map_err(IngestError::Threads)
        };
        let workers = (0..options.threads.max(1)).map(worker).collect::<Result<Vec<_>, _>>()?;
        drop(sender);
        let extract = || {
            let _complete = Completes(&run.extract_done);
            run.fold(extract, EXTRACT, &Extract, &run.source_done)
        };
        let intervals = || run.fold(intervals, INTERVALS, &Intervals, &run.extract_done);
        // Complete when both have ended.
        let facts_complete = Arc::new(Completes(&run.image_facts_done));
        let uses_complete = Arc::clone(&facts_complete);
        let run = &run;
        let image_tags = move || {
            let _complete = facts_complete;
            run.fold(image_tags, IMAGE_TAGS, &ImageTags, &run.extract_done)
        };
        let sightings = move || {
            let _complete = uses_complete;
            run.fold(sightings, SIGHTINGS, &Sightings, &run.extract_done)
        };
        let images = || run.fold(images, IMAGES, &Images, &run.image_facts_done);
        let extracted = named("extract").spawn_scoped(scope, extract).map_err(IngestError::Threads)?;
        let folded = named("intervals").spawn_scoped(scope, intervals).map_err(IngestError::Threads)?;
        let tagged = named("image-tags").spawn_scoped(scope, image_tags).map_err(IngestError::Threads)?;
        let seen = named("sightings").spawn_scoped(scope, sightings).map_err(IngestError::Threads)?;
        let known = named("images").spawn_scoped(scope, images).map_err(IngestError::Threads)?;
        let committed = run.commit_all(source, &receiver);
        // Workers that wait for room in the queue end when it is gone.
        drop(receiver);
        let worked = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let worked: Result<(), IngestError> = worked.collect();
        drop(complete);
        let ended = [extracted, folded, tagged, seen, known]
            .map(|operator| operator.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        let dead_letters = committed.and_then(|dead_letters| worked.map(|()| dead_letters))?;
        let mut counters = Counters::default();
        for operator in ended {
            counters.merge(&operator?);
        }
        Ok::<_, IngestError>((dead_letters, counters))
    })?;
    Ok(Summary {
        power_records: counters.get(counted::POWER_RECORDS),
        power_events: counters.get(counted::POWER_EVENTS),
        duplicates: counters.get(counted::DUPLICATES),
        dead_letters: committed + counters.get(counted::DEAD_LETTERS),
        ..progress.so_far()
    })
}

/// Harvested objects on their way from a worker to the committer, which they wake once, not one by one.
struct Bundle<'a> {
    harvests: Vec<Harvest>,
    pass: Pass<'a>,
}

/// What the threads of one run share.
struct Run<'a> {
    feeds: &'a [Box<dyn Feed>],
    options: IngestOptions,
    progress: &'a Progress,
    partitions: u32,
    /// Bounds what is read but not yet committed.
    gate: Gate,
    /// Large objects are decoded one at a time.
    large: Mutex<()>,
    source_done: AtomicBool,
    extract_done: AtomicBool,
    image_facts_done: AtomicBool,
    failed: AtomicBool,
}

/// Says that what a thread makes is complete, however the thread ends: whoever waits for it ends too.
struct Completes<'a>(&'a AtomicBool);

impl Drop for Completes<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl<'a> Run<'a> {
    fn stopping(&self) -> bool {
        self.progress.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }

    /// A worker: until the feeds end, somebody asks to stop, or the committer is gone. A thread beside it reads.
    fn work<'r>(&'r self, number: usize, bundles: &SyncSender<Bundle<'r>>) -> Result<(), IngestError> {
        // It waits with what it has read until that is asked for.
        let (sender, read) = sync_channel(0);
        thread::scope(|scope| {
            let reader = move || read_ahead(self.feeds, || self.stopping(), &sender);
            let started = named(&format!("read-{number}")).spawn_scoped(scope, reader).map_err(IngestError::Threads);
            started.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
            self.decode(read, bundles)
        })
    }

    fn decode<'r>(&'r self, read: Receiver<Read>, bundles: &SyncSender<Bundle<'r>>) -> Result<(), IngestError> {
        let mut decoder = Decoder::new(self.options.codec);
        let (mut harvests, mut bytes, mut began) = (Vec::new(), 0, Instant::now());
        for read in read {
            for delivery in read.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))? {
                if self.stopping() {
                    break;
                }
                let Some(harvest) = self.harvest(&mut decoder, delivery) else { continue };
                if harvests.is_empty() {
                    began = Instant::now();
                }
                bytes += harvest.bytes();
                harvests.push(harvest);
                let is_full = harvests.len() >= BUNDLE_OBJECTS || bytes >= BUNDLE_BYTES || began.elapsed() >= COMMIT_LINGER;
                if is_full && !self.hand_over(std::mem::take(&mut harvests), std::mem::take(&mut bytes), bundles) {
                    return Ok(());
                }
            }
        }
        self.hand_over(harvests, bytes, bundles);
        Ok(())
    }

    /// Gives harvests to the committer, once there is room for them; whether it is still there. They are let in together: who waits for room
    /// with some of it in hand could wait for ever.
    fn hand_over<'r>(&'r self, harvests: Vec<Harvest>, bytes: usize, bundles: &SyncSender<Bundle<'r>>) -> bool {
        harvests.is_empty() || bundles.send(Bundle { harvests, pass: self.gate.enter(bytes) }).is_ok()
    }

    fn harvest(&self, decoder: &mut Decoder, delivery: Delivery) -> Option<Harvest> {
        let add = |counter: &AtomicU64, n: u64| counter.fetch_add(n, Ordering::Relaxed);
        let harvest = match delivery {
            Delivery::Known(_) => {
                add(&self.progress.files_known, 1);
                return None;
            }
            Delivery::Unreadable(object, cause) => Harvest::unusable(
                object,
                DeadLetterReason::Unreadable,
                format!("{cause}; mend the access and ingest it again"),
                Default::default(),
            ),
            Delivery::TooLarge(object, beginning) => {
                let detail = too_large(&object);
                Harvest::unusable(object, DeadLetterReason::TooLarge, detail, beginning)
            }
            Delivery::Object(object, content) => {
                add(&self.progress.bytes, object.size);
                let alone = inflated_estimate(&content) > LARGE_OBJECT_BYTES;
                let _alone = alone.then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner));
                Harvest::of(object, decoder.decode(&content))
            }
        };
        add(&self.progress.files, 1);
        add(&self.progress.files_other, u64::from(matches!(harvest.kind, ObjectKind::Digest | ObjectKind::Insight)));
        add(&self.progress.records, harvest.records);
        Some(harvest)
    }

    /// Commits what the workers give, many objects at once. Returns how many dead letters there were.
    fn commit_all<T: Task>(&self, mut source: T, bundles: &Receiver<Bundle<'_>>) -> Result<u64, IngestError> {
        let mut dead_letters = 0;
        while let Ok(Bundle { harvests: mut batch, pass }) = bundles.recv() {
            let mut passes = vec![pass];
            let weigh = |harvests: &[Harvest]| {
                harvests.iter().fold((0, 0), |(records, bytes), harvest| (records + harvest.messages(), bytes + harvest.bytes()))
            };
            let (mut records, mut bytes) = weigh(&batch);
            while records < COMMIT_RECORDS && bytes < COMMIT_BYTES && batch.len() < COMMIT_OBJECTS {
                let Bundle { harvests, pass } = match bundles.recv_timeout(COMMIT_LINGER) {
                    Ok(next) => next,
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                };
                let (more_records, more_bytes) = weigh(&harvests);
                records += more_records;
                bytes += more_bytes;
                batch.extend(harvests);
                passes.push(pass);
            }
            dead_letters += batch.iter().map(Harvest::dead_letters).sum::<u64>();
            self.commit(&mut source, batch).inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        }
        // What was not read yet because somebody stopped the reading is not missing.
        if !self.stopping() {
            self.look_for_gaps(&mut source).inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?;
        }
        Ok(dead_letters)
    }

    /// Says what is missing by the digests that were read, now or before.
    fn look_for_gaps<T: Task>(&self, source: &mut T) -> Result<(), LogError> {
        let now = now();
        for partition in 0..self.partitions {
            let mut entries = look(&*source, self.partitions, partition, &Rules::at_the_end(), now)?.into_iter().peekable();
            while entries.peek().is_some() {
                let mut bytes = 0;
                let mut cx = Cx::new(&*source, self.partitions);
                while let Some(entry) = entries.next_if(|_| bytes < COMMIT_BYTES) {
                    bytes += entry.bytes();
                    entry.put_into(&mut cx, self.partitions, now)?;
                }
                let (txn, _) = cx.finish();
                if !txn.is_empty() {
                    source.commit(txn)?;
                }
            }
        }
        Ok(())
    }

    fn commit<T: Task>(&self, source: &mut T, batch: Vec<Harvest>) -> Result<(), LogError> {
        let now = now();
        let mut cx = Cx::new(&*source, self.partitions);
        batch.into_iter().try_for_each(|harvest| harvest.put_into(&mut cx, self.partitions, now))?;
        let (txn, _) = cx.finish();
        if txn.is_empty() {
            return Ok(());
        }
        source.commit(txn)
    }

    fn fold<T: Task>(&self, task: T, spec: TaskSpec, operator: &dyn Operator, complete: &AtomicBool) -> Result<Counters, IngestError> {
        let folded = drive(task, spec.id, self.partitions, operator, complete, OPERATORS_WAIT, |_| {});
        Ok(folded.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))?)
    }
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.to_owned())
}

fn too_large(object: &Object) -> String {
    format!(
        "{} bytes are over the limit of {INFLATED_BYTES_MAX} bytes for one object; CloudTrail writes far smaller ones: split it by lines or records",
        object.size
    )
}

/// What an object will take in memory, by what gzip itself says (its last four bytes). A hint: the decoder's limit is what holds.
pub(super) fn inflated_estimate(content: &[u8]) -> usize {
    let hint = content.last_chunk::<4>().map_or(0, |last| u32::from_le_bytes(*last) as usize);
    if content.starts_with(&[0x1f, 0x8b]) { hint.max(content.len()) } else { content.len() }
}

/// The wall clock, which stamps when facts enter. A clock that is wrong makes stamps wrong, never numbers.
fn now() -> UtcSecond {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcSecond(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
