//! The AWS accounts that are collected from: by which role, with which permissions and trail, and what EC2 and CloudTrail say when asked.
//!
//! * [`clients`], [`session`], [`Caller`], [`pace`], [`error`]: how AWS is called: one configuration, a session for each role, a pace, one classification
//! * [`policy`], [`permissions`], [`trail`], [`checker`]: what an account's owner lets us do, whether that is so, and what delivers events
//! * [`describe`], [`answers`], [`reconcile`], [`state_change`], [`images`], [`sighted`]: what EC2 says, what it is asked about, and what that adds to what is known
//! * [`history`]: what happened before
//! * [`collector`], [`fleet`]: all of it for one account, and for all of them for as long as the program runs

pub mod answers;
pub mod api;
mod caller;
pub mod checker;
pub mod clients;
pub mod collector;
pub mod describe;
pub mod error;
pub mod fleet;
pub mod history;
pub mod images;
mod jitter;
pub mod memory;
mod obstacles;
pub mod pace;
pub mod permissions;
pub mod policy;
pub mod reconcile;
pub mod session;
pub mod sighted;
pub mod state_change;
pub mod target;
pub mod trail;

pub use api::Api;
pub use caller::Caller;
pub use checker::{AccountCheck, Checker, CollectSettings};
pub use clients::{AwsSettings, Clients, OwnRole, load_config};
pub use collector::{CollectError, Collector, Round};
pub use error::{AwsError, FailureKind};
pub use fleet::{Fleet, FleetSettings};
pub use history::HistoryProgress;
pub use memory::Memory;
pub use policy::{PolicyFor, PolicyFormat, policy_text};
pub use session::Session;
pub use sighted::Sighted;
pub use target::Target;
