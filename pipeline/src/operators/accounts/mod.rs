//! `accounts`: commands about accounts to accounts as they stand.
//!
//! All commands of a tenant are in one partition, in one order, and one writer decides about them: so uniqueness needs no lock and no second
//! look. What came of a command is kept for whoever asked, under the command's id; the same command once more changes nothing. A tenant's
//! commands are decided by what that tenant has, and by nothing of others: no answer can reveal one.

mod decide;
mod outcome;
mod read;
#[cfg(test)]
mod tests;
mod unmetered;

use cloudigrade_schemas::account::{self, is_command_id, is_tenant};
use cloudigrade_schemas::{Account, AccountAction, AccountCommand, DeadLetter, DeadLetterReason, Topic};
use serde::{Deserialize, Serialize};

use self::decide::{Surroundings, decide, open_tenant};
pub use self::outcome::{Outcome, Refusal};
pub use self::read::{account, accounts_of, all_accounts, external_id, outcome};
use crate::engine::{Cx, Operator};
use crate::limits::ACCOUNT_OUTCOMES_KEPT;
use crate::log::{LogError, Record, Store};

/// What is known of each tenant, by its name.
pub(super) const TENANTS: Store = Store("accounts.tenants");
/// Accounts as they stand, by [`account::account_key`].
pub(super) const ACCOUNTS: Store = Store("accounts.accounts");
/// Which account has a name, by `tenant/name`.
pub(super) const NAMES: Store = Store("accounts.names");
/// What came of each command, by `tenant/command`.
pub(super) const OUTCOMES: Store = Store("accounts.outcomes");
/// The commands in their order, by `tenant/number`, so that the oldest outcomes can be forgotten.
pub(super) const ORDER: Store = Store("accounts.order");

/// Names of what `accounts` counts.
pub mod counted {
    /// Commands that were decided.
    pub const COMMANDS: &str = "account_commands";
    /// Those that were refused.
    pub const REFUSED: &str = "account_commands_refused";
    /// Commands that were decided before.
    pub const DUPLICATES: &str = "account_commands_again";
    /// Messages that are no commands.
    pub const DEAD_LETTERS: &str = "account_dead_letters";
}

/// The operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts;

/// What is known of a tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Tenant {
    /// What its roles ask for.
    external_id: Option<String>,
    /// How many commands were decided.
    commands: u64,
    /// How many accounts it has, those that were deleted not counted.
    accounts: u64,
}

impl Operator for Accounts {
    fn inputs(&self) -> &'static [Topic] {
        &[Topic::AccountCommands]
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        records.iter().try_for_each(|record| fold_record(cx, record))
    }
}

fn fold_record(cx: &mut Cx<'_>, record: &Record) -> Result<(), LogError> {
    let command: AccountCommand = match serde_json::from_slice(&record.value) {
        Ok(command) => command,
        Err(error) => return bury(cx, record, DeadLetterReason::BadRecord, format!("not a message of this topic: {error}")),
    };
    let AccountCommand { id, tenant, .. } = &command;
    if !is_tenant(tenant) || record.key != tenant.as_bytes() {
        return bury(cx, record, DeadLetterReason::BadField, "the message names no tenant, or another one than its key".to_owned());
    }
    if !is_command_id(id) {
        let detail = "the command's id must be printable ASCII without spaces, at most 128 characters".to_owned();
        return bury(cx, record, DeadLetterReason::BadField, detail);
    }
    let key = format!("{tenant}/{id}");
    if cx.get(OUTCOMES, record.partition, key.as_bytes())?.is_some() {
        cx.count(counted::DUPLICATES, 1);
        return Ok(());
    }
    let mut known: Tenant = cx.get_json(TENANTS, record.partition, tenant.as_bytes())?.unwrap_or_default();
    let outcome = carry_out(cx, record, &command, &mut known)?;
    cx.count(counted::COMMANDS, 1);
    cx.count(counted::REFUSED, u64::from(matches!(outcome, Outcome::Refused { .. })));
    cx.put_json(OUTCOMES, record.partition, key.as_bytes(), &outcome)?;
    forget_the_oldest(cx, record.partition, tenant, known.commands)?;
    cx.put(ORDER, record.partition, order_key(tenant, known.commands).as_bytes(), id.as_bytes().to_vec());
    known.commands += 1;
    cx.put_json(TENANTS, record.partition, tenant.as_bytes(), &known)
}

fn carry_out(cx: &mut Cx<'_>, record: &Record, command: &AccountCommand, tenant: &mut Tenant) -> Result<Outcome, LogError> {
    if let AccountAction::OpenTenant { external_id } = &command.action {
        return Ok(open_tenant(&mut tenant.external_id, external_id));
    }
    let key = account::account_key(&command.tenant, &command.account_id);
    // What is no account id has no account, and no key that could be too long.
    let old: Option<Account> = match cloudigrade_schemas::arn::is_account_id(&command.account_id) {
        true => cx.get_json(ACCOUNTS, record.partition, key.as_bytes())?,
        false => None,
    };
    let owner = match wanted_name(&command.action) {
        Some(name) => cx.get(NAMES, record.partition, name_key(&command.tenant, name).as_bytes())?,
        None => None,
    };
    let surroundings = Surroundings {
        is_open: tenant.external_id.is_some(),
        accounts: tenant.accounts,
        name_is_taken: owner.is_some_and(|owner| owner != command.account_id.as_bytes()),
    };
    let account = match decide(old.as_ref(), &surroundings, command) {
        Ok(account) => account,
        Err(refusal) => return Ok(refusal.into()),
    };
    if old.as_ref() != Some(&account) {
        let (before, after) = (old.as_ref().and_then(live_name), live_name(&account));
        if before != after {
            before.iter().for_each(|name| cx.delete(NAMES, record.partition, name_key(&command.tenant, name).as_bytes()));
            let id = || account.account_id.as_bytes().to_vec();
            after.iter().for_each(|name| cx.put(NAMES, record.partition, name_key(&command.tenant, name).as_bytes(), id()));
        }
        tenant.accounts += u64::from(is_live(&account));
        tenant.accounts -= u64::from(old.as_ref().is_some_and(is_live));
        cx.put_json(ACCOUNTS, record.partition, key.as_bytes(), &account)?;
        cx.send_to(Topic::Accounts, record.partition, key.as_bytes(), Cx::encode(&account)?, record.entered_at);
    }
    Ok(Outcome::Accepted(Box::new(account)))
}

/// Whether its tenant sees it.
fn is_live(account: &Account) -> bool {
    account.state != cloudigrade_schemas::AccountState::Deleted
}

/// The name that an account holds against others.
fn live_name(account: &Account) -> Option<&str> {
    account.name.as_deref().filter(|_| is_live(account))
}

/// The name that a command asks for. One that no account can have is asked of nobody.
fn wanted_name(action: &AccountAction) -> Option<&str> {
    match action {
        AccountAction::Register { name, .. } | AccountAction::Rename { name } => {
            name.as_deref().filter(|name| account::is_account_name(name))
        }
        _ => None,
    }
}

fn name_key(tenant: &str, name: &str) -> String {
    format!("{tenant}/{name}")
}

fn order_key(tenant: &str, number: u64) -> String {
    format!("{tenant}/{number:020}")
}

fn forget_the_oldest(cx: &mut Cx<'_>, partition: u32, tenant: &str, commands: u64) -> Result<(), LogError> {
    let Some(oldest) = commands.checked_sub(ACCOUNT_OUTCOMES_KEPT) else { return Ok(()) };
    let order = order_key(tenant, oldest);
    if let Some(id) = cx.get(ORDER, partition, order.as_bytes())? {
        cx.delete(OUTCOMES, partition, &[tenant.as_bytes(), b"/", &id].concat());
        cx.delete(ORDER, partition, order.as_bytes());
    }
    Ok(())
}

fn bury(cx: &mut Cx<'_>, record: &Record, reason: DeadLetterReason, detail: String) -> Result<(), LogError> {
    cx.count(counted::DEAD_LETTERS, 1);
    let source = format!("{}/{}@{}", record.topic.name(), record.partition, record.offset);
    let letter = DeadLetter::new(source, Some(0), reason, detail, &record.value, record.entered_at);
    cx.send_json(Topic::DeadLetters, letter.id.as_bytes(), &letter, record.entered_at)
}
