//! What the resources need of the program around them: who somebody is, and what changes something. The program implements it over the
//! log; reading reports and tables needs none of it.

use std::net::IpAddr;

use async_trait::async_trait;
use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::{Account, Inspection, Product, Token, TokenScope, UtcSecond};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::principal::{Login, Principal};

/// Why something was not done. Its text is for the one who asked; internals are in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Name or password is wrong, the user is disabled, or the token does not work: which of them is not said.
    #[error("the name or the password is wrong")]
    Credentials,
    /// Too many attempts to log in.
    #[error("too many attempts to log in; try again in {seconds} s")]
    TooManyAttempts {
        /// Seconds until the next attempt counts.
        seconds: u64,
    },
    /// There is no such thing, or it is not theirs.
    #[error("there is no such {what}")]
    NotFound {
        /// What: `account`, `user`, `token`, `image`.
        what: &'static str,
    },
    /// What was given cannot be used, with the field that is at fault if it is one.
    #[error("{message}")]
    Invalid {
        /// The field, as the resource calls it: `account_arn`, `name`, ...
        field: Option<&'static str>,
        /// A stable word: `invalid_arn`, `duplicate_name`, `duplicate_arn`, `duplicate_account`, `permission_denied`, `verification_failed`,
        /// `trail_denied`, `trail_quota`, ...
        code: String,
        /// What is wrong and what to do.
        message: String,
        /// Further lines, such as one a permission that is missing.
        details: Vec<String>,
    },
    /// It cannot be done here, such as registering an account where the configuration has no accounts.
    #[error("{message}")]
    Unsupported {
        /// Why, and what to do.
        message: String,
    },
    /// It takes longer than can be waited for; it is carried on with.
    #[error("{message}")]
    StillWorking {
        /// What is being done, and where to look.
        message: String,
    },
    /// The program or its log failed; the log says why.
    #[error("it failed; the server's log says why")]
    Failed,
}

/// A user as resources show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// What they log in as.
    pub name: String,
    /// Whose accounts they see.
    pub tenant: String,
    /// Where they can be written to.
    pub email: Option<String>,
    /// Whether they see all tenants.
    pub superuser: bool,
    /// Whether they are shut out.
    pub disabled: bool,
    /// When they were made known.
    pub created_at: UtcSecond,
}

/// A token that was just made: the only time that it can be seen.
#[derive(Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The token: 40 hex digits.
    pub token: String,
    /// What is kept of it.
    pub kept: Token,
    /// Whose it is.
    pub principal: Principal,
}

/// A user to make.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// What they log in as.
    pub name: String,
    /// Whose accounts they see; their own tenant, of their name, if absent.
    pub tenant: Option<String>,
    /// Where they can be written to.
    pub email: Option<String>,
    /// Whether they see all tenants.
    pub superuser: bool,
    /// Their password.
    pub password: String,
}

/// What can be changed about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// Another name, or none.
    Rename(Option<String>),
    /// Meter again from now on.
    Enable,
    /// Do not meter from now on.
    Disable,
    /// Do not meter for a while.
    Pause,
    /// End a pause.
    Resume,
    /// Look again whether role, permissions and trail are in order.
    Verify,
}

/// What somebody says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideRequest {
    /// The image.
    pub image_id: String,
    /// The region that it is in.
    pub region: String,
    /// About which product.
    pub product: Product,
    /// Whether the product is there; `None` takes back what was said before.
    pub is: Option<bool>,
    /// Why.
    pub reason: Option<String>,
}

/// What the program does for the resources. What it returns as done is durable, and shows in reports that are asked for afterwards.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Checks a name and a password, and makes a token. Takes the same time whether the name, the password or both are wrong. `from` is where
    /// the attempt comes from, for the limit on attempts.
    async fn log_in(
        &self,
        name: &str,
        password: &str,
        scope: TokenScope,
        label: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<NewToken, Refused>;
    /// Checks a name and a password without making a token, with the same limits; for protocols that log in at each connection.
    async fn check_password(&self, name: &str, password: &str, from: Option<IpAddr>) -> Result<Login, Refused>;
    /// Whether somebody who was let in so is let in still: they were not shut out since, nor given another password. Cheap.
    fn is_let_in(&self, login: &Login) -> bool;
    /// Whom a token stands for, if it works.
    fn bearer(&self, token: &str) -> Option<Principal>;
    /// Whom an identity of a trusted proxy stands for: the tenant of the account number, else of the organisation. `None` where neither is
    /// known.
    fn identity(&self, account_number: Option<&str>, org_id: Option<&str>) -> Option<Principal>;
    /// Ends a token.
    async fn revoke(&self, token: &str) -> Result<(), Refused>;
    /// The tokens of a user that still work.
    fn tokens(&self, user: &str) -> Vec<Token>;
    /// Ends a token by the hash that [`Backend::tokens`] shows, if it is the user's.
    async fn revoke_by_hash(&self, user: &str, hash: &str) -> Result<(), Refused>;

    /// All users, or those of one tenant, in the order in which they were made.
    fn users(&self, tenant: Option<&str>) -> Vec<UserInfo>;
    /// Makes a user.
    async fn create_user(&self, user: NewUser, by: &str) -> Result<UserInfo, Refused>;
    /// Shuts a user out, or lets them in again.
    async fn disable_user(&self, name: &str, disabled: bool, by: &str) -> Result<UserInfo, Refused>;
    /// Gives a user another password; all their tokens end.
    async fn reset_password(&self, name: &str, password: &str, by: &str) -> Result<(), Refused>;

    /// The accounts of a tenant, or all, as the log has them: newer than the tables.
    async fn accounts(&self, tenant: Option<&str>) -> Result<Vec<Account>, Refused>;
    /// Registers an account and waits at most a few seconds for the checks; they carry on after that.
    async fn register(&self, tenant: &str, arn: &str, name: Option<String>, by: &str) -> Result<Account, Refused>;
    /// Changes an account of a tenant.
    async fn change_account(&self, tenant: &str, account_id: &str, change: AccountChange, by: &str) -> Result<Account, Refused>;
    /// Forgets an account of a tenant, and removes the trail that was made for it.
    async fn delete_account(&self, tenant: &str, account_id: &str, by: &str) -> Result<(), Refused>;
    /// The tenant's external id for roles.
    async fn external_id(&self, tenant: &str) -> Result<String, Refused>;
    /// The AWS account that roles must trust, if it is known.
    async fn own_account(&self) -> Option<String>;
    /// The policy documents that a role needs, by what they are for: `traditional_inspection`, ...
    fn policies(&self) -> Value;

    /// Says what is in an image, against all evidence: for one tenant, or for all.
    async fn override_image(&self, tenant: Option<&str>, said: OverrideRequest, by: &str) -> Result<(), Refused>;
    /// The attempts to inspect an image, as the log has them.
    async fn inspections(&self, image_id: &str) -> Result<Vec<Inspection>, Refused>;
    /// Has an image inspected, or its inspection given up; gives the attempts.
    async fn want_inspection(&self, image_id: &str, wanted: InspectionWanted, by: &str) -> Result<Vec<Inspection>, Refused>;
    /// Replays or drops dead letters; gives how many were resolved and how many stay open.
    async fn settle_letters(&self, ids: Vec<String>, replay: bool, by: &str) -> Result<(usize, usize), Refused>;
}
