//! What can be asked about accounts, and the answers: the same from the command line, over the control socket, and later over HTTP.

use cloudigrade_schemas::Account;
use serde::{Deserialize, Serialize};

/// Something asked for a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Whose accounts.
    pub tenant: String,
    /// Who asks.
    pub by: String,
    /// What is wanted.
    pub operation: Operation,
}

/// What can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Operation {
    /// The tenant's external id, made at the first time.
    ExternalId,
    /// Collect from an account.
    Register {
        /// The role to assume.
        arn: String,
        /// What to call it.
        name: Option<String>,
    },
    /// All accounts that are not deleted.
    List,
    /// One account.
    Show {
        /// Its AWS account id or its name.
        account: String,
    },
    /// Another name, or none.
    Rename {
        /// Its AWS account id or its name.
        account: String,
        /// The new name.
        name: Option<String>,
    },
    /// Another role of the same AWS account.
    ChangeRole {
        /// Its AWS account id or its name.
        account: String,
        /// The role to assume.
        arn: String,
    },
    /// Meter again.
    Enable {
        /// Its AWS account id or its name.
        account: String,
    },
    /// Meter no longer.
    Disable {
        /// Its AWS account id or its name.
        account: String,
    },
    /// Meter no longer for a while.
    Pause {
        /// Its AWS account id or its name.
        account: String,
    },
    /// End a pause.
    Resume {
        /// Its AWS account id or its name.
        account: String,
    },
    /// Forget it.
    Delete {
        /// Its AWS account id or its name.
        account: String,
    },
    /// Look again whether role, permissions and trail are in order.
    Verify {
        /// Its AWS account id or its name.
        account: String,
    },
}

/// What was done, or is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// The accounts as they stand.
    #[serde(default)]
    pub accounts: Vec<Account>,
    /// The tenant's external id, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// What to tell the one who asked, beside the accounts.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}; {help}")]
pub struct Refusal {
    /// A stable word.
    pub code: String,
    /// What is the matter.
    pub detail: String,
    /// What to do.
    pub help: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: &str, detail: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), help: help.into() }
    }

    /// The program or its log failed.
    pub fn failed(cause: &dyn std::fmt::Display) -> Self {
        Self::new("failed", cause.to_string(), "see the messages of the server, mend it, and ask again")
    }
}
