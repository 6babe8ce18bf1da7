//! What can go wrong with a question, by what the one who asked can do about it.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::fold::FoldError;
use crate::period::PeriodError;
use crate::tables::AsOfError;

/// A question that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is not SQL: correct it.
    #[error("SQL syntax: {message}")]
    Syntax {
        /// What the parser expected, and where.
        message: String,
    },
    /// The SQL would change something, which no question may.
    #[error("{statement} is refused: only SELECT, EXPLAIN, SHOW and DESCRIBE can be run here, as the tables are read-only")]
    Refused {
        /// The statement's first word.
        statement: String,
    },
    /// The SQL names what does not exist, or mixes types: correct it.
    #[error("{message}")]
    Planning {
        /// What is wrong, with a near name if there is one.
        message: String,
    },
    /// The period cannot be reported on: correct it.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// A dimension of a report does not exist.
    #[error("there is no dimension {name:?}; reports are by {known}")]
    Dimension {
        /// What was given.
        name: String,
        /// The names of all dimensions.
        known: String,
    },
    /// The moment to answer as of has no answer: its text says why.
    #[error(transparent)]
    AsOf(#[from] AsOfError),
    /// Too many questions are being answered, and as many wait: ask again in a few seconds.
    #[error("too many questions are being answered, and {waiting} wait; ask again in a few seconds")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// The answer takes more than it may: ask for less, or raise the limit.
    #[error(transparent)]
    Limit(#[from] Limit),
    /// A value cannot be computed from the data.
    #[error("{message}")]
    Execution {
        /// What failed.
        message: String,
    },
    /// The tables do not read: look at the storage, or rebuild them.
    #[error("the tables do not read: {message}")]
    Storage {
        /// What failed.
        message: String,
    },
    /// The result cannot be written: look at where it goes.
    #[error("the result cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

/// A limit that a question reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Limit {
    /// More rows than may be returned.
    #[error("the result has more than {0} rows; aggregate, filter or LIMIT it, or allow more")]
    Rows(usize),
    /// More time than may be taken.
    #[error("the query took longer than {0:?}; ask for a shorter period, or allow more")]
    Time(Duration),
    /// More memory, or more space for spilling, than may be held.
    #[error("the query needs more memory than the {0} bytes that it may use; ask for less, or allow more")]
    Memory(usize),
}

impl QueryError {
    pub(crate) fn storage(error: impl std::fmt::Display) -> Self {
        Self::Storage { message: error.to_string() }
    }

    /// An error of reading a table whole: the storage's, unless the version is gone.
    pub(crate) fn from_reading(error: &DataFusionError) -> Self {
        match Self::from_datafusion(error, 0) {
            gone @ Self::AsOf(_) => gone,
            _ => Self::storage(error),
        }
    }

    /// Sorts an error of DataFusion by what can be done about it. `memory_bytes` is what the query may use.
    pub(crate) fn from_datafusion(error: &DataFusionError, memory_bytes: usize) -> Self {
        let message = |error: &DataFusionError| error.message().lines().next().unwrap_or_default().to_owned();
        match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => Self::from_datafusion(inner, memory_bytes),
            DataFusionError::Shared(inner) => Self::from_datafusion(inner, memory_bytes),
            DataFusionError::Collection(errors) if !errors.is_empty() => Self::from_datafusion(&errors[0], memory_bytes),
            DataFusionError::SQL(error, _) => Self::Syntax {
                message: match error.as_ref() {
                    ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
                    ParserError::RecursionLimitExceeded => "nested too deeply".to_owned(),
                },
            },
            DataFusionError::Plan(_) | DataFusionError::SchemaError(..) | DataFusionError::NotImplemented(_) => {
                Self::Planning { message: message(error) }
            }
            DataFusionError::ResourcesExhausted(_) => Self::Limit(Limit::Memory(memory_bytes)),
            DataFusionError::ObjectStore(_) | DataFusionError::ParquetError(_) | DataFusionError::IoError(_) => {
                Self::Storage { message: message(error) }
            }
            DataFusionError::External(inner) => Self::from_external(inner.as_ref(), memory_bytes),
            DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
                arrow::error::ArrowError::ExternalError(inner) => Self::from_external(inner.as_ref(), memory_bytes),
                other => Self::Execution { message: other.to_string() },
            },
            other => Self::Execution { message: message(other) },
        }
    }

    fn from_external(error: &(dyn std::error::Error + Send + Sync + 'static), memory_bytes: usize) -> Self {
        if let Some(error) = error.downcast_ref::<DataFusionError>() {
            return Self::from_datafusion(error, memory_bytes);
        }
        if let Some(error) = error.downcast_ref::<Arc<DataFusionError>>() {
            return Self::from_datafusion(error, memory_bytes);
        }
        if let Some(error) = error.downcast_ref::<AsOfError>() {
            return Self::AsOf(error.clone());
        }
        if let Some(error) = error.downcast_ref::<PeriodError>() {
            return Self::Period(error.clone());
        }
        if let Some(error) = error.downcast_ref::<FoldError>() {
            return Self::Execution { message: error.to_string() };
        }
        Self::Storage { message: error.to_string() }
    }
}
