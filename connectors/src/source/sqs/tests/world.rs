//! A source with a queue, buckets and a clock that do as they are told, and a log in memory.

use std::sync::Arc;
use std::time::Duration;

use cloudigrade_pipeline::log::{Log, PollLimits, Position};
use cloudigrade_pipeline::simulated::{Faults, SimulatedLog};
use cloudigrade_schemas::{DeadLetter, Topic, UtcSecond};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use super::clock::StillClock;
pub use super::files::{etag, gzip, key, log_file, notify, uri};
pub use super::objects::{Answer, FakeObjects};
pub use super::queue::{DeleteFault, FakeQueue, denied, failure, throttled};
use crate::codec::CodecLimits;
use crate::source::committer::{Committer, NotCommitted};
use crate::source::ledger;
use crate::source::letters::open_letters;
use crate::source::readiness::Readiness;
use crate::source::sqs::clock::Clock;
use crate::source::sqs::options::SqsOptions;
use crate::source::sqs::{Inside, Outside, SqsSource};

/// How long a condition may take to come true: far longer than it needs, so that only a test that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The ids of the records in a log, sorted, with repetitions.
pub fn record_ids(log: &SimulatedLog) -> Vec<String> {
    let read = |partition| {
        let from = Position { topic: Topic::CloudTrailRecords, partition, offset: 0 };
        log.read(from, PollLimits { records: 100_000, ..PollLimits::default() }).unwrap()
    };
    let mut ids: Vec<String> = (0..log.partitions()).flat_map(read).map(|record| String::from_utf8(record.key).unwrap()).collect();
    ids.sort();
    ids
}

/// All of it, with a log behind.
pub struct World {
    pub clock: Arc<StillClock>,
    pub queue: Arc<FakeQueue>,
    pub objects: Arc<FakeObjects>,
    pub log: SimulatedLog,
    pub readiness: Readiness,
    pub options: SqsOptions,
}

/// A source that runs.
pub struct Running {
    pub stop: CancellationToken,
    pub now: CancellationToken,
    pub done: JoinHandle<Result<(), NotCommitted>>,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(StillClock::default());
        let mut options = SqsOptions::new("https://sqs.us-east-1.amazonaws.com/000000000012/trail-queue", vec!["trail".into()]);
        options.workers = 4;
        let queue = Arc::new(FakeQueue::new(clock.clone(), options.visibility_timeout));
        Self {
            clock,
            queue,
            objects: Arc::default(),
            log: SimulatedLog::new(1, 4, Faults::none()),
            readiness: Readiness::default(),
            options,
        }
    }

    pub fn committer(&self) -> Committer {
        Committer::start(&self.log, || UtcSecond(1_700_000_000)).unwrap().0
    }

    pub fn start(&self) -> Running {
        let outside = Outside { queue: self.queue.clone(), objects: self.objects.clone(), clock: self.clock.clone() };
        let inside = Inside {
            committer: self.committer(),
            known: ledger::known(self.log.clone(), self.log.partitions()),
            readiness: self.readiness.clone(),
            codec: CodecLimits::default(),
        };
        let source = SqsSource::new(outside, self.options.clone(), inside).unwrap();
        let (stop, now) = (CancellationToken::new(), CancellationToken::new());
        let done = tokio::spawn(source.run(stop.clone(), now.clone()));
        Running { stop, now, done }
    }

    /// Puts a log file with one event, and tells the queue of it.
    pub fn deliver(&self, name: &str) {
        self.objects.put(&uri(name), [Answer::Content(log_file(&[name]))]);
        self.queue.send(name, notify(&[name], None));
    }

    /// Waits until something is so. The clock moves in small steps, as little as lets batches end.
    pub async fn until(&self, what: &str, so: impl Fn() -> bool) {
        self.until_stepping(what, Duration::from_millis(50), so).await;
    }

    /// Waits until something is so, without moving the clock.
    pub async fn until_still(&self, what: &str, so: impl Fn() -> bool) {
        self.until_stepping(what, Duration::ZERO, so).await;
    }

    /// Waits until something is so, while the clock moves by steps.
    pub async fn until_stepping(&self, what: &str, step: Duration, so: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !so() {
            assert!(std::time::Instant::now() < deadline, "{what} did not come true: {:?}", self.queue.asked());
            tokio::time::sleep(Duration::from_millis(1)).await;
            if !step.is_zero() {
                self.clock.advance(step);
            }
        }
    }

    /// The ids of the records in the log, sorted, with repetitions.
    pub fn records(&self) -> Vec<String> {
        record_ids(&self.log)
    }

    pub fn letters(&self) -> Vec<DeadLetter> {
        open_letters(&self.log, |_| true).unwrap().letters
    }

    pub fn problems(&self) -> Vec<String> {
        self.readiness
            .problems(self.clock.wall())
            .into_iter()
            .map(|problem| format!("{} {} {}", problem.subject, problem.code, problem.message))
            .collect()
    }
}

impl Running {
    pub async fn stop(self, world: &World) -> Result<(), NotCommitted> {
        self.stop.cancel();
        world.until("the source ends", || self.done.is_finished()).await;
        self.done.await.unwrap()
    }
}
