//! The source against a queue, a bucket and a clock that do as they are told.

mod batches;
mod bounds;
mod failures;
mod flow;
mod keeping;
mod notification;
mod s3;
mod stopping;
pub(in crate::source) mod world;
