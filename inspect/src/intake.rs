//! From a command to an inspection that can begin: who can be asked for the image's disks.

use std::collections::HashMap;

use cloudigrade_schemas::account::AccountState;
use cloudigrade_schemas::inspection::{Inspection, InspectionCommand, InspectionState, InspectionWay, Made, Reader};
use cloudigrade_schemas::{Account, UtcSecond};

use crate::advance::after;
use crate::limits::INSPECTION_ACCOUNTS_MAX;
use crate::settings::Settings;

/// The inspection that a command begins. It waits: what failed is not tried again at once, unless somebody asks for it.
pub fn accept(command: InspectionCommand, settings: &Settings, now: UtcSecond) -> Inspection {
    let created_at = now.max(command.after);
    let is_again = command.attempt > 1 && command.by.is_none();
    let accounts = accounts_of(&command);
    Inspection {
        command_id: command.command_id,
        image_id: command.image_id,
        region: command.region,
        attempt: command.attempt,
        state: InspectionState::Waiting,
        way: InspectionWay::default(),
        agreed_by: command.by.clone(),
        asked_by: command.by,
        aborted_by: None,
        reader: None,
        accounts,
        tenants: Vec::new(),
        disk: None,
        made: Made::default(),
        scanner: None,
        estimated_cost_micro_usd: None,
        tries: 0,
        missing: 0,
        problem: None,
        due_at: if is_again { after(created_at, settings.retry_after) } else { created_at },
        deadline_at: None,
        end: None,
        created_at,
        state_since: created_at,
        changed_at: created_at,
    }
}

/// The accounts that own or use the image of a command, its owner first.
fn accounts_of(command: &InspectionCommand) -> Vec<String> {
    let owner = command.metadata.as_ref().and_then(|metadata| metadata.owner_id.as_ref());
    let mut accounts: Vec<String> = Vec::new();
    for account in owner.into_iter().chain(command.used_by.iter().map(|used| &used.account_id)) {
        if !account.is_empty() && !accounts.contains(account) && accounts.len() < INSPECTION_ACCOUNTS_MAX {
            accounts.push(account.clone());
        }
    }
    accounts
}

/// What a later word about the accounts of an image makes of its inspection; `None` where it is nothing new.
pub fn hear_of_accounts(inspection: &Inspection, command: &InspectionCommand, now: UtcSecond) -> Option<Inspection> {
    let accounts = accounts_of(command);
    (accounts != inspection.accounts).then(|| Inspection { accounts, changed_at: inspection.changed_at.max(now), ..inspection.clone() })
}

/// The registered accounts, by their ids: several tenants may have one.
pub struct Registered<'a>(HashMap<&'a str, Vec<&'a Account>>);

impl<'a> Registered<'a> {
    /// Those that are not deleted.
    pub fn of(accounts: &'a [Account]) -> Self {
        let mut by_id: HashMap<&str, Vec<&Account>> = HashMap::new();
        for account in accounts.iter().filter(|account| account.state != AccountState::Deleted) {
            by_id.entry(&account.account_id).or_default().push(account);
        }
        by_id.values_mut().for_each(|accounts| accounts.sort_by_key(|account| &account.tenant));
        Self(by_id)
    }
}

/// Finds the account to ask, of those that own or use the image, and all tenants that they belong to. The owner comes first: its snapshot needs no
/// copy. After an attempt that failed it is another one's turn.
pub fn find_reader(inspection: &mut Inspection, registered: &Registered<'_>) -> bool {
    let of_image = inspection.accounts.iter().filter_map(|id| registered.0.get(id.as_str()));
    let mut known: Vec<&Account> = of_image.flatten().copied().collect();
    let mut tenants: Vec<String> = known.iter().map(|account| account.tenant.clone()).collect();
    tenants.sort();
    tenants.dedup();
    known.retain(|account| account.state == AccountState::Enabled);
    inspection.tenants = tenants;
    let turn = inspection.attempt.saturating_sub(1) as usize % known.len().max(1);
    inspection.reader = known.get(turn).map(|account| Reader {
        account_id: account.account_id.clone(),
        tenant: account.tenant.clone(),
        role_arn: account.arn.clone(),
    });
    inspection.reader.is_some()
}
