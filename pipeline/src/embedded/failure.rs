//! What a failure of redb means for the reader of the message.

use std::io::ErrorKind;

use crate::log::LogError;

const FREE_SPACE: &str = "free space on the disk that holds the data folder, then start again; what was committed before is kept";
const CHECK_DISK: &str =
    "check the disk that holds the data folder and the rights on it, then start again; what was committed before is kept";
const DAMAGED: &str = "the log file is damaged: restore the data folder from a backup, or ingest the sources again into a new one";

/// A failure of the storage that all commits of a group, and all after it, are told.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    cause: String,
    help: &'static str,
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        let help = match &error {
            redb::Error::Corrupted(_) => DAMAGED,
            redb::Error::Io(io) if is_full(io.kind()) => FREE_SPACE,
            _ => CHECK_DISK,
        };
        Self { cause: error.to_string(), help }
    }
}

impl Failure {
    /// As the answer to a request.
    pub(super) fn to_error(&self, doing: &'static str) -> LogError {
        LogError::Storage { doing, cause: self.cause.clone(), help: self.help }
    }
}

/// Whether there is no room left to write.
pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// A read that failed.
pub(super) fn reading(error: redb::Error) -> LogError {
    Failure::from(error).to_error("reading the log")
}

/// The writer ended before its log did: it panicked.
pub(super) fn writer_gone() -> LogError {
    LogError::Storage { doing: "writing the log", cause: "its writer ended unexpectedly".into(), help: CHECK_DISK }
}
