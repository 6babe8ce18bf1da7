//! `power.events`: one normalised event per instance.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{EventId, InstanceKey, SourceRef, UtcSecond};

/// What can change whether an instance runs, or its type: six CloudTrail events, and what EC2 itself showed.
///
/// The order of the variants is the order of events of one instance within one second: a running instance can be stopped in its
/// first second, but a stopping one cannot be started within a second. Observations come last: they say how things stand once the calls of
/// that second were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PowerAction {
    /// Launch: on.
    RunInstances,
    /// New instance type; takes effect at the next start.
    ModifyInstanceAttribute,
    /// On.
    StartInstances,
    /// Off.
    StopInstances,
    /// Off.
    TerminateInstances,
    /// Spot interruption, an AWS service event: off.
    BidEvictedEvent,
    /// Seen running, since its launch time: on. [`crate::observation::Observed::Running`].
    ObservedRunning,
    /// Seen stopped or terminated: off. [`crate::observation::Observed::Stopped`].
    ObservedStopped,
}

/// What an action does to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It runs from now on.
    On,
    /// It no longer runs.
    Off,
    /// It has another type from its next start on.
    Retype,
}

impl PowerAction {
    /// What CloudTrail says, in the order within one second.
    pub const CLOUDTRAIL: [Self; 6] = [
        Self::RunInstances,
        Self::ModifyInstanceAttribute,
        Self::StartInstances,
        Self::StopInstances,
        Self::TerminateInstances,
        Self::BidEvictedEvent,
    ];

    /// All actions, in their order within one second.
    pub const ALL: [Self; 8] = [
        Self::RunInstances,
        Self::ModifyInstanceAttribute,
        Self::StartInstances,
        Self::StopInstances,
        Self::TerminateInstances,
        Self::BidEvictedEvent,
        Self::ObservedRunning,
        Self::ObservedStopped,
    ];

    /// The `eventName` of CloudTrail or of the observation, which is also the name in `start_kind` and `end_kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunInstances => "RunInstances",
            Self::ModifyInstanceAttribute => "ModifyInstanceAttribute",
            Self::StartInstances => "StartInstances",
            Self::StopInstances => "StopInstances",
            Self::TerminateInstances => "TerminateInstances",
            Self::BidEvictedEvent => "BidEvictedEvent",
            Self::ObservedRunning => "ObservedRunning",
            Self::ObservedStopped => "ObservedStopped",
        }
    }

    /// Whether it was observed, not told by CloudTrail.
    pub const fn is_observation(self) -> bool {
        matches!(self, Self::ObservedRunning | Self::ObservedStopped)
    }

    /// The action of an `eventName` of CloudTrail, if it is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::CLOUDTRAIL.into_iter().find(|action| action.name() == name)
    }

    /// What it does.
    pub const fn effect(self) -> Effect {
        match self {
            Self::RunInstances | Self::StartInstances | Self::ObservedRunning => Effect::On,
            Self::StopInstances | Self::TerminateInstances | Self::BidEvictedEvent | Self::ObservedStopped => Effect::Off,
            Self::ModifyInstanceAttribute => Effect::Retype,
        }
    }
}

/// What one CloudTrail event, or one observation, says about one instance. A message of `power.events`, keyed by the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PowerEvent<'a> {
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceKey<'a>,
    /// The CloudTrail event.
    pub event_id: EventId<'a>,
    /// Which telling of the event this is. CloudTrail may deliver one `eventID` with different contents; the contents that sort
    /// first win, and each change of the winner is one telling more. The highest telling holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub telling: u32,
    /// What the event says; `None` when a later telling no longer names this instance.
    pub change: Option<PowerChange<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for PowerEvent<'a> {
    /// By a form without `flatten`, for which serde would keep every field in a buffer first.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Flat<'a> {
            #[serde(borrow)]
            account_id: Cow<'a, str>,
            #[serde(borrow)]
            region: Cow<'a, str>,
            #[serde(borrow)]
            instance_id: Cow<'a, str>,
            #[serde(borrow)]
            event_id: EventId<'a>,
            #[serde(default)]
            telling: u32,
            #[serde(borrow)]
            change: Option<PowerChange<'a>>,
        }
        let Flat { account_id, region, instance_id, event_id, telling, change } = Flat::deserialize(deserializer)?;
        Ok(Self { instance: InstanceKey { account_id, region, instance_id }, event_id, telling, change })
    }
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The content of a power event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PowerChange<'a> {
    /// The `eventTime`.
    pub occurred_at: UtcSecond,
    /// What happened.
    pub action: PowerAction,
    /// The instance type, where the event gives it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub instance_type: Option<Cow<'a, str>>,
    /// The machine image, where the event gives it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub image_id: Option<Cow<'a, str>>,
    /// Where the record was read first.
    #[serde(borrow)]
    pub source: SourceRef<'a>,
    /// Only for observations whose exact time is not known: it stopped, or was launched, between this moment and `occurred_at`. An
    /// instance that is observed as stopped was last seen running at this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<UtcSecond>,
}

impl PowerChange<'_> {
    /// The same, without a copy of its text.
    pub fn borrowed(&self) -> PowerChange<'_> {
        PowerChange {
            occurred_at: self.occurred_at,
            action: self.action,
            instance_type: self.instance_type.as_deref().map(Cow::Borrowed),
            image_id: self.image_id.as_deref().map(Cow::Borrowed),
            source: self.source.borrowed(),
            not_before: self.not_before,
        }
    }
}
