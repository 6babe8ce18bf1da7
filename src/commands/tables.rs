//! `cloudigrade tables`: writing them anew, and telling whether two are the same.

use std::sync::Arc;

use crate::log::{DataLog, Process};
use arrow::array::{Int64Array, RecordBatch, StringArray};
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_pipeline::sink::Tables;
use cloudigrade_schemas::Topic;

use crate::cli;
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::output::{Destination, tell};

/// Whether nothing was ever ingested.
pub fn is_empty(log: &DataLog) -> Result<bool, LogError> {
    for topic in Topic::ALL {
        for partition in 0..log.partitions() {
            if log.end(topic, partition)?.offset > 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Rebuilds the tables, or prints their digests.
pub async fn run(data: &DataFolder, args: &cli::Tables) -> anyhow::Result<Code> {
    match args {
        cli::Tables::Rebuild => {
            if !data.has_log() {
                return Err(error(
                    Code::NoInput,
                    "there is no log to write tables from: ingest first, or name the data folder with --data",
                ));
            }
            let log = data.open_log(&Process::Command)?;
            if is_empty(&log)? {
                return Err(error(Code::NoInput, "the log is empty: ingest first; tables without rows would make reports say 0"));
            }
            let applied = Tables::rebuild(&data.table_root()?, &log).await?;
            tell(format_args!("tables written anew: {} messages, {} files", applied.messages, applied.files));
        }
        cli::Tables::Digest { output } => {
            let digest = cloudigrade_query::tables_digest(&data.open_tables().await?).await?;
            let tables =
                [("instance_intervals", digest.instance_intervals), ("power_events", digest.power_events), ("images", digest.images)];
            let batch = RecordBatch::try_from_iter([
                ("table", Arc::new(StringArray::from_iter_values(tables.iter().map(|(name, _)| name))) as _),
                ("rows", Arc::new(Int64Array::from_iter_values(tables.iter().map(|(_, digest)| digest.rows as i64))) as _),
                ("digest", Arc::new(StringArray::from_iter_values(tables.iter().map(|(_, digest)| format!("{:032x}", digest.hash)))) as _),
            ])?;
            Destination::of(output)?.write(&batch.schema(), &[batch])?;
        }
    }
    Ok(Code::Done)
}
