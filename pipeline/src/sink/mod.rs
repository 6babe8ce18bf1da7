//! The table sink: topics to Delta tables, each message applied once.
//!
//! The sink keeps no state of its own. Each Delta commit holds, beside the files, how far each partition of the log was applied
//! (Delta's `txn` actions: application id = topic and partition, version = next offset). After a crash the table itself says where to go
//! on; a commit that was made but not heard of is found there.
//!
//! It knows nothing of SQL and nothing of how the intervals came about.

mod columns;
mod conditions;
mod delta;
mod error;
mod facts;
mod group;
mod history;
mod merge;
mod parquet_file;
mod root;
mod slice;
mod tables;
mod threads;

pub use columns::{arrow_schema, file_schema};
pub use error::SinkError;
pub use parquet_file::parquet_file;
pub use root::{TableRoot, delta_table};
pub use tables::{Applied, Tables};
