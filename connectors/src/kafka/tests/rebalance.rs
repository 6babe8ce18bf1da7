//! A group that divides its partitions anew while a member commits.
//!
//! The commit stops at a step, held by a gate between the member and the broker. Then another member comes or goes, or the member itself is not
//! heard of for too long. The group is waited for to be where it then goes no further by itself, and only then does the commit go on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Scope, ScopedJoinHandle, scope};
use std::time::Duration;

use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_pipeline::log::{Log, Task};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

use super::super::KafkaLog;
use super::broker::{Broker, Extra};
use super::divided::{fold, wait_until_drained};
use super::fold::{Outcome, assert_same, drain, embedded, feed, look, outcome};
use super::gate::Gate;
use super::proxy::start;
use super::steps::{Came, Member, PATIENCE, Step, Stopping, until};
use super::{ALL, READER, SHARED, broker, options, patiently};

/// Who commits.
const ONE: &str = "one";
/// Who comes and goes.
const TWO: &str = "two";
/// Records of each round, some of each partition.
const FED: u32 = 24;
/// How long the member that goes in a test may not be heard of: as short as it can be told from a machine that is busy, since many rounds wait
/// for it.
const GOING_SESSION: Duration = Duration::from_secs(3);
/// How long others may not be heard of. They learn of a new division in a fifth of it, while a commit is held that its client waits for only
/// [`KAFKA_SOCKET_TIMEOUT`](crate::limits::KAFKA_SOCKET_TIMEOUT).
const STAYING_SESSION: Duration = Duration::from_secs(8);
/// Kafka's number of the request by which a member says that it is there.
const HEARTBEAT: i16 = 12;
/// Where a group is that waits for its members to join again. What its last division gave still holds.
const DIVIDING: &str = "PreparingRebalance";
/// Where it is when its partitions are divided.
const DIVIDED: &str = "Stable";

fn open(address: &str, prefix: &str, folder: &Path, name: &str, session: Duration) -> KafkaLog {
    let mut options = options(address, prefix, &folder.join(name));
    (options.member, options.client_id) = (name.to_owned(), name.to_owned());
    options.session_timeout = session;
    KafkaLog::open(options).unwrap()
}

/// Two members of a group on a broker behind a gate, who watches them, and a log where one does the same alone.
struct Place {
    gate: Arc<Gate>,
    one: KafkaLog,
    two: KafkaLog,
    watch: KafkaLog,
    groups: BaseConsumer,
    alone: EmbeddedLog,
    // In the end the clients go before the broker, and the broker before the folder.
    _broker: Broker,
    _folder: TempDir,
}

impl Place {
    /// Whoever is `going` is given up soon when it is not heard of.
    fn make(going: &str) -> Option<Self> {
        let gate = Arc::new(Gate::default());
        let extra = Extra { properties: "group.min.session.timeout.ms=1000\n".to_owned(), ..Extra::default() };
        let (broker, address) = start(&extra, &gate)?;
        let (folder, prefix) = (tempfile::tempdir().unwrap(), broker::fresh_prefix());
        let [watch, one, two] = ["watch", ONE, TWO].map(|name| {
            let session = if name == going { GOING_SESSION } else { STAYING_SESSION };
            open(&address, &prefix, folder.path(), name, session)
        });
        let groups = ClientConfig::new().set("bootstrap.servers", &address).create().unwrap();
        let alone = embedded(&folder.path().join("alone"));
        Some(Self { gate, one, two, watch, groups, alone, _broker: broker, _folder: folder })
    }

    /// Waits until the group is in a state, with these members.
    fn until_group(&self, state: &str, members: &[&str]) {
        let name = self.watch.shared.names.group(SHARED.id);
        until(&format!("the group of {members:?} to be {state}"), || {
            let Ok(told) = self.groups.fetch_group_list(Some(name.as_str()), PATIENCE) else { return false };
            let Some(group) = told.groups().first().filter(|group| group.state() == state) else { return false };
            let mut found: Vec<&str> = group.members().iter().map(|member| member.client_id()).collect();
            found.sort_unstable();
            found == members
        });
    }

    /// Waits until all is folded, and holds what came of it against what one alone makes of it.
    fn check(&self, when: &str) {
        wait_until_drained(&self.watch);
        for position in patiently(|| self.watch.positions(READER)).unwrap() {
            let end = patiently(|| self.watch.end(position.topic, position.partition)).unwrap();
            assert!(position.offset <= end.offset, "{when}: {position:?} is behind {end:?}");
        }
        drain(&self.alone);
        let expected: Outcome = outcome(&self.alone);
        for log in [&self.watch, &self.one, &self.two] {
            println!("{when}: as {} sees it", log.shared.options.member);
            assert_same(&look(log, log), &expected);
        }
    }
}

/// A member that folds, until this goes.
struct Running<'scope> {
    ends: Arc<AtomicBool>,
    thread: Option<ScopedJoinHandle<'scope, usize>>,
}

impl<'scope> Running<'scope> {
    fn start<T: Task>(threads: &'scope Scope<'scope, '_>, open: impl FnOnce() -> T + Send + 'scope) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        Self { ends, thread: Some(threads.spawn(move || fold(open(), &told))) }
    }

    /// Has it end once nothing is left for it. Gives how many records it folded.
    fn end(mut self) -> usize {
        self.ends.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
    }
}

/// Whoever has the first member stop and go on.
struct Conductor<'a> {
    place: &'a Place,
    fed: u32,
    orders: Sender<Step>,
    stops: Receiver<Stopping>,
    go_on: Sender<()>,
    came: Receiver<Came>,
}

impl<'a> Conductor<'a> {
    /// Starts the first member.
    fn start(threads: &'a Scope<'a, '_>, place: &'a Place) -> (Self, Running<'a>) {
        let (orders, ordered) = channel();
        let (stopping, stops) = channel();
        let (go_on, goes_on) = channel();
        let (tell, came) = channel();
        let open = move || Member {
            task: patiently(|| place.one.open_task(SHARED, &ALL)).unwrap(),
            log: &place.one,
            gate: Arc::clone(&place.gate),
            orders: ordered,
            order: None,
            stops: stopping,
            goes_on,
            came: tell,
        };
        let one = Running::start(threads, open);
        (Self { place, fed: 0, orders, stops, go_on, came }, one)
    }

    /// Feeds records, stops the first commit of them at a step, has something happen, and has the commit go on. Gives what came of it.
    fn stop(&mut self, step: Step, happen: impl FnOnce()) -> Came {
        let place = self.place;
        self.orders.send(step).unwrap();
        let fed = self.fed..self.fed + FED;
        feed(&place.watch, fed.clone());
        feed(&place.alone, fed);
        self.fed += FED;
        let stopping = self.stops.recv_timeout(PATIENCE).unwrap();
        let came = || self.came.recv_timeout(PATIENCE).unwrap();
        let came_before = (step == Step::Kept).then(came);
        until(&format!("the commit to come to {step:?}"), || stopping.has_stopped(&place.watch, &place.gate));
        happen();
        place.gate.open().expect("who asked did not wait for the answer");
        self.go_on.send(()).unwrap();
        came_before.unwrap_or_else(came)
    }
}

/// Nothing stays held where a test fails.
impl Drop for Conductor<'_> {
    fn drop(&mut self) {
        let _ = self.place.gate.open();
    }
}

#[test]
fn others_that_come_or_go_at_any_step_of_a_commit_leave_it_as_it_is() {
    let Some(place) = Place::make(TWO) else { return };
    scope(|threads| {
        let (mut conductor, one) = Conductor::start(threads, &place);
        let mut folded = 0;
        for step in Step::ALL {
            place.until_group(DIVIDED, &[ONE]);
            let mut two = None;
            let came = conductor.stop(step, || {
                two = Some(Running::start(threads, || patiently(|| place.two.open_task(SHARED, &ALL)).unwrap()));
                place.until_group(DIVIDING, &[ONE, TWO]);
            });
            assert_eq!(came, Came::Committed, "another came at {step:?}");
            place.check(&format!("another came at {step:?}"));
            place.until_group(DIVIDED, &[ONE, TWO]);
            let came = conductor.stop(step, || {
                let by_two = two.take().unwrap().end();
                assert!(by_two > 0, "the other had no part");
                folded += by_two;
                place.until_group(DIVIDING, &[ONE]);
            });
            assert_eq!(came, Came::Committed, "the other went at {step:?}");
            place.check(&format!("the other went at {step:?}"));
        }
        assert_eq!(one.end() + folded, conductor.fed as usize);
    });
}

#[test]
fn a_member_that_was_not_heard_of_at_a_step_of_a_commit_has_made_it_or_leaves_all_of_it_to_the_others() {
    let Some(place) = Place::make(ONE) else { return };
    scope(|threads| {
        let (mut conductor, one) = Conductor::start(threads, &place);
        let two = Running::start(threads, || patiently(|| place.two.open_task(SHARED, &ALL)).unwrap());
        for step in Step::ALL {
            place.until_group(DIVIDED, &[ONE, TWO]);
            let came = conductor.stop(step, || {
                place.gate.lose(|frame| frame.client == ONE && frame.kind == HEARTBEAT && !frame.is_answer);
                place.until_group(DIVIDED, &[TWO]);
                if step.leaves_others_free() {
                    wait_until_drained(&place.watch);
                }
            });
            // The group takes no positions from whom it has given up.
            let expected = if step < Step::Positions { Came::GivenUp } else { Came::Committed };
            assert_eq!(came, expected, "not heard of at {step:?}");
            place.check(&format!("not heard of at {step:?}"));
        }
        place.until_group(DIVIDED, &[ONE, TWO]);
        assert_eq!(one.end() + two.end(), conductor.fed as usize);
    });
}
