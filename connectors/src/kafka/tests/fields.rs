//! What records are in Kafka, for those who read them there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::limits::VALUE_BYTES_MAX;
use cloudigrade_pipeline::log::{Log, LogError, Output, StateChange, StateRead, Task, Txn};
use cloudigrade_schemas::{Topic, UtcSecond};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::super::KafkaLog;
use super::{ALL, READER, SOURCE, STORE, broker, options, output, outputs, patiently, put, read_all};

/// How long another consumer may take to read a record.
const READ_MAX: Duration = Duration::from_secs(60);

#[test]
fn public_messages_are_cloud_events_in_binary_mode() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let log = KafkaLog::open(options(&bootstrap, &prefix, cache.path())).unwrap();
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    patiently(|| source.commit(outputs([output(Topic::InspectionFindings, 2, "ami-1", "{}")]))).unwrap();
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &bootstrap).set("group.id", "anybody").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&format!("{prefix}inspection.findings"), 2, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let began = Instant::now();
    let message = loop {
        assert!(began.elapsed() < READ_MAX);
        if let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
            break message.detach();
        }
    };
    let headers = message.headers().unwrap();
    let headers: BTreeMap<_, _> =
        headers.iter().map(|header| (header.key.to_owned(), String::from_utf8(header.value.unwrap().to_vec()).unwrap())).collect();
    let told = |name: &str| headers.get(name).map(String::as_str);
    assert_eq!(told("ce_specversion"), Some("1.0"));
    assert_eq!(told("ce_type"), Some("cloudigrade.inspection.findings"));
    assert_eq!(told("ce_source"), Some("/cloudigrade"));
    assert_eq!(told("ce_time"), Some("2023-11-14T22:13:20Z"));
    assert_eq!(told("content-type"), Some("application/json"));
    assert_eq!(told("ce_id").map(str::len), Some(32));
    assert_eq!((message.key(), message.payload()), (Some(&b"ami-1"[..]), Some(&b"{}"[..])));
    assert_eq!(message.timestamp().to_millis(), Some(1_700_000_000_000));
}

#[test]
fn values_up_to_their_limit_are_taken_as_records_and_as_state() {
    let Some(bootstrap) = broker::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let open = |cache: &tempfile::TempDir| KafkaLog::open(options(&bootstrap, &prefix, cache.path())).unwrap();
    let log = open(&cache);
    // Bytes that cannot be compressed.
    let mut seed = 1_u64;
    let noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 40) as u8
    };
    let large: Vec<u8> = std::iter::repeat_with(noise).take(VALUE_BYTES_MAX).collect();
    let record = Output { value: large.clone(), ..output(Topic::PowerEvents, 0, "k", "") };
    let state = StateChange { value: Some(large.clone()), ..put(0, "k", "") };
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    patiently(|| source.commit(outputs([record.clone()]))).unwrap();
    patiently(|| source.commit(Txn { state: vec![state.clone()], ..Txn::default() })).unwrap();
    assert!(read_all(&log, Topic::PowerEvents, 0)[0].value == large);
    let lost = tempfile::tempdir().unwrap();
    let log = open(&lost);
    let task = patiently(|| log.open_task(READER, &ALL)).unwrap();
    assert!(task.get(STORE, 0, b"k").unwrap() == Some(large));
}

#[test]
fn the_first_second_of_1970_is_kept_and_what_lies_before_is_refused_whole() {
    let Some(bootstrap) = broker::shared() else { return };
    let cache = tempfile::tempdir().unwrap();
    let log = KafkaLog::open(options(&bootstrap, &broker::fresh_prefix(), cache.path())).unwrap();
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    let at = |second| Output { entered_at: UtcSecond(second), ..output(Topic::PowerEvents, 0, "k", "v") };
    let refused = source.commit(outputs([at(5), at(-1)]));
    assert!(matches!(refused, Err(LogError::Storage { .. })), "{refused:?}");
    patiently(|| source.commit(outputs([at(0)]))).unwrap();
    assert_eq!(read_all(&log, Topic::PowerEvents, 0).iter().map(|record| record.entered_at.0).collect::<Vec<_>>(), [0]);
}
