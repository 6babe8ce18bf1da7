//! What a command makes of an account: pure decisions, on the facts that they need.

use cloudigrade_schemas::account::{Trail, is_account_name, is_external_id};
use cloudigrade_schemas::arn::is_account_id;
use cloudigrade_schemas::{Account, AccountAction, AccountCommand, AccountProblem, AccountState, RoleArn};

use super::outcome::{Outcome, Refusal};
use super::{is_live, unmetered};
use crate::limits::{ACCOUNT_PROBLEMS_MAX, ACCOUNTS_PER_TENANT_MAX, PROBLEM_TEXT_BYTES_MAX, UNMETERED_PERIODS_MAX};

/// Digits, and what is taken for them, that an answer repeats.
const QUOTED_CHARS_MAX: usize = 20;

/// What the tenant has beside the account.
pub(super) struct Surroundings {
    /// Whether the tenant has an external id.
    pub is_open: bool,
    /// How many accounts it has.
    pub accounts: u64,
    /// Whether another account has the name that the command asks for.
    pub name_is_taken: bool,
}

/// Gives a tenant its external id, unless it has one.
pub(super) fn open_tenant(known: &mut Option<String>, asked: &str) -> Outcome {
    match known {
        Some(external_id) => Outcome::TenantOpened { external_id: external_id.clone() },
        None if is_external_id(asked) => Outcome::TenantOpened { external_id: known.insert(asked.to_owned()).clone() },
        None => Refusal::ExternalId.into(),
    }
}

/// The account as it stands after the command. `old` is what is kept of it, even if it was deleted.
pub(super) fn decide(old: Option<&Account>, around: &Surroundings, command: &AccountCommand) -> Result<Account, Refusal> {
    if !around.is_open {
        return Err(Refusal::TenantUnknown { tenant: command.tenant.clone() });
    }
    if !is_account_id(&command.account_id) {
        return Err(Refusal::AccountId { account_id: command.account_id.chars().take(QUOTED_CHARS_MAX).collect() });
    }
    let mut account = match &command.action {
        AccountAction::Register { arn, name } => register(old, around, command, arn, name.as_deref())?,
        action => {
            let unknown = || Refusal::AccountUnknown { account_id: command.account_id.clone() };
            let mut account = old.filter(|account| is_live(account)).cloned().ok_or_else(unknown)?;
            change(&mut account, around, command, action)?;
            account
        }
    };
    if old != Some(&account) {
        account.changed_at = account.changed_at.max(command.at);
    }
    Ok(account)
}

fn register(
    old: Option<&Account>,
    around: &Surroundings,
    command: &AccountCommand,
    arn: &str,
    name: Option<&str>,
) -> Result<Account, Refusal> {
    check_arn(command, arn)?;
    if let Some(Account { account_id, arn: known, .. }) = old.filter(|account| is_live(account)) {
        let same = || Refusal::ArnExists { arn: arn.to_owned() };
        let other = || Refusal::AccountExists { account_id: account_id.clone(), arn: known.clone() };
        return Err(if arn == known { same() } else { other() });
    }
    if around.accounts >= ACCOUNTS_PER_TENANT_MAX {
        return Err(Refusal::TooManyAccounts);
    }
    // Deleting is always possible, so coming back cannot be.
    if old.is_some_and(|account| account.unmetered.len() > UNMETERED_PERIODS_MAX) {
        return Err(Refusal::TooManyPeriods);
    }
    check_name(around, name)?;
    let new = || Account::new(&command.tenant, &command.account_id, arn, command.at);
    let mut account = old.cloned().unwrap_or_else(new);
    unmetered::end(&mut account.unmetered, command.at);
    let (arn, name) = (arn.to_owned(), name.map(str::to_owned));
    Ok(Account { arn, name, state: AccountState::Pending, verified_at: None, problems: Vec::new(), ..account })
}

fn change(account: &mut Account, around: &Surroundings, command: &AccountCommand, action: &AccountAction) -> Result<(), Refusal> {
    match action {
        AccountAction::OpenTenant { .. } | AccountAction::Register { .. } => {}
        AccountAction::Rename { name } => {
            check_name(around, name.as_deref())?;
            account.name.clone_from(name);
        }
        AccountAction::ChangeRole { arn } => {
            check_arn(command, arn)?;
            if *arn != account.arn {
                account.arn.clone_from(arn);
                account.verified_at = None;
                account.problems.clear();
                if account.state == AccountState::Enabled {
                    account.state = AccountState::Pending;
                }
            }
        }
        AccountAction::Enable => turn_on(account, command),
        AccountAction::Resume if account.state == AccountState::Disabled => return Err(wrong_state(account)),
        AccountAction::Resume => turn_on(account, command),
        AccountAction::Pause if account.state == AccountState::Disabled => return Err(wrong_state(account)),
        AccountAction::Pause => turn_off(account, AccountState::Paused, command)?,
        AccountAction::Disable => turn_off(account, AccountState::Disabled, command)?,
        AccountAction::Delete => turn_off(account, AccountState::Deleted, command)?,
        AccountAction::Verified { trail } => verified(account, command, trail.as_ref()),
        AccountAction::Failed { problems, trail } => {
            account.problems = bounded(problems);
            keep_trail(account, trail.as_ref());
        }
    }
    Ok(())
}

/// Metered again. Whether its role still serves is found out anew if it never was.
fn turn_on(account: &mut Account, command: &AccountCommand) {
    if matches!(account.state, AccountState::Disabled | AccountState::Paused) {
        account.state = if account.verified_at.is_some() { AccountState::Enabled } else { AccountState::Pending };
        unmetered::end(&mut account.unmetered, command.at);
    }
}

/// Not metered from now on. A deleted account can always be: its tenant must be able to get rid of it.
fn turn_off(account: &mut Account, state: AccountState, command: &AccountCommand) -> Result<(), Refusal> {
    if account.unmetered.len() >= UNMETERED_PERIODS_MAX && state != AccountState::Deleted {
        return Err(Refusal::TooManyPeriods);
    }
    unmetered::begin(&mut account.unmetered, command.at);
    account.state = state;
    Ok(())
}

/// One that is paused or disabled stays so.
fn verified(account: &mut Account, command: &AccountCommand, trail: Option<&Trail>) {
    if account.state == AccountState::Pending {
        account.state = AccountState::Enabled;
    }
    account.verified_at = account.verified_at.max(Some(command.at));
    account.problems.clear();
    keep_trail(account, trail);
}

/// A trail that is not told is not gone: only whoever looked for one tells it.
fn keep_trail(account: &mut Account, trail: Option<&Trail>) {
    if trail.is_some() {
        account.trail = trail.cloned();
    }
}

fn bounded(problems: &[AccountProblem]) -> Vec<AccountProblem> {
    let cut = |text: &str| text[..text.floor_char_boundary(PROBLEM_TEXT_BYTES_MAX)].to_owned();
    let problem =
        |problem: &AccountProblem| AccountProblem { code: cut(&problem.code), detail: cut(&problem.detail), help: cut(&problem.help) };
    problems.iter().take(ACCOUNT_PROBLEMS_MAX).map(problem).collect()
}

fn wrong_state(account: &Account) -> Refusal {
    Refusal::State { account_id: account.account_id.clone(), state: account.state }
}

fn check_arn(command: &AccountCommand, arn: &str) -> Result<(), Refusal> {
    let of_arn = arn.parse::<RoleArn>()?.account_id;
    let account_id = &command.account_id;
    if of_arn == *account_id { Ok(()) } else { Err(Refusal::OtherAccount { of_arn, account_id: account_id.clone() }) }
}

fn check_name(around: &Surroundings, name: Option<&str>) -> Result<(), Refusal> {
    match name {
        None => Ok(()),
        Some(name) if !is_account_name(name) => Err(Refusal::Name),
        Some(name) if around.name_is_taken => Err(Refusal::NameExists { name: name.to_owned() }),
        Some(_) => Ok(()),
    }
}
