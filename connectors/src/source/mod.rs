//! Objects from folders and buckets into the log.
//!
//! * [`Location`], [`Feed`]: what to read, and the objects found there
//! * [`ledger`]: which objects were read before
//! * [`harvest`]: what one object gives
//! * [`committer`]: the way into the log of all that is collected while serving
//! * [`drive`]: the loop around an operator
//! * [`letters`], [`again`]: dead letters: what they are about is read again, or dropped
//! * [`readiness`]: what somebody must mend before collecting goes on
//! * [`sqs`]: objects that a queue tells of, as long as the program runs
//! * [`listing`]: objects that are found by listing, without a queue
//! * [`batch`]: objects that are named, read at once
//! * [`ingest`]: workers that read and decode, one commit for what they found and that it was read

use cloudigrade_pipeline::log::Store;

/// All stores of state that whoever finds things keeps.
pub const STORES: &[Store] = &[
    crate::aws::history::HISTORY,
    crate::aws::collector::INSTANCES,
    crate::aws::collector::DESCRIBED,
    crate::aws::images::IMAGES,
    crate::aws::fleet::removal::REMOVED,
    crate::completeness::keep::DIGESTS,
    crate::completeness::keep::GAPS,
    harvest::REACH,
    ledger::OBJECTS,
];

pub mod again;
mod ahead;
pub mod batch;
pub mod committer;
pub mod drive;
pub mod feed;
pub mod folder;
pub mod gate;
pub mod harvest;
pub mod ingest;
pub mod ledger;
pub mod letters;
pub mod list;
pub mod listing;
pub mod readiness;
pub mod s3;
pub mod sqs;

pub use committer::{Committer, Entry, NotCommitted};
pub use feed::{Delivery, Feed, FeedError, Location, Object, open};
pub use ingest::{IngestError, IngestOptions, Progress, Summary, ingest};
pub use list::ListFeed;
pub use readiness::{Problem, Readiness};
