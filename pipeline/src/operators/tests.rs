//! Both operators together, as the engine drives them: from CloudTrail records to instance months.

use std::collections::{BTreeMap, HashMap};

use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{
    DeadLetter, Image, ImageFact, InspectionCommand, InstanceMonth, Interval, PowerAction, SourceRef, Topic, TrailRecord, UtcSecond,
};
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Value, json, value::to_raw_value};

use super::{Extract, ImageTags, Images, Intervals, Sightings, counted};
use crate::engine::{Counters, Cx, Operator};
use crate::log::{LogError, Output, Record, StateRead, Store, Txn};

mod attempts;
mod images;
mod needs;
mod observations;
mod tags;

const PARTITIONS: u32 = 4;

/// Committed state and records, with the two operators over them.
#[derive(Default)]
struct Pipeline {
    state: HashMap<(Store, u32, Vec<u8>), Vec<u8>>,
    months: BTreeMap<String, InstanceMonth<'static>>,
    /// The tags of images, as `key: value`.
    tags: BTreeMap<String, String>,
    /// Images as they stand, by their ids.
    images: BTreeMap<String, Image>,
    /// What the worker was told, in order.
    commands: Vec<InspectionCommand>,
    counters: Counters,
    offset: u64,
}

impl StateRead for Pipeline {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.state.get(&(store, partition, key.to_vec())).cloned())
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, LogError> {
        let found = self.state.iter().filter(|((s, p, key), _)| (*s, *p) == (store, partition) && key.starts_with(prefix));
        let mut found: Vec<_> = found.map(|((_, _, key), value)| (key.clone(), value.clone())).collect();
        found.sort();
        Ok(found)
    }
}

impl Pipeline {
    /// Folds a batch of CloudTrail records and what comes of it. A batch that crashes is folded but not committed.
    fn feed(&mut self, batch: &[Value], crash: bool) {
        let inputs = records_of(batch);
        let (extracted, counters) = self.fold(&Extract, &inputs);
        if crash {
            return;
        }
        self.counters.merge(&counters);
        let (tags, events): (Vec<_>, Vec<_>) = self.commit(extracted).into_iter().partition(|output| output.topic == Topic::ImageTags);
        let (facts, _) = self.fold(&ImageTags, &tags);
        let facts = self.commit(facts);
        for message in &facts {
            let fact: ImageFact = serde_json::from_slice(&message.value).unwrap();
            assert_eq!((fact.to_key().as_bytes(), message.topic), (&*message.key, Topic::ImageFacts));
            self.tags.insert(fact.to_key(), format!("{} {:?}", clock(fact.at), fact.fact));
        }
        let (seen, _) = self.fold(&Sightings, &events);
        let seen = self.commit(seen);
        self.hear(&[facts, seen].concat());
        let (folded, _) = self.fold(&Intervals, &events);
        for message in self.commit(folded) {
            let mut month: InstanceMonth<'_> = serde_json::from_slice(message.value.leak()).unwrap();
            assert!(month.revision > 0);
            // How often it changed depends on the order of arrival; what it says must not.
            month.revision = 0;
            match month.intervals.is_empty() && month.events.is_empty() {
                true => self.months.remove(&month.to_key()),
                false => self.months.insert(month.to_key(), month),
            };
        }
    }

    /// The power events of some records.
    fn extracted(&mut self, batch: &[Value]) -> Vec<Output> {
        let (extracted, _) = self.fold(&Extract, &records_of(batch));
        self.commit(extracted).into_iter().filter(|output| output.topic == Topic::PowerEvents).collect()
    }

    /// Folds what was told of images.
    fn hear(&mut self, told: &[Output]) {
        let (folded, counters) = self.fold(&Images, told);
        self.counters.merge(&counters);
        for message in self.commit(folded) {
            if message.topic == Topic::InspectionCommands {
                let command: InspectionCommand = serde_json::from_slice(&message.value).unwrap();
                assert_eq!((&*message.key, message.partition), (command.image_id.as_bytes(), partition_of(&message.key, PARTITIONS)));
                self.commands.push(command);
                continue;
            }
            let image: Image = serde_json::from_slice(&message.value).unwrap();
            let place = (Topic::Images, partition_of(image.image_id.as_bytes(), PARTITIONS));
            assert_eq!(((message.topic, message.partition), &*message.key), (place, image.image_id.as_bytes()));
            self.images.insert(image.image_id.clone(), image);
        }
    }

    fn fold(&mut self, operator: &dyn Operator, inputs: &[Output]) -> (Txn, Counters) {
        let records: Vec<Record> = inputs
            .iter()
            .map(|input| {
                self.offset += 1;
                let Output { topic, partition, key, value, entered_at } = input.clone();
                Record { topic, partition, offset: self.offset, key, value, entered_at }
            })
            .collect();
        let mut cx = Cx::new(self, PARTITIONS);
        operator.fold(&mut cx, &records.iter().collect::<Vec<_>>()).unwrap();
        cx.finish()
    }

    fn commit(&mut self, txn: Txn) -> Vec<Output> {
        for change in txn.state {
            let key = (change.store, change.partition, change.key);
            match change.value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        txn.outputs
    }

    fn of(records: &[Value]) -> Self {
        let mut pipeline = Self::default();
        pipeline.feed(records, false);
        pipeline
    }

    /// The runs as `instance: start..end type`, in order.
    fn runs(&self) -> Vec<String> {
        let mut runs = BTreeMap::new();
        for month in self.months.values() {
            for Interval { start, end, instance_type, .. } in &month.intervals {
                let end = end.as_ref().map_or_else(|| "open".to_owned(), |end| clock(end.at));
                let line =
                    format!("{}: {}..{end} {}", month.instance.instance_id, clock(start.at), instance_type.as_deref().unwrap_or("?"));
                runs.insert((month.instance.clone(), start.at), line);
            }
        }
        runs.into_values().collect()
    }
}

/// CloudTrail records as messages.
fn records_of(batch: &[Value]) -> Vec<Output> {
    let inputs = batch.iter().map(|record| {
        let source = SourceRef { uri: "file".into(), version: None, index: 0 };
        let raw = to_raw_value(record).unwrap();
        let id = record["eventID"].as_str().unwrap_or_default().to_owned();
        let value = serde_json::to_vec(&TrailRecord { source, record: &raw }).unwrap();
        let partition = partition_of(id.as_bytes(), PARTITIONS);
        Output { topic: Topic::CloudTrailRecords, partition, key: id.into_bytes(), value, entered_at: UtcSecond(0) }
    });
    inputs.collect()
}

fn clock(at: UtcSecond) -> String {
    at.to_string()[11..16].to_owned()
}

/// A record of 2024-03-01 at `time`; `said` is merged into it.
fn record(id: &str, name: &str, time: &str, instances: &[&str], said: Value) -> Value {
    let items: Vec<Value> = instances.iter().map(|id| json!({"instanceId": id, "imageId": "ami-1"})).collect();
    let mut record = json!({
        "eventID": id, "eventSource": "ec2.amazonaws.com", "eventName": name, "eventTime": format!("2024-03-01T{time}:00Z"),
        "awsRegion": "us-east-1", "recipientAccountId": "000000000001", "responseElements": {"instancesSet": {"items": items}}
    });
    for (key, value) in said.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

fn plain(id: &str, name: &str, time: &str, instance: &str) -> Value {
    record(id, name, time, &[instance], json!({}))
}

#[test]
fn a_second_start_does_not_restart_a_run() {
    let records = [
        plain("a", "StartInstances", "09:00", "i-1"),
        plain("b", "StartInstances", "09:05", "i-1"),
        plain("c", "StopInstances", "10:00", "i-1"),
    ];
    assert_eq!(Pipeline::of(&records).runs(), ["i-1: 09:00..10:00 ?"]);
}

#[test]
fn one_launch_of_three_instances_is_three_runs_and_each_ends_by_itself() {
    let launch = record("a", "RunInstances", "09:00", &["i-1", "i-2", "i-3"], json!({"requestParameters": {"instanceType": "t3.micro"}}));
    let end = record("b", "TerminateInstances", "09:00", &["i-2"], json!({"eventTime": "2024-03-01T09:00:20Z"}));
    let pipeline = Pipeline::of(&[launch, end]);
    assert_eq!(pipeline.runs(), ["i-1: 09:00..open t3.micro", "i-2: 09:00..09:00 t3.micro", "i-3: 09:00..open t3.micro"]);
    assert_eq!((pipeline.counters.get(counted::POWER_RECORDS), pipeline.counters.get(counted::POWER_EVENTS)), (2, 4));
}

#[test]
fn a_type_change_while_stopped_splits_the_usage_and_one_while_running_waits_for_the_next_start() {
    let modify = |id, time, new| {
        record(
            id,
            "ModifyInstanceAttribute",
            time,
            &[],
            json!({"requestParameters": {"instanceId": "i-1", "instanceType": {"value": new}}}),
        )
    };
    let launch = record("a", "RunInstances", "08:00", &["i-1"], json!({"requestParameters": {"instanceType": "m5.large"}}));
    let (stop, start, end) = (
        plain("b", "StopInstances", "10:00", "i-1"),
        plain("d", "StartInstances", "11:00", "i-1"),
        plain("e", "StopInstances", "12:00", "i-1"),
    );
    let while_stopped = [launch.clone(), stop.clone(), modify("c", "10:30", "m5.xlarge"), start.clone(), end.clone()];
    assert_eq!(Pipeline::of(&while_stopped).runs(), ["i-1: 08:00..10:00 m5.large", "i-1: 11:00..12:00 m5.xlarge"]);
    let while_running = [launch, modify("c", "09:00", "m5.xlarge"), stop, start, end];
    assert_eq!(Pipeline::of(&while_running).runs(), ["i-1: 08:00..10:00 m5.large", "i-1: 11:00..12:00 m5.xlarge"]);
}

#[test]
fn a_spot_interruption_ends_a_run() {
    let evicted = json!({"responseElements": null, "serviceEventDetails": {"instanceIdSet": ["i-1"]}});
    let records = [plain("a", "RunInstances", "09:00", "i-1"), record("b", "BidEvictedEvent", "09:30", &[], evicted)];
    assert_eq!(Pipeline::of(&records).runs(), ["i-1: 09:00..09:30 ?"]);
}

#[test]
fn a_failed_stop_and_a_stop_of_a_stopped_instance_have_no_effect() {
    let failed = record("b", "StopInstances", "09:30", &["i-1"], json!({"errorCode": "Client.UnauthorizedOperation"}));
    let records = [
        plain("a", "StartInstances", "09:00", "i-1"),
        failed,
        plain("c", "StopInstances", "10:00", "i-1"),
        plain("d", "StopInstances", "11:00", "i-1"),
    ];
    assert_eq!(Pipeline::of(&records).runs(), ["i-1: 09:00..10:00 ?"]);
}

#[test]
fn a_stop_without_a_start_gives_no_run_but_stays_in_the_evidence() {
    let pipeline = Pipeline::of(&[plain("a", "StopInstances", "09:00", "i-1")]);
    assert!(pipeline.runs().is_empty());
    assert_eq!(pipeline.months.values().map(|month| month.events.len()).sum::<usize>(), 1);
}

#[test]
fn within_one_second_a_launch_comes_before_a_stop_and_a_stop_after_a_start() {
    let records = [plain("a", "TerminateInstances", "09:00", "i-1"), plain("b", "RunInstances", "09:00", "i-1")];
    assert_eq!(Pipeline::of(&records).runs(), ["i-1: 09:00..09:00 ?"]);
    let records = [
        plain("a", "RunInstances", "08:00", "i-1"),
        plain("b", "StopInstances", "09:00", "i-1"),
        plain("c", "StartInstances", "09:00", "i-1"),
    ];
    assert_eq!(Pipeline::of(&records).runs(), ["i-1: 08:00..09:00 ?"]);
}

#[test]
fn of_two_contents_of_one_event_the_one_that_sorts_first_holds_in_either_order() {
    let early = record("a", "StartInstances", "09:00", &["i-1"], json!({"aaa": 1}));
    let late = record("a", "StartInstances", "08:00", &["i-2"], json!({"bbb": 1}));
    for records in [[early.clone(), late.clone()], [late, early]] {
        let mut pipeline = Pipeline::default();
        records.iter().for_each(|record| pipeline.feed(std::slice::from_ref(record), false));
        assert_eq!(pipeline.runs(), ["i-1: 09:00..open ?"]);
        assert_eq!(pipeline.months.len(), 2, "the other telling leaves nothing behind");
        assert_eq!(pipeline.counters.get(counted::DUPLICATES), 1);
    }
}

#[test]
fn an_event_that_cannot_be_used_becomes_a_dead_letter_and_its_neighbours_count() {
    let bad = record("b", "StopInstances", "10:00", &["i-1"], json!({"eventTime": "soon"}));
    let pipeline = Pipeline::of(&[plain("a", "StartInstances", "09:00", "i-1"), bad, plain("c", "StopInstances", "11:00", "i-1")]);
    assert_eq!(pipeline.runs(), ["i-1: 09:00..11:00 ?"]);
    assert_eq!(pipeline.counters.get(counted::DEAD_LETTERS), 1);
}

#[test]
fn a_dead_letter_names_the_version_of_the_object_that_its_record_was_in() {
    let raw = to_raw_value(&record("b", "StopInstances", "10:00", &["i-1"], json!({"eventTime": "soon"}))).unwrap();
    let letter = |version: Option<&'static str>| {
        let source = SourceRef { uri: "s3://b/k".into(), version: version.map(Into::into), index: 3 };
        let value = serde_json::to_vec(&TrailRecord { source, record: &raw }).unwrap();
        let input = Output { topic: Topic::CloudTrailRecords, partition: 0, key: b"b".to_vec(), value, entered_at: UtcSecond(0) };
        let (told, _) = Pipeline::default().fold(&Extract, &[input]);
        let letter: DeadLetter = serde_json::from_slice(&told.outputs[0].value).unwrap();
        assert_eq!((told.outputs.len(), &*told.outputs[0].key), (1, letter.id.as_bytes()));
        letter
    };
    assert_eq!((letter(Some("v1")).version.as_deref(), letter(Some("v1")).index), (Some("v1"), Some(3)));
    assert_eq!(letter(None).version, None);
    assert_ne!(letter(Some("v1")).id, letter(Some("v2")).id);
}

/// Few instances and times, so that ties, repeats and redundant calls are common; some are near enough to be seen as one, some are not.
fn any_record() -> impl Strategy<Value = Value> {
    let action = proptest::sample::select(&PowerAction::ALL[..]);
    let instances = subsequence(vec!["i-1", "i-2", "i-3"], 1..=3);
    let second = prop_oneof![0..30_i64, 2_678_390..2_678_410_i64, 6_000_000..6_000_005_i64, (0..20_i64).prop_map(|step| step * 101)];
    let kind = proptest::sample::select(vec![None, Some("m5.large"), Some("t3.micro")]);
    (action, instances, second, kind, 0..40_u32, 0..10_u32).prop_map(|(action, instances, second, kind, id, oddity)| {
        let at = UtcSecond(1_704_067_200 + second);
        let time = at.to_string();
        if action.is_observation() {
            let bound = (action == PowerAction::ObservedStopped && oddity < 5).then(|| UtcSecond(at.0 - 250 * i64::from(oddity)));
            return observations::observed(&format!("event-{id}"), action, instances[0], at, kind, bound);
        }
        let request = match action {
            PowerAction::ModifyInstanceAttribute => json!({"instanceId": instances[0], "instanceType": {"value": kind}}),
            _ => json!({"instanceType": kind}),
        };
        let mut said = json!({"eventTime": time, "requestParameters": request, "serviceEventDetails": {"instanceIdSet": instances}});
        match oddity {
            0 => said["errorCode"] = json!("Client.Failed"),
            1 => said["responseElements"] = Value::Null,
            2 => said["awsRegion"] = json!("eu-west-1"),
            _ => {}
        }
        // Few ids: some events are told twice with different contents.
        record(&format!("event-{id}"), action.name(), "00:00", &instances, said)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_order_repetition_split_and_crash_gives_the_same_months(
        records in prop::collection::vec(any_record(), 1..40),
        repeats in prop::collection::vec(any::<Index>(), 0..10),
        order in any::<u64>(),
        cuts in prop::collection::vec((any::<Index>(), any::<bool>()), 0..6),
    ) {
        let expected = Pipeline::of(&records);
        let mut delivered = records.clone();
        delivered.extend(repeats.iter().map(|index| index.get(&records).clone()));
        let key = |i: usize| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), order);
        let mut shuffled: Vec<_> = delivered.into_iter().enumerate().collect();
        shuffled.sort_by_key(|(i, _)| key(*i));
        let shuffled: Vec<Value> = shuffled.into_iter().map(|(_, record)| record).collect();
        let mut cuts: Vec<(usize, bool)> = cuts.iter().map(|(index, crash)| (index.index(shuffled.len()), *crash)).collect();
        cuts.sort_unstable();
        let mut actual = Pipeline::default();
        let mut from = 0;
        for (to, crash) in cuts {
            if crash {
                actual.feed(&shuffled[from..to], true);
            }
            actual.feed(&shuffled[from..to], false);
            from = to;
        }
        actual.feed(&shuffled[from..], false);
        prop_assert_eq!(&expected.months, &actual.months);
    }

    #[test]
    fn runs_of_an_instance_never_overlap_and_only_the_last_is_open(records in prop::collection::vec(any_record(), 1..40)) {
        let pipeline = Pipeline::of(&records);
        let mut by_instance: BTreeMap<_, BTreeMap<UtcSecond, Option<UtcSecond>>> = BTreeMap::new();
        for month in pipeline.months.values() {
            for run in &month.intervals {
                by_instance.entry(&month.instance).or_default().insert(run.start.at, run.end.as_ref().map(|end| end.at));
            }
        }
        for runs in by_instance.values() {
            let runs: Vec<_> = runs.iter().collect();
            for pair in runs.windows(2) {
                prop_assert!(pair[0].1.is_some_and(|end| end <= *pair[1].0));
            }
        }
    }
}
