//! The log on a real broker of Apache Kafka, and what Kafka's errors mean on librdkafka's imitation of one.

mod acls;
mod broker;
mod classes;
mod contract;
mod crash;
mod divided;
mod fields;
mod fold;
mod gate;
mod outage;
mod proxy;
mod rebalance;
mod resent;
mod secured;
mod security;
mod steps;
mod topics;

use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;
use std::time::Duration;

use cloudigrade_pipeline::contract::PARTITIONS_MIN;
use cloudigrade_pipeline::log::{Log, LogError, Output, PollLimits, Position, Record, StateChange, Store, TaskSpec, Txn};
use cloudigrade_schemas::{Topic, UtcSecond};

use super::{KafkaOptions, Security};

const STORE: Store = Store("contract");
const OTHER_STORE: Store = Store("contract.longer");
const SOURCE: TaskSpec = TaskSpec::alone("test.source", &[]);
const READER: TaskSpec = TaskSpec::alone("test.reader", &[Topic::PowerEvents]);
/// The same task, shared.
const SHARED: TaskSpec = TaskSpec::divided("test.reader", READER.inputs);
const ALL: [u32; PARTITIONS_MIN as usize] = [0, 1, 2, 3];
const AT_ONCE: PollLimits = PollLimits { records: 1000, bytes: 1 << 20, wait: Duration::ZERO };
/// How often what may succeed later is repeated.
const ATTEMPTS_MAX: usize = 200;

fn options(bootstrap: &str, prefix: &str, cache: &Path) -> KafkaOptions {
    KafkaOptions {
        bootstrap: bootstrap.to_owned(),
        security: Security::default(),
        client_id: "tests".to_owned(),
        rack: None,
        prefix: prefix.to_owned(),
        member: "tests".to_owned(),
        session_timeout: Duration::from_secs(6),
        cache: Some(cache.to_owned()),
        stores: vec![STORE, OTHER_STORE],
        partitions: NonZeroU32::new(PARTITIONS_MIN).unwrap(),
        replication: NonZeroU16::MIN,
        min_in_sync: NonZeroU16::MIN,
    }
}

fn output(topic: Topic, partition: u32, key: &str, value: &str) -> Output {
    Output { topic, partition, key: key.into(), value: value.into(), entered_at: UtcSecond(1_700_000_000) }
}

fn put(partition: u32, key: &str, value: &str) -> StateChange {
    StateChange { store: STORE, partition, key: key.into(), value: Some(value.into()) }
}

fn outputs(outputs: impl IntoIterator<Item = Output>) -> Txn {
    Txn { outputs: outputs.into_iter().collect(), ..Txn::default() }
}

fn patiently<T>(mut call: impl FnMut() -> Result<T, LogError>) -> Result<T, LogError> {
    let mut answer = call();
    for _ in 0..ATTEMPTS_MAX {
        match answer {
            Err(LogError::Retry { .. } | LogError::Abort { .. }) => answer = call(),
            _ => break,
        }
    }
    answer
}

fn read_all(log: &impl Log, topic: Topic, partition: u32) -> Vec<Record> {
    let mut from = Position { topic, partition, offset: 0 };
    let mut records: Vec<Record> = Vec::new();
    loop {
        let read = patiently(|| log.read(from, AT_ONCE)).unwrap();
        let Some(last) = read.last() else { return records };
        from.offset = last.offset + 1;
        records.extend(read);
    }
}
