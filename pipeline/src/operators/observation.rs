//! Reads observations: what this program itself saw of an instance. Unlike CloudTrail's records they have one form, and anything else is a fault.

use std::borrow::Cow;

use cloudigrade_schemas::observation::Observed;
use cloudigrade_schemas::{DeadLetterReason, InstanceKey, Observation, PowerAction, UtcSecond};

pub(super) use cloudigrade_schemas::observation::EVENT_SOURCE;

use super::fields::Json;
use super::trail_event::{TrailEvent, TrailEvents, Unusable};

/// The lane of EC2's notifications. They tell when a state was reached, and not when the instance was launched.
const STATE_CHANGE: &str = "state-change";
/// How long an instance can be pending before it runs, in seconds; the slowest take some tens of minutes.
const PENDING_SECONDS_MAX: i64 = 3600;

/// Reads an observation.
///
/// # Errors
/// [`Unusable`] for anything that ours do not have.
pub(super) fn read(record: Json<'_>) -> Result<TrailEvents<'_>, Unusable> {
    let unusable = |detail: String| Unusable {
        reason: DeadLetterReason::BadField,
        detail: format!("{detail}; it was not written by this program, or by another version of it"),
    };
    let observation: Observation<'_> =
        serde_json::from_str(record.0).map_err(|error| unusable(format!("the observation does not read: {error}")))?;
    let Observation { event_name, event_id, event_time, recipient_account_id, aws_region, observed, .. } = observation;
    let named = [&event_id, &recipient_account_id, &aws_region, &observed.instance_id];
    if named.iter().any(|name| name.is_empty()) {
        return Err(unusable("the observation lacks its id, account, region or instance".to_owned()));
    }
    let action = match (event_name, observed.not_before) {
        (Observed::Running, None) => PowerAction::ObservedRunning,
        (Observed::Stopped, None) => PowerAction::ObservedStopped,
        (Observed::Stopped, Some(bound)) if bound <= event_time => PowerAction::ObservedStopped,
        (_, Some(bound)) => return Err(unusable(format!("notBefore is {bound} in an observation of {event_time}"))),
    };
    let event = TrailEvent {
        instance: InstanceKey { account_id: recipient_account_id, region: aws_region, instance_id: observed.instance_id },
        occurred_at: event_time,
        action,
        instance_type: told(observed.instance_type),
        image_id: told(observed.image_id),
        not_before: match event_name {
            Observed::Running if observed.lane == STATE_CHANGE => Some(UtcSecond(event_time.0 - PENDING_SECONDS_MAX)),
            // A bound that is the moment itself is none.
            Observed::Running | Observed::Stopped => observed.not_before.filter(|bound| *bound < event_time),
        },
    };
    Ok(TrailEvents { event_id: Some(event_id), events: vec![event] })
}

fn told(text: Option<Cow<'_, str>>) -> Option<Cow<'_, str>> {
    text.filter(|text| !text.is_empty())
}
