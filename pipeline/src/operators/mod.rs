//! The operators: pure folds from topic to topic.
//!
//! ```text
//! cloudtrail.records -> extract -> power.events -> intervals -> instance.intervals
//!                            \\             \\-> sightings -> image.sightings -\\
//!                             \\-> image.tags -> image_tags -> image.facts ----+-> images -> images
//! account.commands -> accounts -> accounts
//! ```
//!
//! They know no clock, no storage and no network. A file's path is no evidence of anything: what a record says is.

pub mod accounts;
mod binary;
mod canonical;
mod extract;
mod fields;
mod fold;
mod history;
mod image_tags;
mod images;
mod intervals;
mod observation;
mod observed;
mod seen;
mod sightings;
mod tag_event;
#[cfg(test)]
mod tests;
mod trail_event;

use crate::log::Store;

/// All stores of state that operators keep.
pub const STORES: &[Store] = &[
    accounts::TENANTS,
    accounts::ACCOUNTS,
    accounts::NAMES,
    accounts::OUTCOMES,
    accounts::ORDER,
    extract::SEEN,
    image_tags::TAGS,
    image_tags::CLEARED,
    images::KNOWN,
    images::TOLD,
    intervals::HISTORIES,
    sightings::SEEN,
];

pub use accounts::Accounts;
pub use extract::{Extract, counted};
pub use fold::runs_of;
pub use history::HistoryEvent;
pub use image_tags::ImageTags;
pub use images::{Images, Outlook, outlook};
pub use intervals::Intervals;
pub use observed::OBSERVATION_SLACK;
pub use sightings::Sightings;
