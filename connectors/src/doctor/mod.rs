//! Checks of what the sources need from AWS, and what a check saw, which those of Kafka say too: each connects to one thing and says whether it
//! is as it should be.

#[cfg(feature = "source")]
mod bucket;
#[cfg(feature = "source")]
mod failure;
mod finding;
#[cfg(feature = "source")]
mod identity;
#[cfg(feature = "source")]
mod queue;

#[cfg(feature = "source")]
pub use bucket::check_bucket;
pub use finding::{Finding, Verdict};
#[cfg(feature = "source")]
pub use identity::{Identity, check_identity, identity};
#[cfg(feature = "source")]
pub use queue::check_queue;
