//! What goes wrong, in the words of the protocol: a code of SQL's standard and of Postgres, by which clients decide what to do.

use pgwire::error::ErrorInfo;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ErrorResponse;

use crate::error::{Limit, QueryError};
use crate::rest::backend::Refused;

/// Something that a client is told went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// SQLSTATE.
    pub(super) code: &'static str,
    /// What is wrong and what to do.
    pub(super) message: String,
    /// Whether the connection ends with it.
    pub(super) is_fatal: bool,
}

/// Codes that are used in more than one place.
pub(super) mod code {
    pub(in crate::postgres) const PROTOCOL: &str = "08P01";
    pub(in crate::postgres) const NOT_SUPPORTED: &str = "0A000";
    pub(in crate::postgres) const INVALID_PARAMETER: &str = "22023";
    pub(in crate::postgres) const READ_ONLY: &str = "25006";
    pub(in crate::postgres) const NO_TRANSACTION: &str = "25P01";
    pub(in crate::postgres) const FAILED_TRANSACTION: &str = "25P02";
    pub(in crate::postgres) const NO_SUCH_STATEMENT: &str = "26000";
    pub(in crate::postgres) const NOT_LET_IN: &str = "28P01";
    pub(in crate::postgres) const NO_SUCH_CURSOR: &str = "34000";
    pub(in crate::postgres) const NO_SUCH_SETTING: &str = "42704";
    pub(in crate::postgres) const TOO_MANY: &str = "53300";
    pub(in crate::postgres) const LIMIT: &str = "54000";
    pub(in crate::postgres) const CANCELLED: &str = "57014";
    pub(in crate::postgres) const STOPPING: &str = "57P01";
    pub(in crate::postgres) const IDLE: &str = "57P05";
}

impl Wrong {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), is_fatal: false }
    }

    pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { is_fatal: true, ..Self::new(code, message) }
    }

    pub(super) fn cancelled() -> Self {
        Self::new(code::CANCELLED, "canceling statement due to user request")
    }

    /// Why the connection of a user ends who was let in before.
    pub(super) fn shut_out() -> Self {
        Self::fatal(code::STOPPING, "this user is let in no longer, or has another password: log in again")
    }

    /// What an account with a server that cannot be told to its clients comes to. The server's log says more.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a statement over the protocol of Postgres failed");
        Self::new("XX000", "the server failed; its log says why")
    }

    /// The message that tells it.
    pub(super) fn told(self) -> PgWireBackendMessage {
        let severity = if self.is_fatal { "FATAL" } else { "ERROR" };
        let mut info = ErrorInfo::new(severity.to_owned(), self.code.to_owned(), self.message);
        info.severity_nonlocalized = Some(severity.to_owned());
        PgWireBackendMessage::ErrorResponse(ErrorResponse::from(info))
    }
}

impl From<QueryError> for Wrong {
    fn from(error: QueryError) -> Self {
        let code = match &error {
            QueryError::Syntax { .. } => "42601",
            QueryError::Refused { .. } => code::READ_ONLY,
            QueryError::Planning { message } => of_planning(message),
            QueryError::Period(_) | QueryError::Dimension { .. } | QueryError::AsOf(_) => code::INVALID_PARAMETER,
            QueryError::Busy { .. } => code::TOO_MANY,
            QueryError::Limit(Limit::Rows(_)) => code::LIMIT,
            QueryError::Limit(Limit::Memory(_)) => "53200",
            QueryError::Limit(Limit::Time(_)) => {
                return Self::new(code::CANCELLED, format!("canceling statement due to statement timeout: {error}"));
            }
            QueryError::Execution { message } if message.to_ascii_lowercase().contains("divide by zero") => "22012",
            QueryError::Execution { .. } => "22000",
            // What is in them is the operator's matter: paths, buckets.
            QueryError::Storage { .. } | QueryError::Output(_) => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

/// DataFusion tells what is missing in words alone.
fn of_planning(message: &str) -> &'static str {
    let has = |part: &str| message.contains(part);
    if has("table '") && has("not found") {
        "42P01"
    } else if has("No field named") || has("column '") && has("not found") {
        "42703"
    } else if has("Invalid function") || has("table function") || has("Function") && has("not found") {
        "42883"
    } else if has("not implemented") || has("not supported") || has("Unsupported") || has("not yet supported") {
        code::NOT_SUPPORTED
    } else {
        "42000"
    }
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooManyAttempts { .. } => Self::fatal(code::TOO_MANY, refused.to_string()),
            Refused::Failed => Self::fatal("XX000", refused.to_string()),
            _ => Self::fatal(code::NOT_LET_IN, refused.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clients_learn_from_the_code_what_to_do() {
        let planning = |message: &str| Wrong::from(QueryError::Planning { message: message.into() }).code;
        assert_eq!(planning("table 'cloudigrade.public.t' not found"), "42P01");
        assert_eq!(planning("No field named x. Valid fields are a."), "42703");
        assert_eq!(planning("Invalid function 'f'."), "42883");
        assert_eq!(planning("Cannot coerce"), "42000");
        assert_eq!(Wrong::from(QueryError::from(Limit::Time(Duration::from_secs(1)))).code, "57014");
        assert_eq!(Wrong::from(QueryError::from(Limit::Memory(1))).code, "53200");
        assert_eq!(Wrong::from(QueryError::Refused { statement: "COPY".into() }).code, "25006");
        assert_eq!(Wrong::from(QueryError::Execution { message: "Divide by zero error".into() }).code, "22012");
    }

    #[test]
    fn what_is_the_operators_matter_is_not_told_to_clients() {
        let wrong = Wrong::from(QueryError::Storage { message: "/srv/secret".into() });
        assert_eq!(wrong.message, "the server failed; its log says why");
    }
}
