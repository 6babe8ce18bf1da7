//! Objects from folders and buckets into the log.
//!
//! * [`Location`], [`Feed`]: what to read, and the objects found there
//! * [`ledger`]: which objects were read before
//! * [`harvest`]: what one object gives
//! * [`committer`]: the way into the log of all that is collected while serving
//! * [`drive`]: the loop around an operator
//! * [`ingest`]: workers that read and decode, one commit for what they found and that it was read

pub mod committer;
pub mod drive;
pub mod feed;
pub mod folder;
pub mod gate;
pub mod harvest;
pub mod ingest;
pub mod ledger;
pub mod list;
pub mod s3;

pub use committer::{Committer, Entry, NotCommitted};
pub use feed::{Delivery, Feed, FeedError, Location, Object, open};
pub use ingest::{IngestError, IngestOptions, Progress, Summary, ingest};
pub use list::ListFeed;
