//! Why tables could not be written or read, named for what to do.

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;

use crate::log::LogError;

/// Why tables could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The location is not usable.
    #[error(
        "{location}: not a usable place for tables: {cause}; give a folder, or a URL such as s3://bucket/prefix, az://container/prefix or gs://bucket/prefix"
    )]
    BadLocation {
        /// The location.
        location: String,
        /// Why.
        cause: String,
    },
    /// The storage did not do what was asked. Trying again may help.
    #[error("{doing} {table} failed: {cause}; check the storage's space, permissions and reach, then run the command again")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// The table.
        table: &'static str,
        /// Why.
        cause: String,
    },
    /// The table's own files contradict each other.
    #[error("table {table} is damaged: {cause}; `cloudigrade tables rebuild` writes it anew from the log")]
    Damaged {
        /// The table.
        table: &'static str,
        /// Why.
        cause: String,
    },
    /// The table says more was applied than the log holds: they do not belong together.
    #[error(
        "table {table} is ahead of the log (partition {partition}: {applied} applied, {end} in the log); the log was replaced or restored: `cloudigrade tables rebuild` writes the table anew from it"
    )]
    AheadOfLog {
        /// The table.
        table: &'static str,
        /// The partition.
        partition: u32,
        /// The next offset by the table.
        applied: u64,
        /// The next offset by the log.
        end: u64,
    },
    /// Another process wrote this table first. Looked at anew it can be written; [`Tables::open_caught_up`](super::Tables::open_caught_up) does so.
    #[error("another process wrote to table {table} at the same time: nothing of this write is in it, and it is to be looked at anew")]
    Superseded {
        /// The table.
        table: &'static str,
    },
    /// A message of the log that the sink cannot read.
    #[error("{topic} partition {partition} offset {offset} cannot be read: {cause}; it was written by a newer version")]
    UnreadableMessage {
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: u32,
        /// The offset.
        offset: u64,
        /// Why.
        cause: String,
    },
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl SinkError {
    pub(super) fn storage(doing: &'static str, table: &'static str) -> impl Fn(object_store::Error) -> Self {
        move |error| match error {
            object_store::Error::NotFound { path, .. } => Self::Damaged { table, cause: format!("file {path} is missing") },
            error => Self::Storage { doing, table, cause: error.to_string() },
        }
    }

    pub(super) fn parquet(table: &'static str) -> impl Fn(parquet::errors::ParquetError) -> Self {
        move |error| Self::Damaged { table, cause: error.to_string() }
    }

    pub(super) fn arrow(table: &'static str) -> impl Fn(arrow::error::ArrowError) -> Self {
        move |error| Self::Damaged { table, cause: error.to_string() }
    }

    /// What any failure of Delta means, also of a commit: that another one came first has one name, whatever was to be committed.
    pub(super) fn delta(doing: &'static str, table: &'static str) -> impl Fn(DeltaTableError) -> Self {
        move |error| match error {
            DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source:
                    TransactionError::VersionAlreadyExists(_) | TransactionError::MaxCommitAttempts(_) | TransactionError::CommitConflict(_),
            } => Self::Superseded { table },
            DeltaTableError::ObjectStore { source } => Self::storage(doing, table)(source),
            error => Self::Storage { doing, table, cause: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use deltalake_core::kernel::transaction::CommitConflictError;

    use super::*;

    #[test]
    fn another_writer_that_came_first_is_told_as_that_whatever_delta_calls_it() {
        let of = |source| DeltaTableError::Transaction { source };
        for error in [
            DeltaTableError::VersionAlreadyExists(3),
            of(TransactionError::VersionAlreadyExists(3)),
            of(TransactionError::MaxCommitAttempts(0)),
            of(TransactionError::CommitConflict(CommitConflictError::MetadataChanged)),
        ] {
            let told = SinkError::delta("writing", "coverage")(error);
            assert!(matches!(told, SinkError::Superseded { table: "coverage" }), "{told}");
        }
        let other = SinkError::delta("writing", "coverage")(of(TransactionError::DeltaTableAppendOnly));
        assert!(matches!(other, SinkError::Storage { .. }), "{other}");
    }
}
