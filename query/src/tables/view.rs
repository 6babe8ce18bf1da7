//! A snapshot cut to a viewer: the one place where it is decided who sees what.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use cloudigrade_schemas::account::AccountState;
use cloudigrade_schemas::table::{COVERAGE, DEAD_LETTERS, IMAGE_FACTS, IMAGES, INSTANCE_INTERVALS, INSTANCE_TYPES, Table};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, col, lit};
use datafusion::physical_plan::execute_stream;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use tokio::sync::OnceCell;

use super::catalogue::{Labels, Whose};
use super::contract::visible_schema;
use super::images::{ImageFacts, Images};
use super::providers::{Contract, PeriodPieces, Seen, veiled};
use super::snapshot::Snapshot;
use super::stored::{ACCOUNTS_AT, DEAD_LETTERS_AT, EVENTS_AT, GAPS_AT, INTERVALS_AT};
use crate::fold::{Metered, Reach};
use crate::limits::VIEWS_KEPT_MAX;
use crate::period::Period;
use crate::viewer::Viewer;

/// A table of SQL and its name.
type NamedTable = (String, Arc<dyn TableProvider>);

/// A snapshot as one viewer sees it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    parts: Arc<Parts>,
}

/// What is worked out once for a viewer of a snapshot.
#[derive(Debug)]
pub(super) struct Parts {
    viewer: Viewer,
    /// The AWS accounts that are seen, in order; `None` for all.
    accounts: Option<Vec<Arc<str>>>,
    coverage: Vec<RecordBatch>,
    reach: Arc<Reach>,
    metered: Arc<Metered>,
    labels: Arc<Labels>,
    used_images: OnceCell<Arc<UsedImages>>,
}

/// Images that instances were launched from.
pub(super) type UsedImages = HashMap<Box<str>, FirstUse>;

/// When and where an image was first used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FirstUse {
    /// In microseconds since 1970.
    pub(super) at: i64,
    pub(super) region: Box<str>,
}

impl View {
    /// Cuts a snapshot to a viewer.
    pub(crate) fn new(snapshot: &Arc<Snapshot>, viewer: &Viewer) -> Result<Self> {
        let mut views = snapshot.views.lock().unwrap_or_else(PoisonError::into_inner);
        let known = views.iter().position(|parts| parts.viewer == *viewer);
        let parts = match known {
            Some(at) => views.remove(at),
            None => Arc::new(Parts::new(snapshot, viewer)?),
        };
        // The one that was looked for longest ago is given up.
        if views.len() >= VIEWS_KEPT_MAX {
            views.remove(0);
        }
        views.push(Arc::clone(&parts));
        drop(views);
        Ok(Self { snapshot: Arc::clone(snapshot), parts })
    }

    /// How far the data reaches that is seen.
    pub(crate) fn reach(&self) -> &Arc<Reach> {
        &self.parts.reach
    }

    /// When the accounts that are seen are not metered.
    pub(crate) fn metered(&self) -> &Arc<Metered> {
        &self.parts.metered
    }

    /// What images count as.
    pub(crate) fn labels(&self) -> &Arc<Labels> {
        &self.parts.labels
    }

    /// Whose view it is, if it is a tenant's.
    pub(super) fn tenant(&self) -> Option<&str> {
        match &self.parts.viewer {
            Viewer::Everything => None,
            Viewer::Tenant(tenant) => Some(tenant),
        }
    }

    /// Whether the account with an id is seen.
    pub(super) fn sees(&self, account: &str) -> bool {
        self.parts.accounts.as_ref().is_none_or(|accounts| accounts.binary_search_by(|known| (**known).cmp(account)).is_ok())
    }

    /// The pieces of runs that may lie in a period.
    pub(crate) fn pieces(&self, period: &Period) -> PeriodPieces {
        PeriodPieces::new(Arc::clone(&self.snapshot.files[INTERVALS_AT]), period, self.own_accounts())
    }

    /// The tables of SQL by name.
    pub(crate) fn contract_tables(&self) -> Result<Vec<NamedTable>> {
        let in_memory = |table: &Table, rows: &[RecordBatch]| -> Result<NamedTable> {
            let rows = MemTable::try_new(visible_schema(table), vec![rows.to_vec()])?;
            Ok((table.name.to_owned(), Arc::new(rows)))
        };
        let own_registrations = match self.tenant() {
            None => Seen::All,
            Some(tenant) => Seen::Rows(col("tenant").eq(text(tenant)).and(col("state").not_eq(text(AccountState::Deleted.word())))),
        };
        let dead_letters = match self.tenant() {
            None => self.stored(DEAD_LETTERS_AT, Seen::All),
            // A path is no evidence of whose it is.
            Some(_) => in_memory(&DEAD_LETTERS, &[RecordBatch::new_empty(visible_schema(&DEAD_LETTERS))])?,
        };
        Ok(vec![
            self.stored(INTERVALS_AT, self.own_accounts()),
            self.stored(EVENTS_AT, self.own_accounts()),
            dead_letters,
            self.stored(ACCOUNTS_AT, own_registrations),
            (IMAGE_FACTS.name.to_owned(), Arc::new(ImageFacts::new(self.clone()))),
            (IMAGES.name.to_owned(), Arc::new(Images::new(self.clone()))),
            in_memory(&COVERAGE, &self.parts.coverage)?,
            in_memory(&INSTANCE_TYPES, std::slice::from_ref(&self.snapshot.instance_types))?,
        ])
    }

    /// The stored tables that SQL shows in the schema `sys`.
    pub(crate) fn system_tables(&self) -> Vec<NamedTable> {
        vec![self.stored(GAPS_AT, self.own_accounts())]
    }

    fn stored(&self, at: usize, seen: Seen) -> NamedTable {
        let files = &self.snapshot.files[at];
        (files.table.name.to_owned(), Arc::new(Contract::new(Arc::clone(files), seen)))
    }

    /// Which rows of a table with a column `account_id` are seen.
    ///
    /// The bounds say nothing new, but row groups are left out by them however many accounts there are.
    fn own_accounts(&self) -> Seen {
        let Some(accounts) = &self.parts.accounts else { return Seen::All };
        let (Some(first), Some(last)) = (accounts.first(), accounts.last()) else { return Seen::Nothing };
        let list = accounts.iter().map(|account| text(account)).collect();
        let bounds = col("account_id").gt_eq(text(first)).and(col("account_id").lt_eq(text(last)));
        Seen::Rows(bounds.and(col("account_id").in_list(list, false)))
    }

    /// The images that instances in these accounts were launched from. Computed once.
    pub(super) async fn used_images(&self, state: &dyn Session) -> Result<Arc<UsedImages>> {
        let used = self.parts.used_images.get_or_try_init(|| self.find_used_images(state)).await?;
        Ok(Arc::clone(used))
    }

    async fn find_used_images(&self, state: &dyn Session) -> Result<Arc<UsedImages>> {
        let files = &self.snapshot.files[INTERVALS_AT];
        let columns = ["image_id", "started_at", "region"];
        let projection = columns.iter().map(|name| files.schema.index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let scan = veiled(files, state, |_| true, &projection, &self.own_accounts(), None, None, &[]).await?;
        let mut rows = execute_stream(scan, state.task_ctx())?;
        let mut used = UsedImages::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let (images, regions) = (batch.column(0).as_string_view_opt(), batch.column(2).as_string_view_opt());
            let starts = batch.column(1).as_primitive_opt::<TimestampMicrosecondType>();
            let (Some(images), Some(starts), Some(regions)) = (images, starts, regions) else {
                return internal_err!("{} has unexpected columns", INSTANCE_INTERVALS.name);
            };
            for row in (0..batch.num_rows()).filter(|row| images.is_valid(*row)) {
                let first = || FirstUse { at: starts.value(row), region: regions.value(row).into() };
                match used.get_mut(images.value(row)) {
                    None => _ = used.insert(images.value(row).into(), first()),
                    Some(known) if (starts.value(row), regions.value(row)) < (known.at, &*known.region) => *known = first(),
                    Some(_) => {}
                }
            }
        }
        Ok(Arc::new(used))
    }
}

impl Parts {
    fn new(snapshot: &Snapshot, viewer: &Viewer) -> Result<Self> {
        let accounts = snapshot.registrations.accounts_of(viewer);
        let (reach, coverage) = match &accounts {
            None => (Arc::clone(&snapshot.reach), snapshot.coverage.clone()),
            Some(own) => (Arc::new(snapshot.reach.only(own)), only_accounts(&snapshot.coverage, own)?),
        };
        let whose = match viewer {
            Viewer::Everything => Whose::Holder(snapshot.registrations.holders()),
            Viewer::Tenant(tenant) => {
                let accounts = accounts.iter().flatten().map(Arc::clone).collect();
                Whose::Tenant { tenant: Arc::clone(tenant), accounts }
            }
        };
        Ok(Self {
            viewer: viewer.clone(),
            accounts,
            coverage,
            reach,
            metered: Arc::new(snapshot.registrations.metered_for(viewer)),
            labels: Arc::new(Labels { catalogue: Arc::clone(&snapshot.catalogue), whose }),
            used_images: OnceCell::new(),
        })
    }
}

/// The rows of `coverage` that are of some accounts.
fn only_accounts(rows: &[RecordBatch], own: &[Arc<str>]) -> Result<Vec<RecordBatch>> {
    let keep = |batch: &RecordBatch| {
        let Some(accounts) = batch.column(0).as_string_view_opt() else { return internal_err!("{} has unexpected columns", COVERAGE.name) };
        let is_own: BooleanArray =
            accounts.iter().map(|account| account.map(|account| own.binary_search_by(|known| (**known).cmp(account)).is_ok())).collect();
        let kept = filter_record_batch(batch, &is_own)?;
        // What is filtered keeps the texts of all; how large they are shows in plans.
        let columns = kept.columns().iter().map(|column| match column.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()) as ArrayRef,
            None => Arc::clone(column),
        });
        Ok(RecordBatch::try_new(kept.schema(), columns.collect())?)
    };
    rows.iter().map(keep).collect()
}

fn text(text: &str) -> Expr {
    lit(ScalarValue::Utf8View(Some(text.to_owned())))
}
