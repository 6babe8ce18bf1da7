//! Each image is inspected in a process of its own, which can read its disks and say what it found, and nothing else. Its death, hang or
//! abort is an error of that image.
//!
//! The parent opens the disks for reading only and starts the same program anew; the child gives up all that it does not need
//! ([`confine`]) before it looks at the first byte of a disk. A disk that is no file, the parent reads for it, over a connection that can
//! carry nothing else. This module knows nothing of what is on a disk.

mod child;
mod confine;
mod handed;
mod parent;

use serde::{Deserialize, Serialize};

use crate::limits::{INSPECTION_ADDRESS_SPACE_BYTES_MAX, INSPECTION_CPU_SECONDS_MAX, INSPECTION_OUTPUT_BYTES_MAX, INSPECTION_SECONDS_MAX};

pub use child::become_child_if_asked;
pub use parent::{End, inspect_apart, inspect_served};

/// The argument that makes the program a child. Not for people, so not in any help.
const CHILD_ARGUMENT: &str = "__inspect-as-child";

/// What the inspection of one image may cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Allowance {
    /// Bytes of address space, besides what the program itself takes.
    pub address_space_bytes: u64,
    /// Seconds of processor time.
    pub cpu_seconds: u64,
    /// Seconds from begin to end.
    pub seconds: u64,
    /// Bytes of findings.
    pub output_bytes: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            address_space_bytes: INSPECTION_ADDRESS_SPACE_BYTES_MAX,
            cpu_seconds: INSPECTION_CPU_SECONDS_MAX,
            seconds: INSPECTION_SECONDS_MAX,
            output_bytes: INSPECTION_OUTPUT_BYTES_MAX,
        }
    }
}

/// What the parent asks of the child, as JSON on its standard input.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    image: String,
    disks: Vec<OpenDisk>,
    allowance: Allowance,
    /// The process that asks: once it is gone, nobody waits for the answer.
    parent: u32,
}

/// A disk that the parent has opened.
#[derive(Debug, Serialize, Deserialize)]
struct OpenDisk {
    name: String,
    descriptor: i32,
    /// Its length in bytes where the descriptor is a connection over which the parent reads it; else the descriptor is the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    served_bytes: Option<u64>,
}
