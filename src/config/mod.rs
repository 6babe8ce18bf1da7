//! The configuration: a TOML file, then the environment, then the command line.
//!
//! An environment variable `CLOUDIGRADE__SECTION__KEY` sets `key` of `[section]` and wins over the file. A key that is not known is refused
//! with the nearest one that is: a typing error must not be a setting that silently does nothing.

pub mod duration;
mod faults;
mod inspection;
mod kafka;
mod kafka_security;
mod load;
pub mod moment;
mod sections;
mod unknown;

pub use inspection::{Inspection, InspectionMode, Scanner};
pub use kafka::Kafka;
#[cfg(feature = "kafka")]
pub use kafka_security::SaslMechanism;
pub use load::{ConfigError, load};
pub use sections::{Accounts, Config, LogFormat, SourceKind, Tables};
