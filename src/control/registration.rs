//! Registering an account for a tenant that nobody of ours vouches for: the account is the tenant's only when AWS has shown that it is.
//!
//! Who registers an account sees its whole history. So it is not registered before the role was assumed with the tenant's external id, which
//! only the account's owner can have arranged. The command line, which the operator has, registers first and looks then.

use cloudigrade_connectors::aws::AccountCheck;
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::operators::accounts;
use cloudigrade_schemas::account::{AccountProblem, Trail};
use cloudigrade_schemas::{Account, AccountAction, AccountState, RoleArn};

use super::accounts::Asked;
use super::service::Service;
use super::wire::Refusal;

/// Why an account was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRegistered {
    /// It cannot be.
    Refused(Refusal),
    /// AWS did not show that it is theirs, or something is in the way.
    Obstructed(Vec<AccountProblem>),
}

impl From<Refusal> for NotRegistered {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Looks whether the role works, and registers the account then.
///
/// # Errors
/// [`NotRegistered`]: nothing is left of it.
pub async fn register(service: &Service, tenant: &str, arn: &str, name: Option<String>, by: &str) -> Result<Account, NotRegistered> {
    let asked = Asked { service, tenant, by };
    let Some(aws) = &service.aws else {
        let help = "add a section [accounts] to the configuration, or have the operator register it with `cloudigrade accounts register`";
        return Err(Refusal::new("unsupported", "this server does not look into AWS accounts", help).into());
    };
    let role: RoleArn = arn.parse().map_err(|error: cloudigrade_schemas::arn::ArnError| {
        Refusal::new("arn_invalid", error.to_string(), "give the ARN of the role that you made for cloudigrade, as IAM shows it")
    })?;
    // Before AWS is asked: what the tenant has already needs no look.
    asked.is_new(&role.account_id, arn, name.as_deref())?;
    let external_id = asked.external_id().await?;
    let account = unregistered(tenant, &role.account_id, arn, (service.now)());
    let trail = match aws.check(&account, &external_id).await {
        AccountCheck::InOrder { trail } => trail,
        AccountCheck::Obstructed { problems, trail } => {
            remove_unused(service, account, trail, &external_id).await;
            return Err(NotRegistered::Obstructed(problems));
        }
    };
    let registered = asked.accepted(&role.account_id, AccountAction::Register { arn: arn.to_owned(), name }).await;
    if let Err(refusal) = registered {
        remove_unused(service, account, trail, &external_id).await;
        return Err(refusal.into());
    }
    Ok(asked.accepted(&role.account_id, AccountAction::Verified { trail }).await?)
}

/// An account as it would be, for the look at it.
fn unregistered(tenant: &str, account_id: &str, arn: &str, now: cloudigrade_schemas::UtcSecond) -> Account {
    Account {
        tenant: tenant.to_owned(),
        account_id: account_id.to_owned(),
        arn: arn.to_owned(),
        name: None,
        state: AccountState::Pending,
        created_at: now,
        changed_at: now,
        verified_at: None,
        unmetered: Vec::new(),
        trail: None,
        problems: Vec::new(),
    }
}

/// Removes the trail that was made for an account that was refused then, unless another tenant has the account.
async fn remove_unused(service: &Service, account: Account, trail: Option<Trail>, external_id: &str) {
    let Some(aws) = service.aws.as_ref().filter(|_| trail.is_some()) else { return };
    let is_used = |known: &Account| known.account_id == account.account_id && known.state != AccountState::Deleted;
    match accounts::all_accounts(&service.log, service.log.partitions()) {
        Ok(all) if all.iter().any(is_used) => {}
        Ok(_) => {
            if let Err(problem) = aws.remove_trail(&Account { trail, ..account }, external_id).await {
                tracing::warn!(detail = problem.detail, "the trail of an account that was not registered was not removed");
            }
        }
        Err(error) => tracing::error!(%error, "accounts cannot be read; the trail of one that was not registered may be left"),
    }
}
