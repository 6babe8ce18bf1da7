//! `account.commands` and `accounts`: which AWS accounts are collected from, for whom, and since when.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// What somebody, or a worker that found something out, wants done about an account. A message of `account.commands`, keyed by the
/// tenant: one writer decides about all accounts of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountCommand {
    /// Names this command. The same command once more, among the newest thousand of its tenant, changes nothing and has the same outcome.
    pub id: String,
    /// Whose account.
    pub tenant: String,
    /// The AWS account, twelve digits as text.
    pub account_id: String,
    /// When it was asked for.
    pub at: UtcSecond,
    /// Who asked: a user, or a part of this program.
    pub by: String,
    /// What is wanted.
    pub action: AccountAction,
}

/// What can be done about an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountAction {
    /// Makes a tenant known with its external id. The first one holds; the account id is empty.
    OpenTenant {
        /// What the roles of this tenant ask for in `sts:ExternalId`.
        external_id: String,
    },
    /// Collect from an account. One that was deleted before comes back with what is known of it.
    Register {
        /// The role to assume.
        arn: String,
        /// What to call it; unique within the tenant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Another name.
    Rename {
        /// What to call it; unique within the tenant. `None` takes the name away.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Another role of the same AWS account.
    ChangeRole {
        /// The role to assume.
        arn: String,
    },
    /// Meter again from now on.
    Enable,
    /// Do not meter from now on, and call nothing in the account.
    Disable,
    /// Like [`Self::Disable`], but meant to be short: the trail stays as it is.
    Pause,
    /// Ends a pause.
    Resume,
    /// Forget the account: its tenant no longer sees it. What the log holds of it stays.
    Delete,
    /// The role, its permissions and the trail were found in order.
    Verified {
        /// The trail that logs the account's events.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trail: Option<Trail>,
    },
    /// Something is in the way of collecting.
    Failed {
        /// All that was found, with what to do about each.
        problems: Vec<AccountProblem>,
        /// The trail, where it was in order or was made all the same: whoever ends the account must know of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trail: Option<Trail>,
    },
}

/// The trail that an account's events come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trail {
    /// The trail's ARN.
    pub arn: String,
    /// The bucket that it writes to.
    pub bucket: String,
    /// Whether it is an organisation's trail, which is not ours to change.
    #[serde(default)]
    pub organization: bool,
    /// Whether this program made it, and may delete it.
    #[serde(default)]
    pub ours: bool,
}

/// What is in the way of collecting from an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountProblem {
    /// A stable word: `assume_role_denied`, `permission_missing`, `trail_quota`, `trail_bucket`, `throttled`, `unreachable`, ...
    pub code: String,
    /// What happened, to what.
    pub detail: String,
    /// What to do.
    pub help: String,
}

/// Whether an account is collected from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Registered, not yet found in order.
    Pending,
    /// Collected from and metered.
    Enabled,
    /// Neither collected from nor metered, until it is resumed.
    Paused,
    /// Neither collected from nor metered, until it is enabled.
    Disabled,
    /// Not shown to its tenant any more.
    Deleted,
}

impl AccountState {
    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Enabled => "enabled",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
}

/// A time in which an account is not metered, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unmetered {
    /// From, inclusive.
    pub from: UtcSecond,
    /// Until, exclusive; `None` while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UtcSecond>,
}

/// An account as it stands. A message of `accounts`, in the tenant's partition, keyed by tenant and account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Account {
    /// Whose it is.
    pub tenant: String,
    /// The AWS account, twelve digits as text.
    pub account_id: String,
    /// The role to assume.
    pub arn: String,
    /// What its tenant calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is collected from.
    pub state: AccountState,
    /// When it was registered.
    pub created_at: UtcSecond,
    /// When it last changed.
    pub changed_at: UtcSecond,
    /// When its role, permissions and trail were last found in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<UtcSecond>,
    /// When it was not metered, in order.
    #[serde(default)]
    pub unmetered: Vec<Unmetered>,
    /// The trail that its events come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail: Option<Trail>,
    /// What is in the way of collecting from it.
    #[serde(default)]
    pub problems: Vec<AccountProblem>,
}

impl Account {
    /// An account that was registered at a moment, of which nothing else is known yet.
    pub fn new(tenant: &str, account_id: &str, arn: &str, at: UtcSecond) -> Self {
        Self {
            tenant: tenant.to_owned(),
            account_id: account_id.to_owned(),
            arn: arn.to_owned(),
            name: None,
            state: AccountState::Pending,
            created_at: at,
            changed_at: at,
            verified_at: None,
            unmetered: Vec::new(),
            trail: None,
            problems: Vec::new(),
        }
    }

    /// The key in topics and state: `tenant/account`.
    pub fn to_key(&self) -> String {
        account_key(&self.tenant, &self.account_id)
    }
}

/// The key of a tenant's account in topics and state. Names of tenants contain no `/`.
pub fn account_key(tenant: &str, account_id: &str) -> String {
    format!("{tenant}/{account_id}")
}

/// Characters of a tenant's name, at most.
pub const TENANT_CHARS_MAX: usize = 64;
/// Characters of an account's name, at most.
pub const NAME_CHARS_MAX: usize = 256;
/// Characters of a command's id, at most.
pub const COMMAND_ID_CHARS_MAX: usize = 128;
/// Characters of an external id, at least and at most: what AWS takes.
pub const EXTERNAL_ID_CHARS: std::ops::RangeInclusive<usize> = 2..=1224;

/// Whether a tenant can be called this: letters, digits and `._@+-` of ASCII, at most [`TENANT_CHARS_MAX`].
pub fn is_tenant(text: &str) -> bool {
    (1..=TENANT_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte))
}

/// Whether an account can be called this: something to see, at most [`NAME_CHARS_MAX`] characters, no control characters, and no white
/// space around it.
pub fn is_account_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control)
}

/// Whether a command can be called this: printable ASCII without spaces, at most [`COMMAND_ID_CHARS_MAX`].
pub fn is_command_id(text: &str) -> bool {
    (1..=COMMAND_ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether AWS takes this as an external id.
pub fn is_external_id(text: &str) -> bool {
    EXTERNAL_ID_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte))
}
