//! Topics: made as they must be, and refused where they are not.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{Log, LogError, Position, StateRead, Task, TaskSpec, Txn};
use cloudigrade_schemas::Topic;
use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::super::{KafkaLog, KafkaOptions, KafkaTask, OpenError};
use super::broker::Extra;
use super::gate::Gate;
use super::{ALL, AT_ONCE, READER, SOURCE, STORE, broker, options, output, outputs, patiently, proxy, put, read_all};

/// Tries whether Kafka takes a record.
const TRIES: TaskSpec = TaskSpec::alone("test.tries", &[]);
/// Kafka's numbers of requests.
const CREATE_TOPICS: i16 = 19;
const DESCRIBE_CONFIGS: i16 = 32;
/// How long a broker may take to take a limit up.
const TAKEN_UP_MAX: Duration = Duration::from_secs(60);

fn admin(bootstrap: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap()
}

#[test]
fn what_topics_are_is_checked_when_the_log_is_opened() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let options = options(&bootstrap, &prefix, cache.path());
    drop(KafkaLog::open(options.clone()).unwrap());
    drop(KafkaLog::open(options.clone()).unwrap());
    let refused = |options: KafkaOptions| KafkaLog::open(options).unwrap_err();
    let differs =
        |error: OpenError, what: &str| assert!(matches!(&error, OpenError::TopicDiffers { what: found, .. } if *found == what), "{error}");
    let other = refused(KafkaOptions { partitions: NonZeroU32::new(8).unwrap(), ..options.clone() });
    assert!(matches!(other, OpenError::Partitions { found: 4, expected: 8, .. }), "{other}");
    differs(refused(KafkaOptions { replication: NonZeroU16::new(3).unwrap(), ..options.clone() }), "replicas");
    let (admin, name) = (admin(&bootstrap), format!("{prefix}power.events"));
    let change = |setting, value| {
        let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set(setting, value);
        block_on(admin.alter_configs(&[change], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
    };
    change("cleanup.policy", "compact");
    differs(refused(options), "cleanup.policy");
}

#[test]
fn a_topic_that_somebody_else_made_otherwise_is_named() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let name = format!("{prefix}images");
    let made = block_on(admin(&bootstrap).create_topics(&[NewTopic::new(&name, 4, TopicReplication::Fixed(1))], &AdminOptions::new()));
    made.unwrap()[0].as_ref().unwrap();
    let refused = KafkaLog::open(options(&bootstrap, &prefix, cache.path())).unwrap_err();
    assert!(matches!(&refused, OpenError::TopicDiffers { topic, .. } if *topic == name), "{refused}");
}

/// Opens a log while the first request of a kind is lost, as with a broker that is killed when it was asked.
fn open_losing(kind: i16) {
    let (gate, lost) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let Some((_broker, address)) = proxy::start(&Extra::default(), &gate) else { return };
    let losing = Arc::clone(&lost);
    gate.lose(move |frame| !frame.is_answer && frame.kind == kind && losing.fetch_add(1, Ordering::Relaxed) == 0);
    let cache = tempfile::tempdir().unwrap();
    let opened = KafkaLog::open(options(&address, &broker::fresh_prefix(), cache.path()));
    assert!(opened.is_ok(), "{}", opened.unwrap_err());
    assert!(lost.load(Ordering::Relaxed) > 1, "it was not asked again");
}

#[test]
fn a_broker_that_is_lost_when_it_is_to_make_the_topics_keeps_nobody_from_opening_the_log() {
    open_losing(CREATE_TOPICS);
}

#[test]
fn a_broker_that_is_lost_when_it_is_to_show_the_topics_settings_keeps_nobody_from_opening_the_log() {
    open_losing(DESCRIBE_CONFIGS);
}

#[test]
fn an_address_where_nobody_answers_and_a_name_that_is_none_are_told() {
    let cache = tempfile::tempdir().unwrap();
    let refused = KafkaLog::open(options("127.0.0.1:1", "p.", cache.path())).unwrap_err();
    assert!(matches!(refused, OpenError::Unreachable { .. }), "{refused}");
    let refused = KafkaLog::open(options("127.0.0.1:1", "a/b", cache.path())).unwrap_err();
    assert!(matches!(refused, OpenError::Name { .. }), "{refused}");
}

#[test]
fn records_that_were_deleted_before_they_were_read_stop_their_reader_loudly() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let log = KafkaLog::open(options(&bootstrap, &prefix, cache.path())).unwrap();
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    for value in ["a", "b", "c"] {
        patiently(|| source.commit(outputs([output(Topic::PowerEvents, 0, "k", value)]))).unwrap();
    }
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&format!("{prefix}power.events"), 0, Offset::Offset(3)).unwrap();
    block_on(admin(&bootstrap).delete_records(&list, &AdminOptions::new())).unwrap();
    let mut task = patiently(|| log.open_task(READER, &ALL)).unwrap();
    let refused = patiently(|| task.poll(AT_ONCE)).unwrap_err();
    assert!(matches!(refused, LogError::Gone { .. }), "{refused}");
    let command =
        format!("--bootstrap-server {bootstrap} --group {prefix}test.reader --topic {prefix}power.events --reset-offsets --to-earliest");
    assert!(refused.to_string().contains(&command), "{refused}");
    // The same where nobody's task reads; and where it begins is told.
    let at = |offset| Position { topic: Topic::PowerEvents, partition: 0, offset };
    let read = patiently(|| log.read(at(0), AT_ONCE));
    assert!(matches!(read, Err(LogError::Gone { .. })), "{read:?}");
    let begin = patiently(|| log.begin(Topic::PowerEvents, 0)).unwrap();
    assert_eq!(begin, at(3));
    let there = patiently(|| log.read(begin, AT_ONCE)).unwrap();
    assert_eq!(there.iter().map(|record| record.value.as_slice()).collect::<Vec<_>>(), [b"c"]);
}

#[test]
fn a_commit_that_kafka_refuses_is_given_up_whole_and_its_records_are_polled_again() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let log = KafkaLog::open(options(&bootstrap, &prefix, cache.path())).unwrap();
    // More than the limit also when compressed; the marks of transactions are smaller than it.
    let noise: String = (0..2000_u64).map(|n| format!("{:02x}", (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) & 0xff)).collect();
    // Brokers take a new limit up when they come to it: it is in force once a record elsewhere is refused, or taken.
    let limit = |bytes: &str, is_refused: bool| {
        let name = format!("{prefix}dead.letters");
        let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", bytes).set("cleanup.policy", "compact");
        block_on(admin(&bootstrap).alter_configs(&[change], &AdminOptions::new())).unwrap()[0].as_ref().unwrap();
        let began = Instant::now();
        let mut tries = patiently(|| log.open_task(TRIES, &ALL)).unwrap();
        while tries.commit(outputs([output(Topic::DeadLetters, 1, "k", &noise)])).is_err() != is_refused {
            assert!(began.elapsed() < TAKEN_UP_MAX, "the limit of {bytes} bytes is not in force");
        }
    };
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    patiently(|| source.commit(outputs([output(Topic::PowerEvents, 0, "k", "in")]))).unwrap();
    let mut task = patiently(|| log.open_task(READER, &ALL)).unwrap();
    let attempt = |task: &mut KafkaTask| {
        let polled = patiently(|| task.poll(AT_ONCE)).unwrap();
        assert_eq!(polled.iter().map(|record| record.value.as_slice()).collect::<Vec<_>>(), [b"in"]);
        let positions = vec![Position { topic: Topic::PowerEvents, partition: 0, offset: polled[0].offset + 1 }];
        let records = ["a", "b"].map(|key| output(Topic::DeadLetters, 0, key, &noise));
        task.commit(Txn { state: vec![put(0, "k", "v")], positions, ..outputs(records) })
    };
    limit("500", true);
    let refused = attempt(&mut task);
    assert!(matches!(refused, Err(LogError::Abort { .. })), "{refused:?}");
    assert_eq!(task.get(STORE, 0, b"k").unwrap(), None);
    assert_eq!(read_all(&log, Topic::DeadLetters, 0).len(), 0);
    limit("1000000", false);
    // Kafka's library notices in the next transaction that it left a number out, and has that given up too.
    let taken = patiently(|| attempt(&mut task));
    assert!(taken.is_ok(), "{taken:?}");
    assert_eq!(task.get(STORE, 0, b"k").unwrap(), Some(b"v".to_vec()));
    assert_eq!(read_all(&log, Topic::DeadLetters, 0).len(), 2);
    assert!(patiently(|| task.poll(AT_ONCE)).unwrap().is_empty());
}
