//! Trails that this program made in accounts that are disabled or deleted: they cost their owner a place among the few trails that AWS allows,
//! so they are removed, also when that did not work at first.

use std::sync::Arc;
use std::time::Duration;

use cloudigrade_pipeline::log::Store;
use cloudigrade_schemas::{Account, AccountState, UtcSecond};

use super::{Shared, is_active};
use crate::aws::memory::put;
use crate::limits::ACCOUNT_RETRY;
use crate::source::committer::Entry;

/// When the account changed whose trail was removed since, by account key.
pub(crate) const REMOVED: Store = Store("collect.trails");
/// How often a removal is tried before the next start of the program.
const TRIES_MAX: u32 = 6;

/// Whether an account's trail is to be removed: it is ours, the account is collected from no more, and no other tenant collects from it.
pub fn is_due(account: &Account, all: &[Account]) -> bool {
    let is_over = matches!(account.state, AccountState::Disabled | AccountState::Deleted);
    let is_ours = account.trail.as_ref().is_some_and(|trail| trail.ours && !trail.organization);
    is_over && is_ours && !all.iter().any(|other| other.account_id == account.account_id && keeps_trail(other))
}

fn keeps_trail(account: &Account) -> bool {
    is_active(account) || account.state == AccountState::Paused
}

/// Removes it, unless it was removed before.
pub(super) async fn remove(shared: Arc<Shared>, key: String) {
    for tries in 0..TRIES_MAX {
        match try_to_remove(&shared, &key).await {
            Ok(()) => return,
            Err(failure) => tracing::warn!(account = key, failure, "a trail that is no longer needed could not be removed"),
        }
        tokio::time::sleep(ACCOUNT_RETRY * (1 << tries).min(Duration::from_secs(3600).as_secs() as u32)).await;
    }
}

async fn try_to_remove(shared: &Shared, key: &str) -> Result<(), String> {
    let Some(account) = shared.account(key) else { return Ok(()) };
    let lane = shared.lane(&account.account_id);
    let _alone = lane.lock().await;
    // It may have been enabled while the lane was waited for.
    let all = Arc::clone(&shared.accounts.borrow());
    let Some(account) = all.iter().find(|account| account.to_key() == key).filter(|account| is_due(account, &all)) else { return Ok(()) };
    let removed: Option<UtcSecond> = shared.collector.memory.get(REMOVED, key, key).await.map_err(|error| error.to_string())?;
    if removed == Some(account.changed_at) {
        return Ok(());
    }
    let Some(external_id) = (shared.external_ids)(&account.tenant) else { return Ok(()) };
    let told = |problem: cloudigrade_schemas::account::AccountProblem| format!("{}; {}", problem.detail, problem.help);
    shared.collector.checker().remove_trail(account, &external_id).await.map_err(told)?;
    let state = vec![put(REMOVED, key, key, &account.changed_at).map_err(|error| error.to_string())?];
    shared.collector.committer.commit(Entry { state, ..Entry::default() }).await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn account(tenant: &str, state: AccountState, ours: bool) -> Account {
        Account { tenant: tenant.to_owned(), trail: Some(sample::trail(ours)), ..sample::account(state) }
    }

    #[test]
    fn only_a_trail_of_ours_that_nobody_needs_is_removed() {
        let is_due = |account: &Account| super::is_due(account, std::slice::from_ref(account));
        for state in [AccountState::Disabled, AccountState::Deleted] {
            assert!(is_due(&account("a", state, true)));
            assert!(!is_due(&account("a", state, false)));
        }
        for state in [AccountState::Pending, AccountState::Enabled, AccountState::Paused] {
            assert!(!is_due(&account("a", state, true)));
        }
    }

    #[test]
    fn a_trail_stays_while_another_tenant_collects_from_the_account() {
        let deleted = account("a", AccountState::Deleted, true);
        for (state, due) in [(AccountState::Enabled, false), (AccountState::Paused, false), (AccountState::Disabled, true)] {
            assert_eq!(super::is_due(&deleted, &[deleted.clone(), account("b", state, true)]), due);
        }
    }
}
