//! From a command to an inspection that can begin: who can be asked for the image's disks.

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
    let owner = command.metadata.as_ref().and_then(|metadata| metadata.owner_id.clone());
    let mut accounts: Vec<String> = Vec::new();
    for account in owner.into_iter().chain(command.used_by.into_iter().map(|used| used.account_id)) {
        if !account.is_empty() && !accounts.contains(&account) && accounts.len() < INSPECTION_ACCOUNTS_MAX {
            accounts.push(account);
        }
    }
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

/// Finds the account to ask, of those that own or use the image, and all tenants that they belong to. The owner comes first: its snapshot needs no
/// copy. After an attempt that failed it is another one's turn.
pub fn find_reader(inspection: &mut Inspection, accounts: &[Account]) -> bool {
    let of_image = |account: &&Account| account.state != AccountState::Deleted && inspection.accounts.contains(&account.account_id);
    let mut known: Vec<&Account> = accounts.iter().filter(of_image).collect();
    known.sort_by_key(|account| (inspection.accounts.iter().position(|id| *id == account.account_id), &account.tenant));
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
