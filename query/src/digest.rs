//! One number for what the tables say, to compare two runs over the same logs.

use std::fmt;

use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::table::{Column, IMAGES, INSTANCE_INTERVALS, POWER_EVENTS, Table};
use futures::StreamExt;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::QueryError;
use crate::limits::DIGEST_DEADLINE;
use crate::session::Limits;
use crate::sql::run_sql;
use crate::tables::Tables;
use crate::viewer::Viewer;

/// Columns that tell how the data arrived, not what it says.
const PROVENANCE: [&str; 6] = ["revision", "recorded_at", "source", "start_source", "end_source", "evidence"];

/// The digest of a table: how many rows, and the sum of their 128-bit hashes. The order of rows and files does not matter.
///
/// It finds differences by accident, not by malice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableDigest {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the rows' hashes.
    pub hash: u128,
}

impl fmt::Display for TableDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x} ({} rows)", self.hash, self.rows)
    }
}

/// The digests of the tables that are computed from the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TablesDigest {
    /// Of `instance_intervals`.
    pub instance_intervals: TableDigest,
    /// Of `power_events`.
    pub power_events: TableDigest,
    /// Of `images`.
    pub images: TableDigest,
}

impl fmt::Display for TablesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [intervals, events, images] = [INSTANCE_INTERVALS.name, POWER_EVENTS.name, IMAGES.name];
        write!(f, "{intervals} {}\n{events} {}\n{images} {}", self.instance_intervals, self.power_events, self.images)
    }
}

/// Computes the digests of the tables as of their last refresh, from the columns of the contract without those that tell how
/// a row arrived (`revision`, `recorded_at`, `source`, `start_source`, `end_source`, and `evidence`, which tells its sources).
pub async fn tables_digest(tables: &Tables) -> Result<TablesDigest, QueryError> {
    Ok(TablesDigest {
        instance_intervals: digest(tables, &INSTANCE_INTERVALS).await?,
        power_events: digest(tables, &POWER_EVENTS).await?,
        images: digest(tables, &IMAGES).await?,
    })
}

async fn digest(tables: &Tables, table: &Table) -> Result<TableDigest, QueryError> {
    let said = table.columns.iter().map(|column: &Column| column.name).filter(|name| !PROVENANCE.contains(name));
    let sql = format!("SELECT {} FROM {}", said.collect::<Vec<_>>().join(", "), table.name);
    let limits = Limits { rows: usize::MAX, time: DIGEST_DEADLINE, ..Limits::default() };
    let mut rows = run_sql(tables, &Viewer::Everything, &sql, UtcSecond(0), &limits).await?;
    let mut digest = TableDigest::default();
    while let Some(batch) = rows.next().await {
        add(&mut digest, &batch?).map_err(QueryError::storage)?;
    }
    Ok(digest)
}

/// Adds rows in Arrow's row format, which tells every column from its neighbours and null from empty.
fn add(digest: &mut TableDigest, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
    let fields = batch.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(batch.columns())?;
    for row in &rows {
        digest.rows += 1;
        digest.hash = digest.hash.wrapping_add(xxh3_128(row.as_ref()));
    }
    Ok(())
}
