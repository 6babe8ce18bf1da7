//! Observations: what EC2 itself said about an instance, as records of `cloudtrail.records` beside those of CloudTrail.
//!
//! CloudTrail does not say everything: a machine that shuts itself down makes no call. What is seen when looking enters the log in the
//! form of a CloudTrail record with an event source of ours, and takes the same way as the rest from there.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// The `eventSource` of observations. AWS's end with `.amazonaws.com`.
pub const EVENT_SOURCE: &str = "observation.cloudigrade";

/// What was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Observed {
    /// It runs, since the event's time.
    #[serde(rename = "ObservedRunning")]
    Running,
    /// It does not run, since the event's time or since some moment between `notBefore` and then.
    #[serde(rename = "ObservedStopped")]
    Stopped,
}

/// One observation of one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observation<'a> {
    /// [`EVENT_SOURCE`].
    #[serde(borrow)]
    pub event_source: Cow<'a, str>,
    /// What was observed.
    pub event_name: Observed,
    /// Deterministic: the same observation is the same event. See [`Observation::id`].
    #[serde(borrow, rename = "eventID")]
    pub event_id: Cow<'a, str>,
    /// Since when it is so. For [`Observed::Running`] the launch time that EC2 gives. For [`Observed::Stopped`] the time in the reason of
    /// the transition, or that of the state-change notification; where there is neither, when it was first seen stopped.
    pub event_time: UtcSecond,
    /// The account.
    #[serde(borrow)]
    pub recipient_account_id: Cow<'a, str>,
    /// The region.
    #[serde(borrow)]
    pub aws_region: Cow<'a, str>,
    /// What was seen.
    #[serde(borrow)]
    pub observed: Seen<'a>,
}

/// What was seen of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seen<'a> {
    /// The instance.
    #[serde(borrow)]
    pub instance_id: Cow<'a, str>,
    /// Its image, where it was told.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub image_id: Option<Cow<'a, str>>,
    /// Its type, where it was told. It cannot change while the instance runs.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub instance_type: Option<Cow<'a, str>>,
    /// Only for [`Observed::Stopped`] whose exact time is not known: it was last seen running then, so it stopped in
    /// `[notBefore, eventTime]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UtcSecond>,
    /// Where it comes from: `describe`, `state-change`.
    #[serde(borrow)]
    pub lane: Cow<'a, str>,
    /// EC2's own words: the state and the reason of the transition.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub reason: Option<Cow<'a, str>>,
}

impl Observation<'_> {
    /// The id of what a description of instances said: `observe:INSTANCE:LAUNCH_TIME:STATE:REASON_TIME`, `-` for what was not told.
    pub fn id(instance_id: &str, launch_time: Option<UtcSecond>, state: &str, reason_time: Option<UtcSecond>) -> String {
        let told = |time: Option<UtcSecond>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        format!("observe:{instance_id}:{}:{state}:{}", told(launch_time), told(reason_time))
    }
}
