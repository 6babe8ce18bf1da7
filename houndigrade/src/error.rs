//! What can go wrong when a disk is read. Each is a finding about that disk, never the end of the program.

use std::io;
use std::sync::Arc;

/// Why something on a disk could not be read. The variants are told apart by what a reader of the findings can do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such thing. Often that is an answer, not a failure.
    #[error("{what} does not exist")]
    NotFound {
        /// Path or part of the disk.
        what: String,
    },
    /// It is there but is not of the kind that was asked for: a directory or a device node where a regular file should be, a link that
    /// leads nowhere or in a circle.
    #[error("{what} is {is}, which is not read")]
    WrongKind {
        /// Path.
        what: String,
        /// What it is, with its article: "a directory".
        is: String,
    },
    /// The bytes contradict the format. Nothing can be done but to look at the disk.
    #[error("{what} is damaged: {why}")]
    Corrupt {
        /// Structure or path.
        what: String,
        /// Where it contradicts what.
        why: String,
    },
    /// The format is known and sound, but not read by this program.
    #[error("{what} is not supported: {why}")]
    Unsupported {
        /// Structure.
        what: String,
        /// The feature.
        why: String,
    },
    /// It is larger than this program is willing to read. See [`crate::limits`].
    #[error("{what} is beyond the limit of {limit} {unit}")]
    Limit {
        /// What was counted.
        what: String,
        /// The limit.
        limit: u64,
        /// Its unit, in the plural.
        unit: &'static str,
    },
    /// The device or file itself could not be read.
    #[error("cannot read {what}: {error}")]
    Device {
        /// Device or file, with the offset.
        what: String,
        /// What the operating system said.
        error: Arc<io::Error>,
    },
}

impl ReadError {
    /// A [`ReadError::Corrupt`].
    pub fn corrupt(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), why: why.into() }
    }

    /// A [`ReadError::Unsupported`].
    pub fn unsupported(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), why: why.into() }
    }

    /// A [`ReadError::NotFound`].
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }
}

/// A result of reading.
pub type Result<T, E = ReadError> = std::result::Result<T, E>;
