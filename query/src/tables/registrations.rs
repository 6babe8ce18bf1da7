//! Reads from the table `accounts` who registered which account, and when it is not metered.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use cloudigrade_schemas::account::{AccountState, Unmetered};

use crate::error::QueryError;
use crate::fold::Metered;
use crate::viewer::Viewer;

/// A tenant's registration of an account.
#[derive(Clone, Debug)]
struct Registration {
    tenant: Arc<str>,
    account: Arc<str>,
    is_deleted: bool,
    /// In microseconds since 1970.
    created_at: i64,
    unmetered: Vec<Unmetered>,
}

/// The tenants that have each account.
#[derive(Debug, Default)]
pub(crate) struct Holders(HashMap<Arc<str>, Vec<Arc<str>>>);

impl Holders {
    fn of(&self, account: &str) -> &[Arc<str>] {
        self.0.get(account).map_or(&[], Vec::as_slice)
    }

    /// Whose word holds for an account when nobody's in particular is asked for: that of the tenant that registered it first.
    pub(super) fn first(&self, account: &str) -> Option<&str> {
        self.of(account).first().map(AsRef::as_ref)
    }

    /// Whether that tenant has another account too; of an account that nobody has, whether nobody has the other one either.
    pub(super) fn share(&self, account: &str, other: &str) -> bool {
        match self.first(account) {
            Some(tenant) => self.of(other).iter().any(|holder| **holder == *tenant),
            None => self.of(other).is_empty(),
        }
    }
}

/// All registrations.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    all: Vec<Registration>,
}

impl Registrations {
    /// Reads the rows of the table.
    pub(super) fn read(rows: &[RecordBatch]) -> Result<Self, QueryError> {
        let mut all = Vec::new();
        for batch in rows {
            let column = |name: &str| batch.column_by_name(name);
            let texts = |name: &str| column(name).and_then(|column| column.as_string_view_opt());
            let created_at = column("created_at").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
            let (Some(tenants), Some(accounts), Some(states), Some(unmetered), Some(created_at)) =
                (texts("tenant"), texts("account_id"), texts("state"), texts("unmetered"), created_at)
            else {
                return Err(QueryError::Storage { message: "the table accounts has unexpected columns".into() });
            };
            for row in 0..batch.num_rows() {
                let account = accounts.value(row);
                let unreadable = |error| QueryError::Storage { message: format!("the table accounts: unmetered of {account}: {error}") };
                all.push(Registration {
                    tenant: tenants.value(row).into(),
                    account: account.into(),
                    is_deleted: states.value(row) == AccountState::Deleted.word(),
                    created_at: created_at.value(row),
                    unmetered: serde_json::from_str(unmetered.value(row)).map_err(unreadable)?,
                });
            }
        }
        Ok(Self { all })
    }

    /// The AWS accounts that a viewer sees, in order; `None` for all.
    pub(super) fn accounts_of(&self, viewer: &Viewer) -> Option<Vec<Arc<str>>> {
        let Viewer::Tenant(tenant) = viewer else { return None };
        let own = self.all.iter().filter(|known| known.tenant == *tenant && !known.is_deleted);
        let mut accounts: Vec<_> = own.map(|known| Arc::clone(&known.account)).collect();
        accounts.sort_unstable();
        accounts.dedup();
        Some(accounts)
    }

    /// When accounts are not metered: for a tenant, or for nobody.
    pub(super) fn metered_for(&self, viewer: &Viewer) -> Metered {
        let counts = |known: &&Registration| match viewer {
            Viewer::Everything => true,
            Viewer::Tenant(tenant) => known.tenant == *tenant,
        };
        Metered::of(self.all.iter().filter(counts).map(|known| (&*known.account, known.unmetered.clone())))
    }

    /// The tenants that have each account, in the order in which they registered it; those that deleted it left out.
    pub(super) fn holders(&self) -> Holders {
        let mut known: Vec<_> = self.all.iter().filter(|known| !known.is_deleted).collect();
        known.sort_by_key(|known| (known.created_at, &known.tenant));
        let mut holders: HashMap<Arc<str>, Vec<Arc<str>>> = HashMap::new();
        for Registration { account, tenant, .. } in known {
            holders.entry(Arc::clone(account)).or_default().push(Arc::clone(tenant));
        }
        Holders(holders)
    }
}
