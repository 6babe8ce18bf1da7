//! The logs: their contract, their crashes, their files, and operators over a log with faults.

#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

mod contract;
mod crash;
mod disk;
mod files;
mod simulation;
