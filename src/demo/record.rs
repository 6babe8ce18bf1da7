//! One simulated CloudTrail record, before it is written out.

use cloudigrade_schemas::{PowerAction, UtcSecond};

use super::noise::Chatter;
use super::place::Place;

/// A call to AWS, or an event of AWS itself, that CloudTrail logs.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) at: UtcSecond,
    pub(super) place: Place,
    pub(super) caller: Caller,
    pub(super) call: Call,
}

/// Who made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A person.
    Person(&'static str),
    /// A program under an assumed role.
    Role(&'static str),
    /// The Auto Scaling service.
    AutoScaling,
    /// EC2 itself.
    Ec2,
}

/// What was called.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// RunInstances.
    Launch { instances: Vec<String>, instance_type: &'static str, image_id: String, by: LaunchBy },
    /// StartInstances, StopInstances or TerminateInstances.
    Switch { action: PowerAction, instances: Vec<Switched> },
    /// ModifyInstanceAttribute with a new type.
    Retype { instance: String, instance_type: &'static str },
    /// BidEvictedEvent.
    Reclaim { instances: Vec<String> },
    /// A call that EC2 refused.
    Refused { action: PowerAction, instances: Vec<String>, why: Refusal },
    /// Anything else.
    Chatter { what: &'static Chatter, instance: String },
}

/// How an instance is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaunchBy {
    /// With the type in the request.
    Request,
    /// By a launch template: the type is only in the response.
    Template,
    /// As a Spot instance.
    Spot,
}

/// An instance in a call that switches it on or off.
#[derive(Clone, Debug)]
pub(super) struct Switched {
    pub(super) instance: String,
    pub(super) before: State,
    pub(super) after: State,
}

/// An instance's state, as EC2 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl State {
    pub(super) fn code_and_name(self) -> (u8, &'static str) {
        match self {
            Self::Pending => (0, "pending"),
            Self::Running => (16, "running"),
            Self::ShuttingDown => (32, "shutting-down"),
            Self::Terminated => (48, "terminated"),
            Self::Stopping => (64, "stopping"),
            Self::Stopped => (80, "stopped"),
        }
    }
}

/// Why EC2 refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unauthorized,
    DryRun,
    NoCapacity,
    TooManyVcpus,
    NotFound,
}

impl Refusal {
    /// The error's code and message.
    pub(super) fn code_and_message(self) -> (&'static str, &'static str) {
        match self {
            Self::Unauthorized => ("Client.UnauthorizedOperation", "You are not authorized to perform this operation."),
            Self::DryRun => ("Client.DryRunOperation", "Request would have succeeded, but DryRun flag is set."),
            Self::NoCapacity => (
                "Server.InsufficientInstanceCapacity",
                "We currently do not have sufficient capacity in the Availability Zone you requested.",
            ),
            Self::TooManyVcpus => {
                ("Client.VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit allows.")
            }
            Self::NotFound => ("Client.InvalidInstanceID.NotFound", "The instance ID does not exist"),
        }
    }
}
