//! The source against a queue, a bucket and a clock that do as they are told.

mod batches;
mod bounds;
mod clock;
mod depth;
mod failures;
mod files;
mod flow;
mod keeping;
mod notification;
mod objects;
mod queue;
mod s3;
mod stopping;
mod storm;
pub(in crate::source) mod world;
