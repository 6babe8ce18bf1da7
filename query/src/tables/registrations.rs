//! Reads from the table `accounts` who registered which account, and when it is not metered.

use std::collections::{BTreeMap, HashMap};
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

    /// Whose overrides hold for an account when nobody's in particular are asked for: those of the tenant that registered it first, of
    /// those that have not deleted it.
    pub(super) fn owners(&self) -> HashMap<Arc<str>, Arc<str>> {
        let mut first: BTreeMap<&Arc<str>, (i64, &Arc<str>)> = BTreeMap::new();
        for known in self.all.iter().filter(|known| !known.is_deleted) {
            let this = (known.created_at, &known.tenant);
            let holder = first.entry(&known.account).or_insert(this);
            *holder = this.min(*holder);
        }
        first.into_iter().map(|(account, (_, tenant))| (Arc::clone(account), Arc::clone(tenant))).collect()
    }
}
