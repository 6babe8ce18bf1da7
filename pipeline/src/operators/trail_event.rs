//! What a CloudTrail record says about instances: the successful EC2 power events in it.
//!
//! The rules: only `ec2.amazonaws.com`; only without an `errorCode`; ids of runs, starts, stops and terminations from
//! `responseElements`, never from the request; the account from `recipientAccountId`, else from the caller.
//!
//! Observations of ours have the form of such records: [`observation`](super::observation) reads them.

use std::borrow::Cow;
use std::collections::HashSet;

use cloudigrade_schemas::{DeadLetterReason, InstanceKey, PowerAction, UtcSecond};

use super::fields::{Cursor, Json};
use super::observation;

/// The only source of events that count. Lightsail, OpsWorks and RDS have calls of the same names.
pub(super) const EVENT_SOURCE: &str = "ec2.amazonaws.com";

/// One power event of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent<'a> {
    /// The instance.
    pub instance: InstanceKey<'a>,
    /// When.
    pub occurred_at: UtcSecond,
    /// What.
    pub action: PowerAction,
    /// The type, where told.
    pub instance_type: Option<Cow<'a, str>>,
    /// The image, where told.
    pub image_id: Option<Cow<'a, str>>,
    /// The earliest moment at which it can have happened, where that is not `occurred_at` itself.
    pub not_before: Option<UtcSecond>,
}

/// A power event that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Why.
    pub reason: DeadLetterReason,
    /// Why, in words.
    pub detail: String,
}

/// What one record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailEvents<'a> {
    /// Its `eventID`, where it has one.
    pub event_id: Option<Cow<'a, str>>,
    /// The power events in it, at most one an instance, in the order of the record; none where it is no power event.
    pub events: Vec<TrailEvent<'a>>,
}

/// Reads a record. It is gone through once, and the part that names the instances once more.
///
/// # Errors
/// [`Unusable`] for a power event without a readable time, and for an observation with anything that ours do not have.
pub fn events_of(record: Json<'_>) -> Result<TrailEvents<'_>, Unusable> {
    let [name, source, error, time, region, recipient, caller, event_id, request, response, details] = record.fields([
        "eventName",
        "eventSource",
        "errorCode",
        "eventTime",
        "awsRegion",
        "recipientAccountId",
        "userIdentity",
        "eventID",
        "requestParameters",
        "responseElements",
        "serviceEventDetails",
    ]);
    let Some(action) = text(name).and_then(|name| PowerAction::from_name(&name)) else {
        return if text(source).as_deref() == Some(observation::EVENT_SOURCE) {
            observation::read(record)
        } else {
            Ok(TrailEvents::default())
        };
    };
    if text(source).as_deref() != Some(EVENT_SOURCE) || error.is_some_and(Json::is_something) {
        return Ok(TrailEvents::default());
    }
    let told = instances_told(action, request, response, details);
    if told.is_empty() {
        return Ok(TrailEvents::default());
    }
    let occurred_at = event_time(time)?;
    let account_id = account_of(recipient, caller);
    let region = text(region).unwrap_or_default();
    let mut named = HashSet::with_capacity(told.len());
    let mut events = Vec::with_capacity(told.len());
    for Told { instance_id, instance_type, image_id } in told {
        if named.insert(instance_id.clone()) {
            let instance = InstanceKey { account_id: account_id.clone(), region: region.clone(), instance_id };
            events.push(TrailEvent { instance, occurred_at, action, instance_type, image_id, not_before: None });
        }
    }
    Ok(TrailEvents { event_id: text(event_id), events })
}

/// A text that is there and not empty.
fn text(value: Option<Json<'_>>) -> Option<Cow<'_, str>> {
    value.and_then(Json::text)
}

pub(super) fn event_time(time: Option<Json<'_>>) -> Result<UtcSecond, Unusable> {
    let unusable = |detail| Unusable { reason: DeadLetterReason::BadEventTime, detail };
    let stamp = text(time).ok_or_else(|| unusable("the event has no eventTime".to_owned()))?;
    UtcSecond::parse_prefix(&stamp).map_err(|error| unusable(format!("eventTime: {error}")))
}

/// The account that the event belongs to, as text. The caller's account can be another one, and is absent for AWS services.
pub(super) fn account_of<'a>(recipient: Option<Json<'a>>, caller: Option<Json<'a>>) -> Cow<'a, str> {
    let known = |account: &Json<'_>| account.0 != "null";
    let of_caller = |caller: Json<'a>| caller.fields(["accountId"])[0].filter(known);
    let account = recipient.filter(known).or_else(|| of_caller(caller?));
    // Twelve digits written as a number are an account all the same.
    account.map_or(Cow::Borrowed(""), |account| account.text().unwrap_or(Cow::Borrowed(account.0.trim_matches('"'))))
}

/// What a record says of one instance.
struct Told<'a> {
    instance_id: Cow<'a, str>,
    instance_type: Option<Cow<'a, str>>,
    image_id: Option<Cow<'a, str>>,
}

fn instances_told<'a>(
    action: PowerAction,
    request: Option<Json<'a>>,
    response: Option<Json<'a>>,
    details: Option<Json<'a>>,
) -> Vec<Told<'a>> {
    let only_id = |id| Some(Told { instance_id: text(id)?, instance_type: None, image_id: None });
    match action {
        PowerAction::BidEvictedEvent => {
            let ids = details.and_then(|details| details.fields(["instanceIdSet"])[0]).map(Json::items).unwrap_or_default();
            ids.into_iter().filter_map(|id| only_id(Some(id))).collect()
        }
        PowerAction::ModifyInstanceAttribute => {
            let Some(request) = request else { return Vec::new() };
            let [instance_id, new_type] = request.fields(["instanceId", "instanceType"]);
            let new_type = new_type.and_then(|plain| plain.text().or_else(|| text(plain.fields(["value"])[0])));
            let told = || Some(Told { instance_id: text(instance_id)?, instance_type: Some(new_type?), image_id: None });
            told().into_iter().collect()
        }
        PowerAction::RunInstances => {
            let requested_type = text(request.and_then(|request| request.fields(["instanceType"])[0]));
            let told = |[instance_id, instance_type, image_id]: [Option<Json<'a>>; 3]| {
                let instance_type = text(instance_type).or_else(|| requested_type.clone());
                Some(Told { instance_id: text(instance_id)?, instance_type, image_id: text(image_id) })
            };
            response_items(response, ["instanceId", "instanceType", "imageId"]).into_iter().filter_map(told).collect()
        }
        PowerAction::StartInstances | PowerAction::StopInstances | PowerAction::TerminateInstances => {
            response_items(response, ["instanceId"]).into_iter().filter_map(|[id]| only_id(id)).collect()
        }
        // No CloudTrail event has these names.
        PowerAction::ObservedRunning | PowerAction::ObservedStopped => Vec::new(),
    }
}

/// Some fields of each of the items in `responseElements.instancesSet.items`, in one pass: they are most of a record of many instances.
fn response_items<'a, const N: usize>(response: Option<Json<'a>>, names: [&str; N]) -> Vec<[Option<Json<'a>>; N]> {
    let Some(response) = response else { return Vec::new() };
    let mut found = Vec::new();
    let read = Cursor::new(response).members(|cursor, key| match key {
        "instancesSet" => {
            found.clear();
            cursor.members(|cursor, key| match key {
                "items" => {
                    found.clear();
                    cursor.items(|item| {
                        found.push(item.fields(names)?);
                        Some(())
                    })
                }
                _ => cursor.skip(),
            })
        }
        _ => cursor.skip(),
    });
    if read.is_none() {
        found.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn events_of(record: &Value) -> Result<Vec<TrailEvent<'static>>, Unusable> {
        super::events_of(Json(record.to_string().leak())).map(|told| told.events)
    }

    fn stop(extra: Value) -> Value {
        let mut record = json!({
            "eventSource": "ec2.amazonaws.com", "eventName": "StopInstances", "eventTime": "2024-03-01T09:00:00Z", "awsRegion": "us-east-1",
            "recipientAccountId": "012345678901", "userIdentity": {"accountId": "999999999999"},
            "responseElements": {"instancesSet": {"items": [{"instanceId": "i-1"}]}}
        });
        for (key, value) in extra.as_object().unwrap() {
            record[key] = value.clone();
        }
        record
    }

    fn ids(record: &Value) -> Vec<String> {
        events_of(record).unwrap().into_iter().map(|event| event.instance.to_key()).collect()
    }

    #[test]
    fn an_account_keeps_its_leading_zero_and_the_recipient_comes_before_the_caller() {
        assert_eq!(ids(&stop(json!({}))), ["012345678901/us-east-1/i-1"]);
        assert_eq!(ids(&stop(json!({"recipientAccountId": null}))), ["999999999999/us-east-1/i-1"]);
        assert_eq!(ids(&stop(json!({"recipientAccountId": null, "userIdentity": {"type": "AWSService"}}))), ["/us-east-1/i-1"]);
    }

    #[test]
    fn a_failed_call_and_another_service_have_no_effect() {
        assert!(ids(&stop(json!({"errorCode": "Client.DryRunOperation"}))).is_empty());
        assert!(ids(&stop(json!({"eventSource": "opsworks.amazonaws.com"}))).is_empty());
        assert_eq!(ids(&stop(json!({"errorCode": ""}))).len(), 1);
    }

    #[test]
    fn null_response_elements_name_no_instance_and_the_request_is_no_evidence() {
        let record = stop(json!({"responseElements": null, "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-1"}]}}}));
        assert!(ids(&record).is_empty());
    }

    #[test]
    fn a_launch_without_a_requested_type_takes_it_from_the_response() {
        let items = json!({"instancesSet": {"items": [{"instanceId": "i-1", "instanceType": "m5.large", "imageId": "ami-1"}, {"instanceId": "i-2"}]}});
        let record =
            stop(json!({"eventName": "RunInstances", "requestParameters": {"instanceType": "t3.micro"}, "responseElements": items}));
        let told: Vec<_> = events_of(&record).unwrap().into_iter().map(|e| (e.instance_type, e.image_id)).collect();
        assert_eq!(told, [(Some("m5.large".into()), Some("ami-1".into())), (Some("t3.micro".into()), None)]);
        let mut record = record;
        record["requestParameters"] = Value::Null;
        assert_eq!(events_of(&record).unwrap()[1].instance_type, None);
    }

    #[test]
    fn a_type_change_reads_both_spellings_and_other_attributes_are_ignored() {
        let modify = |request| events_of(&stop(json!({"eventName": "ModifyInstanceAttribute", "requestParameters": request}))).unwrap();
        assert_eq!(
            modify(json!({"instanceId": "i-1", "instanceType": {"value": "m5.xlarge"}}))[0].instance_type.as_deref(),
            Some("m5.xlarge")
        );
        assert_eq!(modify(json!({"instanceId": "i-1", "instanceType": "m5.xlarge"})).len(), 1);
        assert!(modify(json!({"instanceId": "i-1", "ebsOptimized": true})).is_empty());
    }

    #[test]
    fn a_spot_interruption_is_read_from_the_service_event_details() {
        let record = stop(
            json!({"eventName": "BidEvictedEvent", "responseElements": null, "serviceEventDetails": {"instanceIdSet": ["i-7", "i-8"]}}),
        );
        assert_eq!(ids(&record), ["012345678901/us-east-1/i-7", "012345678901/us-east-1/i-8"]);
    }

    #[test]
    fn a_power_event_without_a_time_is_unusable_and_says_so() {
        let unusable = events_of(&stop(json!({"eventTime": "yesterday"}))).unwrap_err();
        assert_eq!(unusable.reason, DeadLetterReason::BadEventTime);
        assert!(unusable.detail.contains("yesterday"));
    }

    #[test]
    fn something_that_is_no_record_says_nothing() {
        for value in [json!(null), json!([]), json!("RunInstances"), json!({"eventName": ["RunInstances"]})] {
            assert!(events_of(&value).unwrap().is_empty());
        }
    }
}
