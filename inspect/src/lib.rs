//! The worker that finds out what is inside machine images.
//!
//! * [`cloud`]: what it needs of a cloud, step by step, and what it promises for that; [`aws`]: AWS as such a cloud
//! * [`advance`], [`batching`]: the two state machines, pure: of an inspection, and of the scanner that reads several volumes
//! * [`intake`], [`estimate`], [`prices`]: how an inspection begins, and what it is expected to cost
//! * [`worker`]: what takes the steps; what it knows is made durable by one task of the log, which is its lease
//! * [`record`]: what is kept of inspections, for whoever asks
//!
//! ```text
//! inspection.commands -> intake -> advance -> batching -> findings -> inspection.findings, image.facts
//!                                  |   ^       |   ^         ^
//!                                  v   |       v   |         |          each arrow to the right is one commit
//!                                  cloud: one step at a time of each, by what the state says
//! ```

pub mod advance;
pub mod aws;
pub mod batch;
pub mod batching;
mod book;
pub mod cloud;
mod detail;
pub mod estimate;
mod hold;
pub mod intake;
pub mod limits;
mod messages;
mod outcomes;
pub mod prices;
mod reaper;
pub mod record;
pub mod settings;
mod steps;
#[cfg(test)]
mod tests;
pub mod worker;

pub use batch::{Batch, BatchState, Member};
pub use book::TASK;
pub use cloud::{Cloud, DirectRead, FindingsMessage, Place, ResourceKind, ScannerState, Step, TaggedResource};
pub use settings::Settings;
pub use worker::{Clock, Worker, WorkerError};
