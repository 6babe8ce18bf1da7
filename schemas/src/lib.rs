//! The words of cloudigrade: messages, tables and reference data.
//!
//! This crate knows no I/O, no clock and no `async`. Everything here is data and pure functions on it, so every other part may
//! depend on it.
//!
//! * [`ids`], [`arn`], [`time`]: what things are called and when they happen
//! * [`record`], [`power`], [`interval`], [`coverage`], [`dead_letter`], [`account`], [`image_fact`], [`mod@image`], [`inspection`], [`gap`], [`user`]: the messages of the topics
//! * [`observation`]: what EC2 itself said, in the form of a CloudTrail record
//! * [`findings`]: what is on the disks of machine images
//! * [`topic`]: the topics, their keys and what they keep
//! * [`table`]: the SQL contract
//! * [`instance_type`], [`billing`]: sizes of EC2 instance types and who is paid for an image, as dated data
//! * [`money`]: how amounts are written

pub mod account;
pub mod arn;
pub mod billing;
pub mod coverage;
pub mod dead_letter;
pub mod findings;
pub mod gap;
pub mod ids;
pub mod image;
pub mod image_fact;
pub mod inspection;
pub mod instance_type;
pub mod interval;
pub mod money;
pub mod observation;
pub mod power;
pub mod record;
pub mod table;
mod text;
pub mod time;
pub mod topic;
pub mod user;

pub use account::{Account, AccountAction, AccountCommand, AccountProblem, AccountState};
pub use arn::RoleArn;
pub use coverage::Coverage;
pub use dead_letter::{DeadLetter, DeadLetterReason, Resolution};
pub use findings::Findings;
pub use gap::{Gap, GapKind};
pub use ids::{EventId, InstanceKey};
pub use image::{Image, Product};
pub use image_fact::{ImageFact, ImageSighting, ImageTag};
pub use inspection::{CommandId, Inspection, InspectionCommand};
pub use interval::{InstanceMonth, Interval, Month};
pub use observation::Observation;
pub use power::{PowerAction, PowerEvent};
pub use record::{SourceRef, TrailRecord};
pub use time::UtcSecond;
pub use topic::Topic;
pub use user::{Token, TokenScope, User};
