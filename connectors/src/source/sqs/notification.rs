//! What a message of the queue names. Pure: text in, names out; it knows no queue and no bucket.
//!
//! Forms that are told apart by their content, each plain or wrapped by SNS:
//! * S3's event notifications, `{"Records":[{"s3":…}]}`, whose keys are form-encoded;
//! * EventBridge's `Object Created`, whose keys are plain;
//! * CloudTrail's own, `{"s3Bucket":…,"s3ObjectKey":[…]}`, whose keys are plain;
//! * EventBridge's `EC2 Instance State-change Notification`;
//! * SNS's own questions whether a subscription is meant, which only a person may answer;
//! * S3's test event, CloudTrail's validation message and whatever tells of other things than new objects: nothing to do.

use cloudigrade_schemas::UtcSecond;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_WRAPPINGS_MAX, OBJECTS_PER_MESSAGE_MAX};

/// Characters of a topic's ARN that are told: SNS's names have 256 at most.
const TOPIC_CHARS_MAX: usize = 320;

/// An object, as a notification names it. What it does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectRef {
    /// The bucket.
    pub bucket: String,
    /// The key, decoded.
    pub key: String,
    /// The version, where the bucket is versioned.
    pub version: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The ETag, without quotes.
    pub etag: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// When the object was made.
    pub made_at: Option<UtcSecond>,
    /// The key is the path of a file of this machine. No notification can say so: only who lists a folder does.
    pub on_disk: bool,
}

impl ObjectRef {
    /// `s3://bucket/key`, or the path of a file.
    pub fn uri(&self) -> String {
        if self.on_disk { self.key.clone() } else { format!("s3://{}/{}", self.bucket, self.key) }
    }

    /// What somebody mends when it cannot be read: the bucket, or the file.
    pub fn place(&self) -> String {
        if self.on_disk { self.key.clone() } else { format!("s3://{}", self.bucket) }
    }
}

/// One thing that a message names.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An object that was made.
    Object(ObjectRef),
    /// An instance that changed its state: the whole event of EventBridge.
    StateChange(Value),
    /// SNS asks whether a subscription of the queue is to begin or to end.
    Subscription {
        /// The topic's ARN, cut; it is what the message says, whoever sent it.
        topic: String,
        /// Whether it was ended, not begun.
        ended: bool,
    },
    /// Something that is none of the known forms, and why.
    Unrecognized(String),
}

/// What a message names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notification {
    /// What there is to do.
    pub items: Vec<Item>,
    /// Entries that need nothing done: test events, deletions and the like.
    pub ignored: usize,
}

/// Reads a message. Whatever it is, the answer says so.
pub fn parse(body: &str) -> Notification {
    let mut found = Notification::default();
    if body.len() > MESSAGE_BYTES_MAX {
        found.unrecognized(format!("the message has {} bytes, over the limit of {MESSAGE_BYTES_MAX}", body.len()));
        return found;
    }
    found.read_text(body, 0);
    if found.items.len() > OBJECTS_PER_MESSAGE_MAX {
        let count = found.items.len();
        found.items.clear();
        found.unrecognized(format!("the message names {count} objects, over the limit of {OBJECTS_PER_MESSAGE_MAX}"));
    }
    found
}

impl Notification {
    fn unrecognized(&mut self, why: impl Into<String>) {
        self.items.push(Item::Unrecognized(why.into()));
    }

    fn read_text(&mut self, text: &str, depth: usize) {
        if is_validation(text) {
            self.ignored += 1;
            return;
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(message)) => self.read(message, depth),
            Ok(_) => self.unrecognized("the message is JSON, but no object; send S3, SNS, EventBridge or CloudTrail notifications"),
            Err(error) => self.unrecognized(format!("the message is not JSON ({error})")),
        }
    }

    fn read(&mut self, message: Map<String, Value>, depth: usize) {
        if let Some(inner) = wrapped_by_sns(&message) {
            if depth == MESSAGE_WRAPPINGS_MAX {
                return self.unrecognized(format!("the message is wrapped more than {MESSAGE_WRAPPINGS_MAX} times by SNS"));
            }
            return self.read_text(inner, depth + 1);
        }
        if let Some(question) = asked_by_sns(&message) {
            return self.items.push(question);
        }
        if let Some(Value::Array(records)) = message.get("Records") {
            self.ignored += usize::from(records.is_empty());
            return records.iter().for_each(|record| self.read_s3_record(record));
        }
        if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            self.ignored += 1;
            return;
        }
        if let (Some(Value::String(bucket)), Some(keys)) = (message.get("s3Bucket"), message.get("s3ObjectKey")) {
            return self.read_trail(bucket, keys);
        }
        if message.contains_key("detail-type") {
            return self.read_event(message);
        }
        let known: Vec<&str> = message.keys().take(5).map(String::as_str).collect();
        let known: String = known.join(", ").chars().take(200).collect();
        self.unrecognized(format!("the message is a JSON object of no known form (its keys: {known})"));
    }

    fn read_s3_record(&mut self, record: &Value) {
        let name = record.get("eventName").and_then(Value::as_str).unwrap_or_default();
        let name = name.strip_prefix("s3:").unwrap_or(name);
        if record.get("s3").is_none() || name.is_empty() {
            return self.unrecognized("an entry of Records is no event of S3: it has no eventName or no s3");
        }
        if !name.starts_with("ObjectCreated") {
            self.ignored += 1;
            return;
        }
        let object = &record["s3"]["object"];
        let (Some(bucket), Some(key)) = (text(&record["s3"]["bucket"]["name"]), text(&object["key"])) else {
            return self.unrecognized("an entry of Records tells no bucket or no key");
        };
        let Some(key) = decode_key(&key) else {
            return self.unrecognized(format!("the key {key:?} is not UTF-8 once decoded"));
        };
        self.items.push(Item::Object(ObjectRef {
            bucket,
            key,
            version: version(&object["versionId"]),
            size: object["size"].as_u64(),
            etag: etag(&object["eTag"]),
            region: text(&record["awsRegion"]),
            made_at: moment(&record["eventTime"]),
            on_disk: false,
        }));
    }

    fn read_trail(&mut self, bucket: &str, keys: &Value) {
        let keys = match keys {
            Value::Array(keys) => keys.as_slice(),
            one => std::slice::from_ref(one),
        };
        self.ignored += usize::from(keys.is_empty());
        for key in keys {
            match text(key) {
                Some(key) => self.items.push(Item::Object(ObjectRef { bucket: bucket.to_owned(), key, ..ObjectRef::default() })),
                None => self.unrecognized("an entry of s3ObjectKey is no text"),
            }
        }
    }

    fn read_event(&mut self, event: Map<String, Value>) {
        let of = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        match (of("source"), of("detail-type")) {
            ("aws.s3", "Object Created") => {
                let detail = event.get("detail").unwrap_or(&Value::Null);
                let object = &detail["object"];
                let (Some(bucket), Some(key)) = (text(&detail["bucket"]["name"]), text(&object["key"])) else {
                    return self.unrecognized("the event Object Created tells no bucket or no key");
                };
                self.items.push(Item::Object(ObjectRef {
                    bucket,
                    key,
                    version: version(&object["version-id"]),
                    size: object["size"].as_u64(),
                    etag: etag(&object["etag"]),
                    region: event.get("region").and_then(text),
                    made_at: event.get("time").and_then(moment),
                    on_disk: false,
                }));
            }
            ("aws.s3", _) => self.ignored += 1,
            ("aws.ec2", "EC2 Instance State-change Notification") => self.items.push(Item::StateChange(Value::Object(event))),
            (source, kind) => {
                let told: String = format!("{source}: {kind}").chars().take(200).collect();
                self.unrecognized(format!("the event ({told}) is of no known kind; narrow the rule that sends it"));
            }
        }
    }
}

/// What CloudTrail publishes when a trail is given a topic.
fn is_validation(text: &str) -> bool {
    text.trim().trim_matches('"').starts_with("CloudTrail validation message")
}

/// The text inside of an SNS envelope.
fn wrapped_by_sns(message: &Map<String, Value>) -> Option<&str> {
    let is_notification = message.get("Type").and_then(Value::as_str) == Some("Notification");
    is_notification.then(|| message.get("Message").and_then(Value::as_str)).flatten()
}

/// What SNS asks of whoever reads the queue. The URL and the token that would answer are left alone: anybody who can send to the queue can
/// write such a message.
fn asked_by_sns(message: &Map<String, Value>) -> Option<Item> {
    let told = |name: &str| message.get(name).and_then(Value::as_str);
    let ended = match told("Type")? {
        "SubscriptionConfirmation" => false,
        "UnsubscribeConfirmation" => true,
        _ => return None,
    };
    let topic = told("TopicArn")?.chars().take(TOPIC_CHARS_MAX).collect();
    Some(Item::Subscription { topic, ended })
}

/// A key of an S3 event: `+` is a space, and what is percent-encoded is decoded, once. It reads what AWS writes (`/` as it is, space as
/// `+`) and what others do (`/` as `%2F`, space as `%20`). `None` where that is not UTF-8.
pub fn decode_key(encoded: &str) -> Option<String> {
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(|key| key.into_owned())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// `null` is what S3 calls the version of an object that was made before its bucket had versions.
fn version(value: &Value) -> Option<String> {
    text(value).filter(|version| version != "null")
}

fn etag(value: &Value) -> Option<String> {
    text(value).map(|etag| etag.trim_matches('"').to_owned())
}

fn moment(value: &Value) -> Option<UtcSecond> {
    value.as_str().and_then(|text| UtcSecond::parse_prefix(text).ok())
}
