//! `power.events`: one normalised event per instance.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EventId, InstanceKey, SourceRef, UtcSecond};

/// The six CloudTrail events that can change whether an instance runs, or its type.
///
/// The order of the variants is the order of events of one instance within one second: a running instance can be stopped in its
/// first second, but a stopping one cannot be started within a second.
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
    /// All actions, in their order within one second.
    pub const ALL: [Self; 6] = [
        Self::RunInstances,
        Self::ModifyInstanceAttribute,
        Self::StartInstances,
        Self::StopInstances,
        Self::TerminateInstances,
        Self::BidEvictedEvent,
    ];

    /// CloudTrail's `eventName`, which is also the name in `start_kind` and `end_kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunInstances => "RunInstances",
            Self::ModifyInstanceAttribute => "ModifyInstanceAttribute",
            Self::StartInstances => "StartInstances",
            Self::StopInstances => "StopInstances",
            Self::TerminateInstances => "TerminateInstances",
            Self::BidEvictedEvent => "BidEvictedEvent",
        }
    }

    /// The action of an `eventName`, if it is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// What it does.
    pub const fn effect(self) -> Effect {
        match self {
            Self::RunInstances | Self::StartInstances => Effect::On,
            Self::StopInstances | Self::TerminateInstances | Self::BidEvictedEvent => Effect::Off,
            Self::ModifyInstanceAttribute => Effect::Retype,
        }
    }
}

/// What one CloudTrail event says about one instance. A message of `power.events`, keyed by the instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PowerEvent {
    /// The instance.
    #[serde(flatten)]
    pub instance: InstanceKey,
    /// The CloudTrail event.
    pub event_id: EventId,
    /// Which telling of the event this is. CloudTrail may deliver one `eventID` with different contents; the contents that sort
    /// first win, and each change of the winner is one telling more. The highest telling holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub telling: u32,
    /// What the event says; `None` when a later telling no longer names this instance.
    pub change: Option<PowerChange>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The content of a power event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PowerChange {
    /// CloudTrail's `eventTime`.
    pub occurred_at: UtcSecond,
    /// What happened.
    pub action: PowerAction,
    /// The instance type, where the event gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The machine image, where the event gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Where the record was read first.
    pub source: SourceRef,
}
