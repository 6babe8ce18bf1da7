//! A queue that works as SQS does, a bucket, and a clock that stands still until it is moved.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use cloudigrade_pipeline::log::{Log, PollLimits, Position};
use cloudigrade_pipeline::simulated::{Faults, SimulatedLog};
use cloudigrade_schemas::{DeadLetter, Topic, UtcSecond};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::future::{BoxFuture, FutureExt};
use serde_json::json;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::codec::CodecLimits;
use crate::source::committer::{Committer, NotCommitted};
use crate::source::ledger;
use crate::source::letters::open_letters;
use crate::source::readiness::Readiness;
use crate::source::sqs::classify::{Failure, Reached};
use crate::source::sqs::clock::Clock;
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::objects::{FetchError, Head, Objects, Opened};
use crate::source::sqs::options::SqsOptions;
use crate::source::sqs::queue::{Queue, QueueError, Received};
use crate::source::sqs::{Inside, Outside, SqsSource};

/// How long a condition may take to come true: far longer than it needs, so that only a test that hangs reaches it.
const PATIENCE: Duration = Duration::from_secs(20);

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct StillClock {
    state: Mutex<(Duration, Vec<(Duration, oneshot::Sender<()>)>)>,
}

impl StillClock {
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().unwrap();
        state.0 += by;
        let now = state.0;
        let (due, waiting) = std::mem::take(&mut state.1).into_iter().partition(|(at, _)| *at <= now);
        state.1 = waiting;
        let due: Vec<(Duration, oneshot::Sender<()>)> = due;
        due.into_iter().for_each(|(_, wake)| drop(wake.send(())));
    }
}

impl Clock for StillClock {
    fn elapsed(&self) -> Duration {
        self.state.lock().unwrap().0
    }

    fn wall_ms(&self) -> i64 {
        1_700_000_000_000 + self.elapsed().as_millis() as i64
    }

    fn sleep(&self, wait: Duration) -> BoxFuture<'static, ()> {
        if wait.is_zero() {
            return futures::future::ready(()).boxed();
        }
        let (wake, woken) = oneshot::channel();
        let mut state = self.state.lock().unwrap();
        let at = state.0 + wait;
        state.1.retain(|(_, wake)| !wake.is_closed());
        state.1.push((at, wake));
        woken.map(drop).boxed()
    }
}

/// What was asked of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Received(usize),
    /// The ids of one request.
    Delete(Vec<String>),
    /// Which message, for how many seconds, and when.
    Hide(String, u64, u64),
}

#[derive(Clone, Debug)]
struct Kept {
    id: String,
    body: String,
    visible_at: Duration,
    receives: u32,
}

/// What a delete request meets.
#[derive(Clone, Debug)]
pub enum DeleteFault {
    Whole(QueueError),
    /// The places in the request that fail.
    Some(Vec<usize>, QueueError),
}

type BeforeDelete = Box<dyn Fn(&str) + Send>;

#[derive(Default)]
struct QueueState {
    messages: Vec<Kept>,
    asked: Vec<Asked>,
    delete_faults: VecDeque<DeleteFault>,
    receive_faults: VecDeque<QueueError>,
    visibility: Duration,
    before_delete: Option<BeforeDelete>,
}

/// A queue of messages.
pub struct FakeQueue {
    clock: Arc<StillClock>,
    state: Mutex<QueueState>,
    sent: Notify,
}

pub fn throttled() -> QueueError {
    QueueError::Failed { failure: failure("ThrottlingException", 400) }
}

pub fn denied() -> QueueError {
    QueueError::Failed { failure: failure("AccessDenied", 403) }
}

pub fn failure(code: &str, status: u16) -> Failure {
    let message = format!("the service says {code}");
    Failure { reached: Reached::Answer, code: Some(code.into()), status: Some(status), message }
}

impl FakeQueue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap()
    }

    pub fn send(&self, id: &str, body: impl Into<String>) {
        let visible_at = self.clock.elapsed();
        self.state().messages.push(Kept { id: id.into(), body: body.into(), visible_at, receives: 0 });
        self.sent.notify_waiters();
    }

    /// As if the message had been received so often before.
    pub fn received_before(&self, id: &str, receives: u32) {
        self.state().messages.iter_mut().filter(|message| message.id == id).for_each(|message| message.receives = receives);
    }

    /// Somebody else has the message now.
    pub fn take_away(&self, id: &str) {
        self.received_before(id, 1_000);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    pub fn left(&self) -> usize {
        self.state().messages.len()
    }

    pub fn receives(&self, id: &str) -> u32 {
        self.state().messages.iter().find(|message| message.id == id).map_or(0, |message| message.receives)
    }

    pub fn received(&self) -> usize {
        self.asked().iter().map(|asked| if let Asked::Received(count) = asked { *count } else { 0 }).sum()
    }

    /// For how long each message was hidden: (seconds, when).
    pub fn hidden(&self, id: &str) -> Vec<(u64, u64)> {
        let of = |asked: Asked| if let Asked::Hide(of, wait, at) = asked { (of == id).then_some((wait, at)) } else { None };
        self.asked().into_iter().filter_map(of).collect()
    }

    pub fn deletes(&self) -> Vec<Vec<String>> {
        self.asked().into_iter().filter_map(|asked| if let Asked::Delete(ids) = asked { Some(ids) } else { None }).collect()
    }

    pub fn fail_deletes(&self, faults: impl IntoIterator<Item = DeleteFault>) {
        self.state().delete_faults.extend(faults);
    }

    pub fn fail_receives(&self, faults: impl IntoIterator<Item = QueueError>) {
        self.state().receive_faults.extend(faults);
    }

    pub fn before_delete(&self, look: impl Fn(&str) + Send + 'static) {
        self.state().before_delete = Some(Box::new(look));
    }

    fn take(&self, most: usize) -> Vec<Received> {
        let now = self.clock.elapsed();
        let mut state = self.state();
        let visibility = state.visibility;
        let visible = state.messages.iter_mut().filter(|message| message.visible_at <= now).take(most);
        let received: Vec<Received> = visible
            .map(|message| {
                message.receives += 1;
                message.visible_at = now + visibility;
                Received {
                    id: message.id.clone(),
                    receipt: receipt(&message.id, message.receives),
                    body: message.body.clone(),
                    receive_count: message.receives,
                    sent_at_ms: Some(1_700_000_000_000),
                }
            })
            .collect();
        if !received.is_empty() {
            state.asked.push(Asked::Received(received.len()));
        }
        received
    }
}

fn receipt(id: &str, receives: u32) -> String {
    format!("{id}#{receives}")
}

fn id_of(receipt: &str) -> String {
    receipt.split('#').next().unwrap().to_owned()
}

impl Queue for FakeQueue {
    fn receive(&self, most: usize) -> BoxFuture<'_, Result<Vec<Received>, QueueError>> {
        async move {
            let until = self.clock.elapsed() + Duration::from_secs(20);
            loop {
                let sent = self.sent.notified();
                if let Some(fault) = self.state().receive_faults.pop_front() {
                    return Err(fault);
                }
                let received = self.take(most);
                if !received.is_empty() || self.clock.elapsed() >= until {
                    return Ok(received);
                }
                tokio::select! {
                    () = sent => {}
                    () = self.clock.sleep(Duration::from_secs(1)) => {}
                }
            }
        }
        .boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<Vec<Result<(), QueueError>>, QueueError>> {
        async move {
            tokio::task::yield_now().await;
            let mut state = self.state();
            let ids: Vec<String> = receipts.iter().map(|receipt| id_of(receipt)).collect();
            state.asked.push(Asked::Delete(ids.clone()));
            let fault = state.delete_faults.pop_front();
            if let Some(DeleteFault::Whole(error)) = fault {
                return Err(error);
            }
            let mut results = Vec::new();
            for (at, (receipt, id)) in receipts.iter().zip(&ids).enumerate() {
                if let Some(DeleteFault::Some(places, error)) = &fault
                    && places.contains(&at)
                {
                    results.push(Err(error.clone()));
                    continue;
                }
                if let Some(look) = &state.before_delete {
                    look(id);
                }
                let ours = state.messages.iter().position(|message| self::receipt(&message.id, message.receives) == *receipt);
                results.push(ours.map(|at| drop(state.messages.remove(at))).ok_or(QueueError::NotOurs));
            }
            Ok(results)
        }
        .boxed()
    }

    fn hide(&self, receipt: String, wait: Duration) -> BoxFuture<'_, Result<(), QueueError>> {
        async move {
            let now = self.clock.elapsed();
            let mut state = self.state();
            state.asked.push(Asked::Hide(id_of(&receipt), wait.as_secs(), now.as_secs()));
            let ours = state.messages.iter_mut().find(|message| self::receipt(&message.id, message.receives) == receipt);
            let ours = ours.filter(|message| message.visible_at > now).ok_or(QueueError::NotOurs)?;
            ours.visible_at = now + wait;
            drop(state);
            self.sent.notify_waiters();
            Ok(())
        }
        .boxed()
    }
}

/// What the bucket says of an object.
#[derive(Clone, Debug)]
pub enum Answer {
    Content(Bytes),
    Fails(Failure),
    /// The answer begins, and breaks off.
    Breaks(Bytes),
}

/// A bucket, or several.
pub struct FakeObjects {
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    opened: Mutex<Vec<String>>,
    /// While it is true, nothing that is opened is read.
    hold: watch::Sender<bool>,
    reading: Arc<Mutex<(usize, usize)>>,
}

impl FakeObjects {
    /// The last answer of an object is its answer for ever.
    pub fn put(&self, uri: &str, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().insert(uri.to_owned(), answers.into_iter().collect());
    }

    pub fn opened(&self) -> Vec<String> {
        self.opened.lock().unwrap().clone()
    }

    pub fn hold(&self, hold: bool) {
        self.hold.send_replace(hold);
    }

    /// How many objects are read now, and how many were at most.
    pub fn reading(&self) -> (usize, usize) {
        *self.reading.lock().unwrap()
    }
}

struct FakeOpened {
    head: Head,
    answer: Answer,
    hold: watch::Receiver<bool>,
    reading: Arc<Mutex<(usize, usize)>>,
}

impl Objects for FakeObjects {
    fn open<'a>(&'a self, object: &'a ObjectRef) -> BoxFuture<'a, Result<Box<dyn Opened>, FetchError>> {
        async move {
            self.opened.lock().unwrap().push(object.uri());
            let mut answers = self.answers.lock().unwrap();
            let answer = match answers.get_mut(&object.uri()) {
                None => Answer::Fails(failure("NoSuchKey", 404)),
                Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
                Some(answers) => answers[0].clone(),
            };
            let content = match &answer {
                Answer::Fails(failure) => return Err(failure.clone().into()),
                Answer::Content(content) | Answer::Breaks(content) => content,
            };
            let head = Head { size: Some(content.len() as u64), etag: Some(etag(content)), version: object.version.clone() };
            let reading = self.reading.clone();
            let mut count = reading.lock().unwrap();
            count.0 += 1;
            count.1 = count.1.max(count.0);
            drop(count);
            Ok(Box::new(FakeOpened { head, answer, hold: self.hold.subscribe(), reading }) as Box<dyn Opened>)
        }
        .boxed()
    }
}

impl Drop for FakeOpened {
    fn drop(&mut self) {
        self.reading.lock().unwrap().0 -= 1;
    }
}

impl Opened for FakeOpened {
    fn head(&self) -> &Head {
        &self.head
    }

    fn read(mut self: Box<Self>) -> BoxFuture<'static, Result<Bytes, FetchError>> {
        async move {
            self.hold.wait_for(|hold| !hold).await.unwrap();
            match &self.answer {
                Answer::Content(content) => Ok(content.clone()),
                _ => Err(Failure { reached: Reached::PartOfAnswer, code: None, status: None, message: "connection reset".into() }.into()),
            }
        }
        .boxed()
    }
}

pub fn etag(content: &[u8]) -> String {
    format!("{:08x}", content.iter().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte))))
}

/// A log file of CloudTrail with one start of an instance for each event id.
pub fn log_file(event_ids: &[&str]) -> Bytes {
    let record = |id: &&str| {
        json!({"eventVersion": "1.08", "eventTime": "2024-03-01T09:00:00Z", "eventSource": "ec2.amazonaws.com", "eventName": "StartInstances",
            "awsRegion": "us-east-1", "eventID": id, "recipientAccountId": "000000000012",
            "responseElements": {"instancesSet": {"items": [{"instanceId": "i-1"}]}}})
    };
    gzip(json!({"Records": event_ids.iter().map(record).collect::<Vec<_>>()}).to_string().as_bytes())
}

pub fn gzip(text: &[u8]) -> Bytes {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(text).unwrap();
    gz.finish().unwrap().into()
}

/// The key of a log file.
pub fn key(name: &str) -> String {
    format!("AWSLogs/000000000012/CloudTrail/us-east-1/2024/03/01/{name}.json.gz")
}

pub fn uri(name: &str) -> String {
    format!("s3://trail/{}", key(name))
}

/// A notification of S3 for log files of these names, whose content is told when it is given.
pub fn notify(names: &[&str], content: Option<&Bytes>) -> String {
    let record = |name: &&str| {
        let mut record = json!({"eventName": "ObjectCreated:Put", "eventTime": "2023-11-14T22:13:20Z", "s3": {"bucket": {"name": "trail"}, "object": {"key": key(name)}}});
        if let Some(content) = content {
            record["s3"]["object"]["size"] = content.len().into();
            record["s3"]["object"]["eTag"] = etag(content).into();
        }
        record
    };
    json!({"Records": names.iter().map(record).collect::<Vec<_>>()}).to_string()
}

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
        let state = Mutex::new(QueueState { visibility: options.visibility_timeout, ..QueueState::default() });
        let queue = Arc::new(FakeQueue { clock: clock.clone(), state, sent: Notify::new() });
        let objects =
            FakeObjects { answers: Mutex::default(), opened: Mutex::default(), hold: watch::Sender::new(false), reading: Arc::default() };
        Self {
            clock,
            queue,
            objects: Arc::new(objects),
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
