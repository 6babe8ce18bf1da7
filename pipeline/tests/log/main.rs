//! The logs: their contract, their crashes, their files, and operators over a log with faults.

mod contract;
mod crash;
mod disk;
mod files;
mod simulation;
