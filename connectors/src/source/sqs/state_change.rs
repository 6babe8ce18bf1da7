//! State-change notifications on their way into the log. What they say is read by [`aws::state_change`](crate::aws::state_change).

use cloudigrade_schemas::{EventId, SourceRef, TrailRecord};
use serde_json::Value;

use super::counted;
use crate::aws::state_change::observation_of;
use crate::source::committer::Entry;

/// What an event of EventBridge says of an instance, to be committed.
///
/// # Errors
/// What the event lacks.
pub(super) fn entry(event: &Value) -> Result<Entry, String> {
    let observation = observation_of(event).ok_or_else(|| "the event is no state-change notification of EC2".to_owned())??;
    let place =
        [&observation.recipient_account_id, &observation.aws_region, &observation.observed.instance_id].map(|part| &**part).join("/");
    // The same for each delivery, so that a change that is told twice is the same message.
    let source = SourceRef { uri: format!("eventbridge://{place}").into(), version: None, index: 0 };
    let json = serde_json::to_string(&observation).map_err(|error| error.to_string())?;
    let message = TrailRecord::message(&source, &json).map_err(|error| error.to_string())?;
    counted::observed(observation.event_name);
    let id = EventId(observation.event_id.into_owned().into());
    Ok(Entry { records: vec![(id, message)], ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::Observation;
    use serde_json::json;

    use super::*;

    fn event(id: &str, state: &str) -> Value {
        json!({"id": id, "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2", "account": "000000000012",
            "time": "2024-03-01T09:00:00Z", "region": "eu-west-1", "detail": {"instance-id": "i-1", "state": state}})
    }

    #[test]
    fn a_change_that_is_told_twice_is_the_same_message() {
        let records = entry(&event("1", "stopped")).unwrap().records;
        assert_eq!(records, entry(&event("2", "stopped")).unwrap().records);
        let trail: TrailRecord<'_> = serde_json::from_slice(&records[0].1).unwrap();
        let observation: Observation<'_> = serde_json::from_str(trail.record.get()).unwrap();
        assert_eq!((&*observation.event_id, &*trail.source.uri), (records[0].0.as_str(), "eventbridge://000000000012/eu-west-1/i-1"));
    }

    #[test]
    fn an_event_that_lacks_something_is_refused() {
        for field in ["account", "region", "time", "detail", "source"] {
            let mut event = event("1", "running");
            event.as_object_mut().unwrap().remove(field);
            assert!(entry(&event).is_err(), "{field}");
        }
    }
}
