//! Tags of images, from CloudTrail records to facts.

use super::*;
use crate::limits::{TAGGED_RESOURCES_MAX, TAGS_PER_CALL_MAX};

/// A call of 2024-03-01 at `time`, of account 000000000001.
fn call(name: &str, time: &str, resources: &[&str], tags: Option<&[(&str, Option<&str>)]>) -> Value {
    let resources: Vec<Value> = resources.iter().map(|id| json!({"resourceId": id})).collect();
    let mut request = json!({"resourcesSet": {"items": resources}});
    if let Some(tags) = tags {
        let tag = |(key, value): &(&str, Option<&str>)| match value {
            Some(value) => json!({"key": key, "value": value}),
            None => json!({"key": key}),
        };
        request["tagSet"] = json!({"items": tags.iter().map(tag).collect::<Vec<_>>()});
    }
    let said = json!({"requestParameters": request, "responseElements": {"_return": true}});
    record(&format!("{name} {time}"), name, time, &[], said)
}

fn tags(records: &[Value]) -> Vec<String> {
    let line = |(key, fact): (&String, &String)| format!("{key}: {fact}");
    Pipeline::of(records).tags.iter().map(line).collect()
}

fn set(key: &str, value: &str) -> String {
    format!("Tag {{ account_id: Some(\"000000000001\"), key: {key:?}, value: Some({value:?}) }}")
}

fn unset(key: &str) -> String {
    format!("Tag {{ account_id: Some(\"000000000001\"), key: {key:?}, value: None }}")
}

#[test]
fn each_tag_of_each_image_that_a_call_names_is_a_fact_and_other_resources_are_none() {
    let records = [call("CreateTags", "09:00", &["i-1", "ami-1", "ami-2"], Some(&[("a/b", Some("1")), ("c", Some("")), ("d", None)]))];
    assert_eq!(
        tags(&records),
        [
            format!("us-east-1/ami-1/tag/000000000001/a/b: 09:00 {}", set("a/b", "1")),
            format!("us-east-1/ami-1/tag/000000000001/c: 09:00 {}", set("c", "")),
            format!("us-east-1/ami-1/tag/000000000001/d: 09:00 {}", set("d", "")),
            format!("us-east-1/ami-2/tag/000000000001/a/b: 09:00 {}", set("a/b", "1")),
            format!("us-east-1/ami-2/tag/000000000001/c: 09:00 {}", set("c", "")),
            format!("us-east-1/ami-2/tag/000000000001/d: 09:00 {}", set("d", "")),
        ]
    );
    assert!(tags(&[call("CreateTags", "09:00", &["i-1", "vol-1"], Some(&[("a", Some("ami-1"))]))]).is_empty());
}

/// The same call, of another account.
fn of_another(mut call: Value) -> Value {
    call["recipientAccountId"] = json!("000000000002");
    call["eventID"] = json!(format!("{} of another", call["eventID"]));
    call
}

#[test]
fn an_account_sets_and_takes_away_its_own_tags_only() {
    let on = call("CreateTags", "09:00", &["ami-1"], Some(&[("k", Some("v"))]));
    let off = of_another(call("DeleteTags", "10:00", &["ami-1"], Some(&[("k", None)])));
    let all_off = of_another(call("DeleteTags", "11:00", &["ami-1"], None));
    let of_one = format!("us-east-1/ami-1/tag/000000000001/k: 09:00 {}", set("k", "v"));
    let of_two = format!("us-east-1/ami-1/tag/000000000002/k: 11:00 {}", unset("k").replace("000000000001", "000000000002"));
    assert_eq!(tags(&[on.clone(), off.clone(), all_off.clone()]), [of_one.clone(), of_two.clone()]);
    assert_eq!(tags(&[all_off, off, on]), [of_one, of_two]);
    let unnamed = json!({"recipientAccountId": null, "userIdentity": {"accountId": "000000000003"}});
    let mut by_caller = call("CreateTags", "09:00", &["ami-1"], Some(&[("k", Some("v"))]));
    for (key, value) in unnamed.as_object().unwrap() {
        by_caller[key] = value.clone();
    }
    assert!(tags(&[by_caller])[0].starts_with("us-east-1/ami-1/tag/000000000003/k"));
    let mut as_a_number = call("CreateTags", "09:00", &["ami-1"], Some(&[("k", Some("v"))]));
    as_a_number["recipientAccountId"] = json!(123_456_789_012_u64);
    assert!(tags(&[as_a_number])[0].starts_with("us-east-1/ami-1/tag/123456789012/k"), "as of its instances");
}

#[test]
fn of_two_calls_the_later_holds_in_whichever_order_they_are_read() {
    let on = call("CreateTags", "09:00", &["ami-1"], Some(&[("k", Some("old"))]));
    let again = call("CreateTags", "10:00", &["ami-1"], Some(&[("k", Some("new"))]));
    let off = call("DeleteTags", "11:00", &["ami-1"], Some(&[("k", None)]));
    for records in [vec![on.clone(), again.clone()], vec![again.clone(), on.clone()]] {
        assert_eq!(tags(&records), [format!("us-east-1/ami-1/tag/000000000001/k: 10:00 {}", set("k", "new"))]);
    }
    assert_eq!(tags(&[off, on, again]), [format!("us-east-1/ami-1/tag/000000000001/k: 11:00 {}", unset("k"))]);
}

#[test]
fn all_tags_taken_away_are_those_that_were_set_before() {
    let before = call("CreateTags", "09:00", &["ami-1"], Some(&[("a", Some("1")), ("b", Some("2"))]));
    let all = call("DeleteTags", "10:00", &["ami-1"], None);
    let after = call("CreateTags", "11:00", &["ami-1"], Some(&[("b", Some("3"))]));
    for records in [[before.clone(), all.clone(), after.clone()], [all.clone(), after.clone(), before.clone()], [after, before, all]] {
        assert_eq!(
            tags(&records),
            [
                format!("us-east-1/ami-1/tag/000000000001/a: 10:00 {}", unset("a")),
                format!("us-east-1/ami-1/tag/000000000001/b: 11:00 {}", set("b", "3"))
            ]
        );
    }
}

#[test]
fn failed_calls_and_those_of_others_say_nothing_and_what_cannot_be_used_is_a_dead_letter() {
    let sound = call("CreateTags", "09:00", &["ami-1"], Some(&[("k", Some("v"))]));
    let with = |name: &str, value: Value| {
        let mut record = sound.clone();
        record[name] = value;
        record
    };
    let silent = [with("errorCode", json!("Client.InvalidAMIID.NotFound")), with("eventSource", json!("rds.amazonaws.com"))];
    let pipeline = Pipeline::of(&silent);
    assert_eq!((pipeline.tags.len(), pipeline.counters.get(counted::DEAD_LETTERS)), (0, 0));
    let long = call("CreateTags", "09:00", &["ami-1"], Some(&[(&"k".repeat(129), Some("v"))]));
    let pipeline = Pipeline::of(&[with("eventTime", json!("soon")), long, call("CreateTags", "09:00", &["ami-1"], Some(&[("", None)]))]);
    assert_eq!((pipeline.tags.len(), pipeline.counters.get(counted::DEAD_LETTERS)), (0, 3));
}

#[test]
fn a_call_with_more_than_aws_takes_is_one_dead_letter_and_not_a_fact_for_each_tag_of_each_image() {
    let images: Vec<String> = (0..=TAGGED_RESOURCES_MAX).map(|number| format!("ami-{number}")).collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let keys: Vec<String> = (0..=TAGS_PER_CALL_MAX).map(|number| format!("key {number}")).collect();
    let keys: Vec<(&str, Option<&str>)> = keys.iter().map(|key| (key.as_str(), Some("v"))).collect();
    let told = |images: &[&str], keys: &[(&str, Option<&str>)]| {
        let pipeline = Pipeline::of(&[call("CreateTags", "09:00", images, Some(keys))]);
        (pipeline.tags.len(), pipeline.counters.get(counted::DEAD_LETTERS))
    };
    assert_eq!((told(&images, &keys[..1]), told(&images[..1], &keys)), ((0, 1), (0, 1)));
    assert_eq!(told(&images[1..], &keys[1..]), (TAGGED_RESOURCES_MAX * TAGS_PER_CALL_MAX, 0));
}

fn any_call() -> impl Strategy<Value = Value> {
    let key = proptest::sample::select(vec!["a", "b"]);
    let tag = (key, prop::option::of(proptest::sample::select(vec!["1", "2"])));
    let tags = prop::option::of(prop::collection::vec(tag, 0..3));
    let images = subsequence(vec!["ami-1", "ami-2", "i-1"], 1..=3);
    (any::<[bool; 2]>(), 0..6_u32, images, tags).prop_map(|([is_set, is_anothers], minute, images, tags)| {
        let call = call(if is_set { "CreateTags" } else { "DeleteTags" }, &format!("09:0{minute}"), &images, tags.as_deref());
        if is_anothers { of_another(call) } else { call }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_order_repetition_and_split_gives_the_same_tags(
        calls in prop::collection::vec(any_call(), 1..20),
        repeats in prop::collection::vec(any::<Index>(), 0..6),
        order in any::<u64>(),
        cut in any::<Index>(),
    ) {
        let mut delivered: Vec<_> = calls.clone();
        delivered.extend(repeats.iter().map(|index| index.get(&calls).clone()));
        let mut delivered: Vec<_> = delivered.into_iter().enumerate().collect();
        delivered.sort_by_key(|(i, _)| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), order));
        let delivered: Vec<Value> = delivered.into_iter().map(|(_, record)| record).collect();
        let (first, second) = delivered.split_at(cut.index(delivered.len()));
        let mut actual = Pipeline::default();
        for part in [first, second] {
            actual.feed(part, true);
            actual.feed(part, false);
        }
        prop_assert_eq!(&Pipeline::of(&calls).tags, &actual.tags);
    }
}
