//! Registered accounts, with the numbers that the old APIs know them by.

use std::collections::HashMap;

use cloudigrade_schemas::account::{Account, AccountState};

use super::rows::only_one;
use crate::ids;
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::viewer::Viewer;

/// A registered account.
#[derive(Clone, Debug)]
pub(in crate::rest) struct Registered {
    pub(in crate::rest) id: i64,
    /// The tenant's first user; `None` where the tenant has no users.
    pub(in crate::rest) user_id: Option<i64>,
    pub(in crate::rest) account: Account,
}

/// The accounts that a viewer sees, in the order in which they were registered.
pub(in crate::rest) struct Accounts {
    pub(in crate::rest) all: Vec<Registered>,
}

impl Accounts {
    /// As the log has them now.
    pub(in crate::rest) async fn of(rest: &Rest, viewer: &Viewer) -> Result<Self, Failure> {
        let tenant = match viewer {
            Viewer::Everything => None,
            Viewer::Tenant(tenant) => Some(&**tenant),
        };
        let backend = rest.backend()?;
        let mut users = backend.users(tenant);
        users.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        let mut first_users: HashMap<String, i64> = HashMap::new();
        for user in users {
            first_users.entry(user.tenant).or_insert_with(|| ids::user_id(&user.name));
        }
        let mut accounts = backend.accounts(tenant).await?;
        accounts.retain(|account| account.state != AccountState::Deleted);
        accounts.sort_by(|a, b| (a.created_at, &a.tenant, &a.account_id).cmp(&(b.created_at, &b.tenant, &b.account_id)));
        let registered = |account: Account| Registered {
            id: ids::account_id(&account.tenant, &account.account_id),
            user_id: first_users.get(&account.tenant).copied(),
            account,
        };
        Ok(Self { all: accounts.into_iter().map(registered).collect() })
    }

    /// The one with an id.
    ///
    /// # Errors
    /// 404 where there is none, 409 where several share it.
    pub(in crate::rest) fn by_id(self, id: i64) -> Result<Registered, Failure> {
        let found = self.all.into_iter().filter(|known| known.id == id).collect();
        only_one(found, |known: &Registered| known.account.to_key())
    }

    /// The first registration of an AWS account: its other registrations are of tenants that came later.
    pub(in crate::rest) fn first_of(&self, account_id: &str) -> Option<&Registered> {
        self.all.iter().find(|known| known.account.account_id == account_id)
    }

    /// Their AWS accounts, in order, each once.
    pub(in crate::rest) fn account_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.all.iter().map(|known| known.account.account_id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}
