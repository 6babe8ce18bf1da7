//! What the log on Kafka can do at best, beside which operators are measured: consuming, changing state and producing, without folding; and how
//! long a process without a cache takes until it has the state.
//!
//! ```text
//! kafka_rate pass BOOTSTRAP PREFIX       tasks of the shape of `extract`, `intervals` and `sightings` that only pass on, until nothing is left
//! kafka_rate fill BOOTSTRAP PREFIX N     state of N events
//! kafka_rate restore BOOTSTRAP PREFIX    reads all of it into a new cache
//! ```
#![allow(clippy::unwrap_used)]

use std::num::{NonZeroU16, NonZeroU32};
use std::time::{Duration, Instant};

use cloudigrade_connectors::kafka::{KafkaLog, KafkaOptions, Security};
use cloudigrade_connectors::limits::KAFKA_SESSION_TIMEOUT;
use cloudigrade_pipeline::engine::{Cx, Operator, step};
use cloudigrade_pipeline::log::{Log, LogError, PollLimits, Record, StateChange, StateRead, Store, Task, TaskSpec, Txn};
use cloudigrade_schemas::Topic;

/// What stands for an operator's state.
const STATE: Store = Store("bench.state");
/// Bytes that the state of one event takes, about.
const EVENT_BYTES: usize = 120;
/// Events of one key.
const EVENTS_PER_KEY: usize = 100;
/// Keys that are written at once.
const KEYS_AT_ONCE: usize = 500;

/// How many power events stand for the instances of a record, about as many as the corpus has.
const EVENTS_PER_RECORD: usize = 10;

/// Passes each record on as so many, and keeps a little of it.
struct Pass(TaskSpec, Topic, usize);

impl Operator for Pass {
    fn inputs(&self) -> &'static [Topic] {
        self.0.inputs
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        for record in records {
            cx.get(STATE, record.partition, &record.key)?;
            cx.put(STATE, record.partition, &record.key, record.value[..record.value.len().min(EVENT_BYTES)].to_vec());
            // Pieces of the record, so that they compress as events do.
            let piece = record.value.len() / self.2;
            for number in 0..self.2 {
                let value = record.value[number * piece..(number + 1) * piece].to_vec();
                cx.send_to(self.1, record.partition, &record.key, value, record.entered_at);
            }
        }
        Ok(())
    }
}

fn open(bootstrap: &str, prefix: &str, cache: &std::path::Path) -> KafkaLog {
    KafkaLog::open(KafkaOptions {
        bootstrap: bootstrap.to_owned(),
        security: Security::default(),
        client_id: "bench".to_owned(),
        rack: None,
        prefix: prefix.to_owned(),
        member: "bench".to_owned(),
        session_timeout: KAFKA_SESSION_TIMEOUT,
        cache: Some(cache.to_owned()),
        stores: vec![STATE],
        partitions: NonZeroU32::new(32).unwrap(),
        replication: NonZeroU16::MIN,
        min_in_sync: NonZeroU16::MIN,
    })
    .unwrap()
}

/// Passes on what there is, until nothing came for a while. Gives how many records, and how long it took until the last.
fn pass(log: &KafkaLog, operator: &Pass) -> (usize, Duration) {
    const QUIET: Duration = Duration::from_secs(3);
    let mut task = log.open_task(operator.0, &[]).unwrap();
    let (mut passed, mut began, mut last) = (0, Instant::now(), Instant::now());
    loop {
        match step(&mut task, log.partitions(), &[operator], PollLimits { wait: Duration::from_millis(250), ..PollLimits::default() }) {
            Ok(stepped) if stepped.consumed > 0 => {
                if passed == 0 {
                    began = Instant::now();
                }
                passed += stepped.consumed;
                last = Instant::now();
            }
            Ok(_) if passed > 0 && last.elapsed() > QUIET => return (passed, last - began),
            Ok(_) | Err(LogError::Retry { .. } | LogError::Abort { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn fill(log: &KafkaLog, events: usize) {
    let mut task = log.open_task(TaskSpec::of_each("bench.fill"), &[]).unwrap();
    let keys: Vec<usize> = (0..events / EVENTS_PER_KEY).collect();
    for keys in keys.chunks(KEYS_AT_ONCE) {
        let change = |key: &usize| {
            // Nothing that compresses away: the bytes of a generator (splitmix64).
            let scatter = |n: usize| {
                let mut bits = ((key << 20 | n) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                (bits ^ (bits >> 31)).to_be_bytes()
            };
            let value: Vec<u8> = (0..EVENTS_PER_KEY * EVENT_BYTES / 8).flat_map(scatter).collect();
            let partition = u32::try_from(key % log.partitions() as usize).unwrap();
            StateChange { store: STATE, partition, key: format!("instance-{key:010}").into_bytes(), value: Some(value) }
        };
        task.commit(Txn { state: keys.iter().map(change).collect(), ..Txn::default() }).unwrap();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cache = tempfile::tempdir().unwrap();
    match arguments[..] {
        ["pass", bootstrap, prefix] => {
            let log = open(bootstrap, prefix, cache.path());
            let tasks = [
                Pass(TaskSpec::divided("bench.extract", &[Topic::CloudTrailRecords]), Topic::PowerEvents, EVENTS_PER_RECORD),
                Pass(TaskSpec::divided("bench.intervals", &[Topic::PowerEvents]), Topic::InstanceIntervals, 1),
                Pass(TaskSpec::divided("bench.sightings", &[Topic::PowerEvents]), Topic::ImageSightings, 1),
            ];
            std::thread::scope(|threads| {
                let running = tasks.each_ref().map(|task| (task.0.id, threads.spawn(|| pass(&log, task))));
                for (id, running) in running {
                    let (passed, took) = running.join().unwrap();
                    println!("{id}: {passed} records in {:.2} s, {:.0} a second", took.as_secs_f64(), passed as f64 / took.as_secs_f64());
                }
            });
        }
        ["fill", bootstrap, prefix, events] => fill(&open(bootstrap, prefix, cache.path()), events.parse().unwrap()),
        ["restore", bootstrap, prefix] => {
            let log = open(bootstrap, prefix, cache.path());
            let began = Instant::now();
            let (mut keys, mut bytes) = (0, 0);
            for partition in 0..log.partitions() {
                for (_, value) in log.scan(STATE, partition, b"").unwrap() {
                    keys += 1;
                    bytes += value.len();
                }
            }
            let took = began.elapsed().as_secs_f64();
            println!(
                "{} events, {} MB of state, in {took:.1} s: {:.0} MB a second",
                keys * EVENTS_PER_KEY,
                bytes / 1_000_000,
                bytes as f64 / 1e6 / took
            );
        }
        _ => eprintln!("kafka_rate pass|fill|restore BOOTSTRAP PREFIX [N]"),
    }
}
