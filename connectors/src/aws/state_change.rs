//! EC2's state-change notifications, which EventBridge delivers within seconds: the fast lane into the same log. Pure.
//!
//! They are best effort: one may be lost or come twice. So nothing relies on them; they only tell sooner, and to the second, what
//! descriptions tell later within bounds.

use std::borrow::Cow;

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::observation::{EVENT_SOURCE, Observation, Observed, Seen};
use serde_json::Value;

use super::answers::Power;

/// The lane of these observations.
pub const LANE: &str = "state-change";
/// The `detail-type` of the notifications.
const DETAIL_TYPE: &str = "EC2 Instance State-change Notification";

/// Reads an event of EventBridge. `None` for one of another kind; an error says what is missing of one of this kind.
///
/// # Errors
/// What is wrong with the notification.
pub fn observation_of(event: &Value) -> Option<Result<Observation<'static>, String>> {
    (event.get("detail-type")?.as_str()? == DETAIL_TYPE && event.get("source")?.as_str()? == "aws.ec2").then(|| read(event))
}

fn read(event: &Value) -> Result<Observation<'static>, String> {
    let text = |field: &str, pointer: &str| {
        let told = event.pointer(pointer).and_then(Value::as_str).filter(|told| !told.is_empty());
        told.map(str::to_owned).ok_or_else(|| format!("a state-change notification without {field}"))
    };
    let account = text("account", "/account")?;
    let region = text("region", "/region")?;
    let instance_id = text("detail.instance-id", "/detail/instance-id")?;
    let state = text("detail.state", "/detail/state")?;
    let time = text("time", "/time")?;
    let event_time = UtcSecond::parse_prefix(&time).map_err(|error| format!("a state-change notification at no time: {error}"))?;
    let observed = match Power::of_state(&state) {
        Some(Power::On) => Observed::Running,
        Some(Power::Off) => Observed::Stopped,
        None => return Err(format!("a state-change notification of a state that is not known: {state:?}")),
    };
    Ok(Observation {
        event_source: EVENT_SOURCE.into(),
        event_name: observed,
        // The same change delivered twice, by one rule or by several, is one observation.
        event_id: Cow::Owned(format!("observe:{instance_id}:-:{state}:{event_time}")),
        event_time,
        recipient_account_id: account.into(),
        aws_region: region.into(),
        observed: Seen { instance_id: instance_id.into(), lane: LANE.into(), reason: Some(state.into()), ..Seen::default() },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notification(state: &str) -> Value {
        json!({
            "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602", "detail-type": "EC2 Instance State-change Notification",
            "source": "aws.ec2", "account": "012345678901", "time": "2024-01-31T10:00:07Z", "region": "us-east-1",
            "resources": ["arn:aws:ec2:us-east-1:012345678901:instance/i-1"], "detail": {"instance-id": "i-1", "state": state}
        })
    }

    #[test]
    fn each_state_is_an_observation_at_its_time() {
        for (state, observed) in [
            ("pending", Observed::Running),
            ("running", Observed::Running),
            ("shutting-down", Observed::Stopped),
            ("stopping", Observed::Stopped),
            ("stopped", Observed::Stopped),
            ("terminated", Observed::Stopped),
        ] {
            let observation = observation_of(&notification(state)).unwrap().unwrap();
            assert_eq!((observation.event_name, observation.event_time), (observed, UtcSecond(1_706_695_207)), "{state}");
            assert_eq!(observation.recipient_account_id, "012345678901");
            assert_eq!(observation.observed.not_before, None);
            assert_eq!(observation.event_id, format!("observe:i-1:-:{state}:2024-01-31T10:00:07Z"));
        }
    }

    #[test]
    fn the_same_change_under_another_delivery_is_the_same_observation() {
        let mut again = notification("stopped");
        again["id"] = json!("another");
        assert_eq!(observation_of(&again), observation_of(&notification("stopped")));
    }

    #[test]
    fn other_events_are_none_and_broken_ones_say_what_is_missing() {
        assert_eq!(observation_of(&json!({"detail-type": "Object Created", "source": "aws.s3"})), None);
        assert_eq!(observation_of(&json!([1])), None);
        let mut broken = notification("stopped");
        broken["detail"] = json!({"state": "stopped"});
        assert!(observation_of(&broken).unwrap().unwrap_err().contains("instance-id"));
        let mut broken = notification("stopped");
        broken["time"] = json!("soon");
        assert!(observation_of(&broken).unwrap().is_err());
        assert!(observation_of(&notification("dreaming")).unwrap().is_err());
    }
}
