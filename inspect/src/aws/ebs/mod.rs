//! A snapshot's blocks as a disk: only what an inspection asks for is read, straight from the snapshot, by the EBS direct API.
//!
//! [`source`] is the disk, [`listing`] knows which blocks there are, [`client`] asks AWS.

mod cache;
mod client;
mod listing;
mod source;

pub use client::{BlockError, Blocks, EbsClient, Listed};
pub use source::{BlocksRead, SnapshotSource};

/// Bytes of a block: AWS has no others.
pub const BLOCK_BYTES: usize = 512 << 10;
