//! The engine of cloudigrade: logs, operators and the table sink.
//!
//! This crate knows neither AWS nor HTTP nor SQL. Its operators are synchronous and deterministic: no clock, no I/O, no randomness.
//!
//! * [`log`]: what a log is: topics, tasks, one commit for outputs, state and positions
//! * [`engine`]: what an operator is, and the one loop that drives them
//! * [`operators`]: `extract`, `intervals`, `sightings`, `image_tags`, `images` and `accounts`
//! * [`embedded`], [`simulated`]: two logs under one contract, which [`contract`] checks
//! * [`sink`]: the Delta tables
//! * [`threads`]: work that is divided among threads
//! * [`heap`]: what the allocator keeps

mod compression;
pub mod contract;
pub mod embedded;
pub mod engine;
pub mod heap;
pub mod limits;
pub mod log;
pub mod operators;
pub mod simulated;
pub mod sink;
pub mod threads;
