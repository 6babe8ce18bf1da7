//! Completeness: how far the data of an account reaches in a region, where it has holes, and whether it is what CloudTrail wrote.
//!
//! * [`digest`], [`place`]: one digest file of CloudTrail, and where the objects are that it names
//! * [`chain`]: the digests of a trail in a region, how far they reach and where there are holes; pure
//! * [`silence`]: regions that nothing is heard of; pure
//! * [`keep`], [`watch`]: what the log keeps of it, and what changes with time
//! * [`verify`]: signatures and hashes

pub mod chain;
pub mod digest;
pub mod keep;
pub mod place;
pub mod silence;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod watch;

pub use digest::{Digest, DigestError};
pub use keep::{missing, open_gaps};
pub use silence::{Listened, SilenceLimits};
pub use watch::{Rules, look};
