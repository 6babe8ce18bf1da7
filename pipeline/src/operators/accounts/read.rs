//! What `accounts` knows, for whoever asks: committed state, read.

use cloudigrade_schemas::Account;
use cloudigrade_schemas::account::account_key;
use cloudigrade_schemas::topic::partition_of;
use serde::de::DeserializeOwned;

use super::{ACCOUNTS, OUTCOMES, Outcome, TENANTS, Tenant, is_live};
use crate::log::{LogError, StateRead, Store};

/// What came of a tenant's command; `None` where it was not decided yet, or so long ago that it was forgotten.
///
/// # Errors
/// Those of [`StateRead::get`], and [`LogError::Storage`] for state that does not read.
pub fn outcome(state: &dyn StateRead, partitions: u32, tenant: &str, command: &str) -> Result<Option<Outcome>, LogError> {
    get(state, OUTCOMES, partitions, tenant, &format!("{tenant}/{command}"))
}

/// What the roles of a tenant ask for; `None` where the tenant is not known.
///
/// # Errors
/// As [`outcome`].
pub fn external_id(state: &dyn StateRead, partitions: u32, tenant: &str) -> Result<Option<String>, LogError> {
    Ok(get::<Tenant>(state, TENANTS, partitions, tenant, tenant)?.and_then(|tenant| tenant.external_id))
}

/// A tenant's account as it stands; `None` for one that it does not have, or has deleted.
///
/// # Errors
/// As [`outcome`].
pub fn account(state: &dyn StateRead, partitions: u32, tenant: &str, account_id: &str) -> Result<Option<Account>, LogError> {
    let account = get(state, ACCOUNTS, partitions, tenant, &account_key(tenant, account_id))?;
    Ok(account.filter(is_live))
}

/// All accounts of a tenant as they stand, ordered by account id, without those that it has deleted.
///
/// # Errors
/// As [`outcome`].
pub fn accounts_of(state: &dyn StateRead, partitions: u32, tenant: &str) -> Result<Vec<Account>, LogError> {
    let found = state.scan(ACCOUNTS, partition_of(tenant.as_bytes(), partitions), account_key(tenant, "").as_bytes())?;
    let accounts = found.iter().map(|(key, value)| decode(ACCOUNTS, key, value)).collect::<Result<Vec<Account>, _>>()?;
    Ok(accounts.into_iter().filter(is_live).collect())
}

/// The accounts of all tenants as they stand, with those that were deleted, ordered by tenant and account id.
///
/// # Errors
/// As [`outcome`].
pub fn all_accounts(state: &dyn StateRead, partitions: u32) -> Result<Vec<Account>, LogError> {
    let mut accounts: Vec<Account> = Vec::new();
    for partition in 0..partitions {
        for (key, value) in state.scan(ACCOUNTS, partition, b"")? {
            accounts.push(decode(ACCOUNTS, &key, &value)?);
        }
    }
    accounts.sort_by(|a, b| (&a.tenant, &a.account_id).cmp(&(&b.tenant, &b.account_id)));
    Ok(accounts)
}

fn get<T: DeserializeOwned>(state: &dyn StateRead, store: Store, partitions: u32, tenant: &str, key: &str) -> Result<Option<T>, LogError> {
    let value = state.get(store, partition_of(tenant.as_bytes(), partitions), key.as_bytes())?;
    value.map(|value| decode(store, key.as_bytes(), &value)).transpose()
}

fn decode<T: DeserializeOwned>(store: Store, key: &[u8], value: &[u8]) -> Result<T, LogError> {
    serde_json::from_slice(value).map_err(|error| {
        let cause = format!("{}/{}: {error}", store.0, String::from_utf8_lossy(key));
        super::super::binary::damaged("reading what is known of accounts", &cause)
    })
}
