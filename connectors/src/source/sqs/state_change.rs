//! EC2's state-change notifications as observations: a faster lane beside CloudTrail.

use std::borrow::Cow;

use cloudigrade_schemas::observation::{EVENT_SOURCE, Observation, Observed, Seen};
use cloudigrade_schemas::{EventId, SourceRef, TrailRecord, UtcSecond};
use serde_json::Value;

use crate::source::committer::Entry;

/// Why an event is no change of state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state-change notification tells no {field}")]
pub struct NotAStateChange {
    /// What it does not tell.
    pub field: &'static str,
}

/// What an event of EventBridge says of an instance. `None` for states in which nothing is metered that was not before: `pending`.
///
/// # Errors
/// [`NotAStateChange`].
pub fn entry(event: &Value) -> Result<Option<Entry>, NotAStateChange> {
    let told = |field: &'static str, value: &Value| {
        value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or(NotAStateChange { field })
    };
    let state = told("detail.state", &event["detail"]["state"])?;
    let instance = told("detail.instance-id", &event["detail"]["instance-id"])?;
    let account = told("account", &event["account"])?;
    let region = told("region", &event["region"])?;
    let at = UtcSecond::parse_prefix(&told("time", &event["time"])?).map_err(|_| NotAStateChange { field: "time" })?;
    let name = match state.as_str() {
        "running" => Observed::Running,
        // It has begun to stop: AWS bills nothing from here on.
        "stopping" | "shutting-down" | "stopped" | "terminated" => Observed::Stopped,
        _ => return Ok(None),
    };
    let id = Observation::id(&instance, None, &state, Some(at));
    let source = SourceRef { uri: format!("eventbridge://{account}/{region}/{instance}").into(), version: None, index: 0 };
    let observation = Observation {
        event_source: Cow::Borrowed(EVENT_SOURCE),
        event_name: name,
        event_id: id.as_str().into(),
        event_time: at,
        recipient_account_id: account.as_str().into(),
        aws_region: region.as_str().into(),
        observed: Seen {
            instance_id: instance.as_str().into(),
            lane: "state-change".into(),
            reason: Some(state.as_str().into()),
            ..Seen::default()
        },
    };
    let json = serde_json::to_string(&observation).map_err(|_| NotAStateChange { field: "text" })?;
    let message = TrailRecord::message(&source, &json).map_err(|_| NotAStateChange { field: "text" })?;
    Ok(Some(Entry { records: vec![(EventId(id.into()), message)], ..Entry::default() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(state: &str) -> Value {
        json!({"id": "1", "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "account": "000000000012",
            "time": "2024-03-01T09:00:00Z", "region": "eu-west-1", "detail": {"instance-id": "i-1", "state": state}})
    }

    #[test]
    fn a_change_of_state_is_an_observation_with_the_same_id_each_time() {
        let records = |state: &str| entry(&event(state)).unwrap().unwrap().records;
        let [(id, message)] = &records("stopped")[..] else { panic!() };
        assert_eq!(id.as_str(), "observe:i-1:-:stopped:2024-03-01T09:00:00Z");
        let trail: TrailRecord<'_> = serde_json::from_slice(message).unwrap();
        let observation: Observation<'_> = serde_json::from_str(trail.record.get()).unwrap();
        assert_eq!((observation.event_name, &*observation.recipient_account_id), (Observed::Stopped, "000000000012"));
        assert_eq!(records("stopped"), records("stopped"));
        assert_ne!(records("running")[0].0, *id);
    }

    #[test]
    fn what_is_pending_says_nothing_and_what_is_incomplete_is_refused() {
        assert!(entry(&event("pending")).unwrap().is_none());
        for field in ["account", "region", "time", "detail"] {
            let mut event = event("running");
            event.as_object_mut().unwrap().remove(field);
            assert!(entry(&event).is_err(), "{field}");
        }
    }
}
