//! Every form of notification, as AWS and its emulators write them.

use proptest::prelude::*;
use serde_json::json;

use crate::limits::{MESSAGE_BYTES_MAX, OBJECTS_PER_MESSAGE_MAX};
use crate::source::sqs::notification::{Item, Notification, ObjectRef, decode_key, parse};

const KEY: &str = "AWSLogs/a b+c=d/CloudTrail/x.json.gz";

fn s3_event(name: &str, key: &str) -> serde_json::Value {
    json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1", "eventTime": "2024-03-01T09:00:00.123Z",
        "eventName": name, "userIdentity": {"principalId": "AWS:X"}, "requestParameters": {"sourceIPAddress": "10.0.0.1"},
        "responseElements": {"x-amz-request-id": "R", "x-amz-id-2": "I"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": "trail", "ownerIdentity": {"principalId": "O"}, "arn": "arn:aws:s3:::trail"},
            "object": {"key": key, "size": 1234, "eTag": "0af1", "versionId": "v7", "sequencer": "0055AED6DCD90281E5"}}})
}

fn objects(found: &Notification) -> Vec<&ObjectRef> {
    found.items.iter().filter_map(|item| if let Item::Object(object) = item { Some(object) } else { None }).collect()
}

fn nothing_to_do(body: &str) -> bool {
    let found = parse(body);
    found.items.is_empty() && found.ignored == 1
}

fn unrecognized(body: &str) -> String {
    match parse(body).items.as_slice() {
        [Item::Unrecognized(why)] => why.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_event_of_s3_names_its_object_with_all_that_it_tells() {
    let found = parse(&json!({"Records": [s3_event("ObjectCreated:Put", "AWSLogs/a+b%2Bc%3Dd/CloudTrail/x.json.gz")]}).to_string());
    let expected = ObjectRef {
        bucket: "trail".into(),
        key: KEY.into(),
        version: Some("v7".into()),
        size: Some(1234),
        etag: Some("0af1".into()),
        region: Some("eu-west-1".into()),
        made_at: Some(cloudigrade_schemas::UtcSecond::parse_prefix("2024-03-01T09:00:00Z").unwrap()),
        on_disk: false,
    };
    assert_eq!(found, Notification { items: vec![Item::Object(expected)], ignored: 0 });
}

#[test]
fn keys_are_read_in_the_forms_of_aws_moto_and_localstack() {
    let moto = "AWSLogs%2Fa+b%2Bc%3Dd%2FCloudTrail%2Fx.json.gz";
    let localstack = "AWSLogs/a%20b%2Bc%3Dd/CloudTrail/x.json.gz";
    let aws = "AWSLogs/a+b%2Bc%3Dd/CloudTrail/x.json.gz";
    for encoded in [moto, localstack, aws] {
        assert_eq!(decode_key(encoded).as_deref(), Some(KEY), "{encoded}");
    }
    assert_eq!(decode_key("%ff%fe"), None);
    assert!(unrecognized(&json!({"Records": [s3_event("ObjectCreated:Put", "%ff")]}).to_string()).contains("not UTF-8"));
}

#[test]
fn what_sns_asks_about_subscriptions_is_told_apart_and_its_url_and_token_are_left_alone() {
    let asked = |kind: &str, topic: &str| {
        json!({"Type": kind, "MessageId": "m", "Token": "secret", "TopicArn": topic, "Message": "You have chosen to subscribe to the topic",
            "SubscribeURL": "https://sns.evil.example/?Token=secret", "SignatureVersion": "1"})
    };
    for (kind, ended) in [("SubscriptionConfirmation", false), ("UnsubscribeConfirmation", true)] {
        let found = parse(&asked(kind, "arn:aws:sns:us-east-1:000000000012:trail").to_string());
        let topic = "arn:aws:sns:us-east-1:000000000012:trail".to_owned();
        assert_eq!(found.items, [Item::Subscription { topic, ended }]);
        assert!(!format!("{found:?}").contains("secret"));
    }
    let found = parse(&asked("SubscriptionConfirmation", &"x".repeat(10_000)).to_string());
    assert!(matches!(&found.items[..], [Item::Subscription { topic, .. }] if topic.len() == 320));
}

#[test]
fn a_short_event_as_emulators_write_it_is_enough() {
    let found = parse(r#"{"Records":[{"eventName":"s3:ObjectCreated:Copy","s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#);
    assert_eq!(objects(&found), [&ObjectRef { bucket: "b".into(), key: "k".into(), ..ObjectRef::default() }]);
}

#[test]
fn what_tells_of_no_new_object_needs_nothing_done() {
    assert!(nothing_to_do(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014","Bucket":"b","RequestId":"r","HostId":"h"}"#));
    assert!(nothing_to_do("CloudTrail validation message."));
    assert!(nothing_to_do(r#"{"Type":"Notification","Message":"CloudTrail validation message."}"#));
    assert!(nothing_to_do(r#"{"Records":[]}"#));
    assert!(nothing_to_do(r#"{"s3Bucket":"b","s3ObjectKey":[]}"#));
    assert!(nothing_to_do(&json!({"Records": [s3_event("ObjectRemoved:Delete", "k")]}).to_string()));
    assert!(nothing_to_do(&json!({"Records": [s3_event("ObjectTagging:Put", "k")]}).to_string()));
    assert!(nothing_to_do(r#"{"source":"aws.s3","detail-type":"Object Deleted","detail":{}}"#));
}

#[test]
fn a_notification_of_cloudtrail_names_all_its_keys_as_they_are() {
    let found = parse(r#"{"s3Bucket":"trail","s3ObjectKey":["a+b%41.json.gz","c.json.gz"]}"#);
    let keys: Vec<&str> = objects(&found).iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["a+b%41.json.gz", "c.json.gz"]);
    assert_eq!(objects(&parse(r#"{"s3Bucket":"trail","s3ObjectKey":"one"}"#)).len(), 1);
}

#[test]
fn an_event_of_eventbridge_names_its_key_as_it_is() {
    let found = parse(
        r#"{"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3","account":"1","time":"2024-03-01T09:00:00Z","region":"us-east-1",
        "resources":["arn:aws:s3:::b"],"detail":{"version":"0","bucket":{"name":"b"},"object":{"key":"a+b c","size":5,"etag":"e","version-id":"v",
        "sequencer":"s"},"request-id":"r","requester":"q","reason":"PutObject"}}"#,
    );
    let [object] = objects(&found)[..] else { panic!("{found:?}") };
    let told = (object.key.as_str(), object.size, object.version.as_deref(), object.region.as_deref());
    assert_eq!(told, ("a+b c", Some(5), Some("v"), Some("us-east-1")));
}

#[test]
fn sns_around_any_form_is_opened() {
    let inner = json!({"Records": [s3_event("ObjectCreated:Put", "k")]}).to_string();
    let once = json!({"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": inner}).to_string();
    let twice = json!({"Type": "Notification", "Message": once}).to_string();
    let thrice = json!({"Type": "Notification", "Message": twice}).to_string();
    assert_eq!(parse(&once), parse(&inner));
    assert_eq!(parse(&twice), parse(&inner));
    assert!(unrecognized(&thrice).contains("wrapped more than 2 times"));
}

#[test]
fn a_change_of_state_is_handed_on_whole() {
    let event = json!({"detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "detail": {"instance-id": "i-1", "state": "stopped"}});
    assert_eq!(parse(&event.to_string()).items, [Item::StateChange(event)]);
}

#[test]
fn an_entry_that_is_not_understood_does_not_spoil_its_neighbours() {
    let found = parse(
        &json!({"Records": [s3_event("ObjectCreated:Put", "k"), {"eventName": "RunInstances"}, s3_event("ObjectRemoved:Delete", "d")]})
            .to_string(),
    );
    assert_eq!((objects(&found).len(), found.items.len(), found.ignored), (1, 2, 1));
}

#[test]
fn anything_else_is_said_to_be_unrecognized() {
    for body in [
        "",
        "hello",
        "[1]",
        "{}",
        "null",
        r#"{"Records":{}}"#,
        r#"{"source":"aws.ec2","detail-type":"EC2 Spot Instance Interruption Warning"}"#,
    ] {
        unrecognized(body);
    }
    assert!(unrecognized(&"[".repeat(10_000)).contains("not JSON"));
    assert!(unrecognized(&" ".repeat(MESSAGE_BYTES_MAX + 1)).contains("over the limit"));
    let many = json!({"s3Bucket": "b", "s3ObjectKey": vec!["k"; OBJECTS_PER_MESSAGE_MAX + 1]}).to_string();
    assert!(unrecognized(&many).contains("names 10001 objects"));
}

/// As AWS does: form-encoding that leaves `/` alone.
fn encode(key: &str) -> String {
    let mut encoded = String::new();
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'*' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

proptest! {
    #[test]
    fn every_key_survives_the_encoding(key in "\\PC{1,60}") {
        prop_assert_eq!(decode_key(&encode(&key)), Some(key.clone()));
        let found = parse(&json!({"Records": [s3_event("ObjectCreated:Put", &encode(&key))]}).to_string());
        prop_assert_eq!(&objects(&found)[0].key, &key);
    }

    #[test]
    fn no_text_makes_it_panic_or_say_nothing(body in "\\PC{0,200}") {
        let found = parse(&body);
        prop_assert!(found.items.len() + found.ignored > 0);
    }

    #[test]
    fn no_json_makes_it_panic_or_say_nothing(keys in prop::collection::vec(prop::sample::select(vec!["Records", "s3", "s3Bucket", "s3ObjectKey",
        "Type", "Message", "detail-type", "source", "detail", "object", "key", "eventName", "bucket", "name"]), 1..6), leaf in "[a-zA-Z:.]{0,12}") {
        let value = keys.iter().rev().fold(json!(leaf), |inner, key| json!({*key: inner, "Type": "Notification", "Records": [{*key: leaf.clone()}]}));
        let found = parse(&value.to_string());
        prop_assert!(found.items.len() + found.ignored > 0);
    }
}
