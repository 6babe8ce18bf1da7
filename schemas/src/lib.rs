//! The words of cloudigrade: messages, tables and reference data.
//!
//! This crate knows no I/O, no clock and no `async`. Everything here is data and pure functions on it, so every other part may
//! depend on it.
//!
//! * [`ids`], [`time`]: what things are called and when they happen
//! * [`record`], [`power`], [`interval`], [`coverage`], [`dead_letter`]: the messages of the topics
//! * [`findings`]: what is on the disks of machine images
//! * [`topic`]: the topics, their keys and what they keep
//! * [`table`]: the SQL contract
//! * [`instance_type`]: sizes of EC2 instance types, as dated data

pub mod coverage;
pub mod dead_letter;
pub mod findings;
pub mod ids;
pub mod instance_type;
pub mod interval;
pub mod power;
pub mod record;
pub mod table;
mod text;
pub mod time;
pub mod topic;

pub use coverage::Coverage;
pub use dead_letter::{DeadLetter, DeadLetterReason};
pub use findings::Findings;
pub use ids::{EventId, InstanceKey};
pub use interval::{InstanceMonth, Interval, Month};
pub use power::{PowerAction, PowerEvent};
pub use record::{SourceRef, TrailRecord};
pub use time::UtcSecond;
pub use topic::Topic;
