//! What came of a command.

use cloudigrade_schemas::arn::ArnError;
use cloudigrade_schemas::{Account, AccountState};
use serde::{Deserialize, Serialize};

use crate::limits::{ACCOUNTS_PER_TENANT_MAX, UNMETERED_PERIODS_MAX};

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// It was carried out; the account as it then stood.
    Accepted(Box<Account>),
    /// The tenant is known with this external id, which may be another one than was asked for: the first one holds.
    TenantOpened {
        /// What the tenant's roles ask for.
        external_id: String,
    },
    /// Nothing was changed.
    Refused {
        /// A stable word: see [`Refusal::code`].
        code: String,
        /// What is in the way.
        detail: String,
        /// What to do.
        help: String,
    },
}

/// Why a command was refused. It tells of what the tenant itself has, and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The tenant has no external id yet.
    #[error("the tenant {tenant} is not known")]
    TenantUnknown {
        /// The tenant.
        tenant: String,
    },
    /// AWS would not take it.
    #[error("this is no external id that AWS takes")]
    ExternalId,
    /// It is no account id.
    #[error("{account_id:?} is no AWS account")]
    AccountId {
        /// What was given, cut.
        account_id: String,
    },
    /// The role's ARN is none.
    #[error(transparent)]
    Arn(#[from] ArnError),
    /// The role is another account's.
    #[error("the role is in the account {of_arn}, not in {account_id}")]
    OtherAccount {
        /// The account of the role.
        of_arn: String,
        /// The account of the command.
        account_id: String,
    },
    /// It has the account, with another role.
    #[error("the account {account_id} is registered already, with the role {arn}")]
    AccountExists {
        /// The account.
        account_id: String,
        /// Its role.
        arn: String,
    },
    /// It has the account, with this role.
    #[error("the role {arn} is registered already")]
    ArnExists {
        /// The role.
        arn: String,
    },
    /// No account can be called so.
    #[error("this is no name for an account")]
    Name,
    /// Another account is called so.
    #[error("there is an account named {name:?} already")]
    NameExists {
        /// The name.
        name: String,
    },
    /// It has no such account.
    #[error("there is no account {account_id}")]
    AccountUnknown {
        /// The account.
        account_id: String,
    },
    /// The account's state does not allow it.
    #[error("the account {account_id} is {}", state.word())]
    State {
        /// The account.
        account_id: String,
        /// Its state.
        state: AccountState,
    },
    /// It has as many as it can.
    #[error("the tenant has {ACCOUNTS_PER_TENANT_MAX} accounts, which is as many as it can have")]
    TooManyAccounts,
    /// It was switched on and off too often.
    #[error("the account was taken out of metering {UNMETERED_PERIODS_MAX} times, which is as often as it can be")]
    TooManyPeriods,
}

impl Refusal {
    /// A stable word for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TenantUnknown { .. } => "tenant_unknown",
            Self::ExternalId => "external_id_invalid",
            Self::AccountId { .. } => "account_id_invalid",
            Self::Arn(_) => "arn_invalid",
            Self::OtherAccount { .. } => "arn_of_other_account",
            Self::AccountExists { .. } => "account_exists",
            Self::ArnExists { .. } => "arn_exists",
            Self::Name => "name_invalid",
            Self::NameExists { .. } => "name_exists",
            Self::AccountUnknown { .. } => "account_unknown",
            Self::State { .. } => "account_state",
            Self::TooManyAccounts => "too_many_accounts",
            Self::TooManyPeriods => "too_many_periods",
        }
    }

    /// What to do.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::TenantUnknown { .. } => "open the tenant with an external id first",
            Self::ExternalId => "use 2 to 1224 letters, digits and _+=,.@:/-",
            Self::AccountId { .. } => "give its twelve digits, with the leading zeros",
            Self::Arn(_) => "copy the role's ARN from IAM: Roles, the role, ARN",
            Self::OtherAccount { .. } => "register the role's own account, or give a role of this one",
            Self::AccountExists { .. } => "change its role, or delete it first",
            Self::ArnExists { .. } => "nothing is to be done, unless it should have another name: rename it",
            Self::Name => "use at most 256 characters, none of them a control character, and no space around them",
            Self::NameExists { .. } => "choose another name, or rename the other account",
            Self::AccountUnknown { .. } => "list the accounts to see which there are",
            Self::State { state: AccountState::Disabled, .. } => "enable it",
            Self::State { .. } => "list the accounts to see how they stand",
            Self::TooManyAccounts => "delete accounts, or divide them among tenants",
            Self::TooManyPeriods => "leave it as it is: enabled, or disabled or deleted for good",
        }
    }
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { code: refusal.code().to_owned(), detail: refusal.to_string(), help: refusal.help().to_owned() }
    }
}
