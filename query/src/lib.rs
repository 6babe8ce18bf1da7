//! Questions to cloudigrade's tables: reports and SQL.
//!
//! This crate reads the tables that the table sink writes, and never writes them. It reads no clock: whoever asks says what "now" is.
//!
//! * [`period`]: what time a report covers, and its buckets
//! * [`tables`]: the stored tables at one version, as a catalogue for SQL
//! * [`report`]: usage and concurrency, by any dimensions
//! * [`explain`]: the runs, events and images behind one cell of a report; [`runs`]: runs, in pages
//! * [`runtime`]: threads of their own for all of these
//! * [`rest`]: the reports over HTTP
//! * [`postgres`]: SQL by the protocol of Postgres
//! * [`sql`]: read-only SQL within limits; `usage(...)` and `concurrency(...)` are the same calculation as the reports
//! * [`format`]: results as tables for people, JSON, CSV, Parquet and Arrow
//! * [`viewer`]: who asks, and so what there is to see
//! * [`dimension`]: what reports can be grouped by and cut to
//! * [`ids`]: fixed integer ids of resources
//! * [`digest`]: one number for what the tables say

mod columns;
pub mod digest;
pub mod dimension;
pub mod error;
pub mod explain;
mod fold;
pub mod format;
mod functions;
mod given_up;
pub mod ids;
mod label;
pub mod limits;
mod nesting;
mod parameters;
pub mod period;
mod plan;
pub mod postgres;
pub mod report;
pub mod rest;
pub mod runs;
pub mod runtime;
mod session;
pub mod sql;
pub mod tables;
pub mod viewer;

pub use digest::{TableDigest, TablesDigest, tables_digest};
pub use dimension::{Dimension, Only};
pub use error::{Limit, QueryError};
pub use explain::{ExplainRequest, Explanation, explain};
pub use format::{Format, RowWriter, TableStyle, printable};
pub use period::{Granularity, Period, PeriodError};
pub use report::{Report, ReportKind, ReportRequest, UnknownType, run_report};
pub use runs::{RunPosition, RunsRequest, list_runs};
pub use runtime::{Lane, QueryRuntime};
pub use session::Limits;
pub use sql::{Rows, run_sql};
pub use tables::{AsOf, AsOfError, SnapshotToken, Tables};
pub use viewer::Viewer;
