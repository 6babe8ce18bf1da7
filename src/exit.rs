//! The exit codes, which are stable: scripts depend on them.

use std::process::ExitCode;

use cloudigrade_connectors::completeness::verify::{ArchiveError, KeysNotListed};
use cloudigrade_connectors::source::listing::window::SurveyError;
use cloudigrade_connectors::source::{FeedError, IngestError};
use cloudigrade_inspect::WorkerError;
use cloudigrade_pipeline::embedded::OpenError;
use cloudigrade_pipeline::log::LogError;
use cloudigrade_pipeline::sink::SinkError;
use cloudigrade_query::{AsOfError, PeriodError, QueryError};

use crate::config::ConfigError;
use crate::control::socket::ControlError;

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// All was done.
    Done = 0,
    /// A failure that no other code names; of `verify`, that not all could be proven.
    Failed = 1,
    /// The command line, the period or the query is wrong. The command-line parser ends with this code too.
    Usage = 2,
    /// There is nothing to read: no such path, or no logs in it.
    NoInput = 3,
    /// Done, but some files or records could not be used: see `cloudigrade dead-letters list`.
    DeadLetters = 4,
    /// The data folder is in use, damaged or of a newer version.
    Data = 5,
    /// Storage or network failed: disk full, no permission, no answer, port taken.
    Storage = 6,
    /// A check failed: of the program's own numbers, of an account, of the surroundings, of signatures.
    Wrong = 7,
    /// Stopped by a signal; what was done stays.
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

impl Code {
    /// The code of an error.
    pub fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(of_cause).unwrap_or(Self::Failed)
    }
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Code> {
    if let Some(stated) = cause.downcast_ref::<Stated>() {
        return Some(stated.code);
    }
    if let Some(error) = cause.downcast_ref::<OpenError>() {
        return Some(match error {
            OpenError::Io { .. } | OpenError::DiskFull { .. } => Code::Storage,
            _ => Code::Data,
        });
    }
    if let Some(error) = cause.downcast_ref::<IngestError>() {
        return Some(match error {
            IngestError::Feed(error) => of_feed(error),
            IngestError::Log(error) => of_log(error),
            IngestError::Threads(_) => Code::Storage,
        });
    }
    if let Some(error) = cause.downcast_ref::<FeedError>() {
        return Some(of_feed(error));
    }
    if let Some(WorkerError::Log(error)) = cause.downcast_ref::<WorkerError>() {
        return Some(of_log(error));
    }
    if let Some(error) = cause.downcast_ref::<SinkError>() {
        return Some(match error {
            SinkError::BadLocation { .. } => Code::Usage,
            SinkError::Storage { .. } => Code::Storage,
            SinkError::Log(error) => of_log(error),
            _ => Code::Data,
        });
    }
    if let Some(error) = cause.downcast_ref::<QueryError>() {
        return Some(match error {
            QueryError::Storage { .. } => Code::Data,
            QueryError::Output(_) => Code::Storage,
            QueryError::Limit(_) | QueryError::Execution { .. } | QueryError::Busy { .. } => Code::Failed,
            QueryError::AsOf(AsOfError::Gone { .. } | AsOfError::OtherTables) => Code::NoInput,
            _ => Code::Usage,
        });
    }
    if let Some(error) = cause.downcast_ref::<ArchiveError>() {
        return Some(match error {
            ArchiveError::Place(error) => of_feed(error),
            ArchiveError::TooMany { .. } => Code::Usage,
            ArchiveError::Object { .. } => Code::Storage,
        });
    }
    if cause.downcast_ref::<KeysNotListed>().is_some() || cause.downcast_ref::<ControlError>().is_some() {
        return Some(Code::Storage);
    }
    if cause.downcast_ref::<ConfigError>().is_some() {
        return Some(Code::Usage);
    }
    if let Some(error) = cause.downcast_ref::<SurveyError>() {
        return Some(match error {
            SurveyError::Options(_) | SurveyError::Folder { .. } => Code::Usage,
            SurveyError::Listing { .. } => Code::Storage,
        });
    }
    cause.downcast_ref::<PeriodError>().map(|_| Code::Usage).or_else(|| cause.downcast_ref::<LogError>().map(of_log))
}

fn of_feed(error: &FeedError) -> Code {
    match error {
        FeedError::NoSuchPath { .. } => Code::NoInput,
        FeedError::NoBucket { .. } => Code::Usage,
        FeedError::Unreachable { .. } | FeedError::Bucket { .. } => Code::Storage,
        FeedError::Log(error) => of_log(error),
    }
}

fn of_log(error: &LogError) -> Code {
    match error {
        LogError::Storage { .. } | LogError::Gone { .. } | LogError::Retry { .. } => Code::Storage,
        LogError::Abort { .. } | LogError::Fenced { .. } => Code::Data,
        LogError::TooLarge { .. } => Code::Failed,
    }
}

/// An error of this package, which states its own code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Stated {
    code: Code,
    message: String,
}

/// An error with a code.
pub fn error(code: Code, message: impl Into<String>) -> anyhow::Error {
    Stated { code, message: message.into() }.into()
}
