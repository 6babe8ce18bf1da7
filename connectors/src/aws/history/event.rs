//! An event that was looked up, as a record for the log. Pure.

use std::collections::BTreeSet;

use aws_sdk_cloudtrail::types::Event;
use cloudigrade_schemas::{DeadLetter, DeadLetterReason, EventId, SourceRef, TrailRecord, UtcSecond};
use serde::Deserialize;
use serde_json::Value;

/// The events that are looked up: one pass for each, as CloudTrail takes one attribute a question.
pub const EVENT_NAMES: [&str; 8] = [
    "RunInstances",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
    "ModifyInstanceAttribute",
    "BidEvictedEvent",
    "CreateTags",
    "DeleteTags",
];

/// What one event gives.
#[derive(Debug)]
pub enum Looked {
    /// A record, with its id.
    Record(EventId<'static>, Vec<u8>),
    /// Nothing that matters here.
    Nothing,
    /// It cannot be used.
    Unusable(Box<DeadLetter>),
}

/// The place of an event that was looked up.
pub fn source_uri(account: &str, region: &str) -> String {
    format!("lookup://{account}/{region}")
}

/// Reads an event: its record verbatim, under its own id, so that it meets the same record out of a log file.
pub fn read(event: &Event, name: &str, account: &str, region: &str, now: UtcSecond) -> Looked {
    let Some(text) = event.cloud_trail_event() else { return Looked::Nothing };
    let is_ec2 = event.event_source().is_none_or(|source| source == "ec2.amazonaws.com");
    // Most tags are set on other things than images.
    let is_of_image = !name.ends_with("Tags") || text.contains("\"ami-");
    if !(is_ec2 && is_of_image) {
        return Looked::Nothing;
    }
    let source = SourceRef { uri: source_uri(account, region).into(), version: None, index: 0 };
    let unusable = |detail: String| {
        // Several events of one place are told apart by their ids.
        let uri = format!("{}/{}", source.uri, event.event_id().unwrap_or("unknown"));
        Looked::Unusable(Box::new(DeadLetter::new(uri, None, DeadLetterReason::BadRecord, detail, text.as_bytes(), now)))
    };
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "eventID")]
        event_id: Option<String>,
    }
    let named = match serde_json::from_str::<Named>(text) {
        Ok(named) => named,
        Err(error) => return unusable(format!("CloudTrail's event is not a JSON object: {error}")),
    };
    let id = named.event_id.or_else(|| event.event_id().map(str::to_owned));
    let id = id.map_or_else(|| EventId::of_content(text), |id| EventId(id.into()));
    match TrailRecord::message(&source, text.trim()) {
        Ok(message) => Looked::Record(id, message),
        Err(error) => unusable(error.to_string()),
    }
}

/// The images that a launch names: of instances that are long gone nothing else tells them.
pub fn images_of(event: &Event, images: &mut BTreeSet<String>, limit: usize) {
    let record = event.cloud_trail_event().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let items = record.as_ref().and_then(|record| record.pointer("/responseElements/instancesSet/items")).and_then(Value::as_array);
    let named = items.into_iter().flatten().filter_map(|item| item.get("imageId").and_then(Value::as_str));
    for image in named {
        if images.len() < limit {
            images.insert(image.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        Event::builder().event_id("e-1").event_source("ec2.amazonaws.com").cloud_trail_event(text).build()
    }

    fn looked(event: &Event, name: &str) -> Looked {
        read(event, name, "111122223333", "us-east-1", UtcSecond(0))
    }

    #[test]
    fn a_record_is_kept_verbatim_under_its_own_id() {
        let text = r#"{"eventID": "abc", "eventName":"RunInstances","x":[1, 2]}"#;
        let Looked::Record(id, message) = looked(&event(text), "RunInstances") else { panic!() };
        assert_eq!(id.as_str(), "abc");
        let read: TrailRecord<'_> = serde_json::from_slice(&message).unwrap();
        assert_eq!(read.record.get(), text);
        assert_eq!(read.source.to_string(), "lookup://111122223333/us-east-1#0");
    }

    #[test]
    fn tags_of_other_things_than_images_and_events_of_other_services_are_passed_over() {
        let tags =
            |id: &str| event(&format!(r#"{{"eventID":"a","requestParameters":{{"resourcesSet":{{"items":[{{"resourceId":"{id}"}}]}}}}}}"#));
        assert!(matches!(looked(&tags("vol-1"), "CreateTags"), Looked::Nothing));
        assert!(matches!(looked(&tags("ami-1"), "CreateTags"), Looked::Record(..)));
        assert!(matches!(looked(&tags("vol-1"), "StopInstances"), Looked::Record(..)));
        let other = Event::builder().event_source("glue.amazonaws.com").cloud_trail_event(r#"{"x":"ami-1"}"#).build();
        assert!(matches!(looked(&other, "CreateTags"), Looked::Nothing));
    }

    #[test]
    fn what_is_no_json_is_a_dead_letter_that_names_the_event() {
        let Looked::Unusable(letter) = looked(&event("{\"eventID\": "), "RunInstances") else { panic!() };
        assert!(format!("{letter:?}").contains("lookup://111122223333/us-east-1/e-1"));
    }

    #[test]
    fn launches_name_their_images() {
        let text = r#"{"responseElements":{"instancesSet":{"items":[{"imageId":"ami-1"},{"imageId":"ami-2"},{}]}}}"#;
        let mut images = BTreeSet::new();
        images_of(&event(text), &mut images, 10);
        images_of(&event(r#"{"responseElements":null}"#), &mut images, 10);
        assert_eq!(images.into_iter().collect::<Vec<_>>(), ["ami-1", "ami-2"]);
        let mut none = BTreeSet::new();
        images_of(&event(text), &mut none, 1);
        assert_eq!(none.len(), 1);
    }
}
