//! The stored tables at one version, for any number of questions.

pub(crate) mod contract;
pub(crate) mod files;
mod metered;
pub(crate) mod providers;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::TimestampMicrosecondType;
use cloudigrade_pipeline::sink::delta_table;
use cloudigrade_schemas::table::{
    ACCOUNTS, COVERAGE, DEAD_LETTERS, GAPS, IMAGE_FACTS, INSTANCE_INTERVALS, INSTANCE_TYPES, POWER_EVENTS, Table,
};
use cloudigrade_schemas::{UtcSecond, instance_type};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::DeltaTable;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::sync::Mutex;
use url::Url;

use crate::error::QueryError;
use crate::fold::{Metered, Reach};
use crate::limits::FOOTER_CACHE_BYTES;
use contract::visible_schema;
use files::{FileSet, store_url};
use providers::Contract;

/// The stored tables below one folder.
///
/// Questions are answered from the version that the last [`Tables::refresh`] found, however long they take. Shared by reference.
#[derive(Debug)]
pub struct Tables {
    /// Held while the logs are read, so that refreshes follow each other.
    stored: Mutex<Stored>,
    current: RwLock<Arc<Snapshot>>,
    runtime: Arc<RuntimeEnv>,
}

/// The tables in the storage.
#[derive(Debug)]
struct Stored {
    intervals: StoredTable,
    events: StoredTable,
    coverage: StoredTable,
    dead_letters: StoredTable,
    accounts: StoredTable,
    gaps: StoredTable,
    image_facts: StoredTable,
}

impl Stored {
    fn all(&mut self) -> [&mut StoredTable; 7] {
        let Self { intervals, events, coverage, dead_letters, accounts, gaps, image_facts } = self;
        [intervals, events, coverage, dead_letters, accounts, gaps, image_facts]
    }
}

/// A table in the storage: its log, and whether it was loaded.
#[derive(Debug)]
struct StoredTable {
    table: Table,
    delta: DeltaTable,
    is_loaded: bool,
}

impl StoredTable {
    /// Reads what was added to the table's log; false if there is no table.
    async fn refresh(&mut self) -> Result<bool, QueryError> {
        if !self.is_loaded && !self.delta.verify_deltatable_existence().await.map_err(QueryError::storage)? {
            return Ok(false);
        }
        self.delta.update_incremental(None).await.map_err(QueryError::storage)?;
        self.is_loaded = true;
        Ok(true)
    }

    fn files(&self) -> Result<FileSet, QueryError> {
        FileSet::new(self.table, self.is_loaded.then_some(&self.delta))
    }

    /// Its files; the last ones, if its version is theirs.
    fn files_since(&self, last: &Arc<FileSet>) -> Result<Arc<FileSet>, QueryError> {
        let files = self.files()?;
        Ok(if files.version == last.version { Arc::clone(last) } else { Arc::new(files) })
    }
}

/// A table of SQL and its name.
type NamedTable = (String, Arc<dyn TableProvider>);

/// All tables at one version.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) intervals: Arc<FileSet>,
    pub(crate) events: Arc<FileSet>,
    dead_letters: Arc<FileSet>,
    accounts: Arc<FileSet>,
    gaps: Arc<FileSet>,
    image_facts: Arc<FileSet>,
    coverage_version: Option<u64>,
    coverage: Vec<RecordBatch>,
    /// What `coverage` says, for the folds.
    pub(crate) reach: Arc<Reach>,
    /// What `accounts` says, for the folds.
    pub(crate) metered: Arc<Metered>,
    instance_types: RecordBatch,
}

impl Tables {
    /// Opens the tables below a folder of the local file system. The folder need not exist: nothing was ingested then.
    pub async fn open_dir(folder: &Path) -> Result<Self, QueryError> {
        let folder = std::path::absolute(folder).map_err(QueryError::storage)?;
        let not_a_folder = || QueryError::Storage { message: format!("{} is not a path of a folder", folder.display()) };
        let url = Url::from_directory_path(&folder).map_err(|()| not_a_folder())?;
        Self::open(&url, Arc::new(LocalFileSystem::new())).await
    }

    /// Opens the tables below a URL, such as `s3://bucket/prefix/tables/`. `store` is the store of the whole bucket or file system.
    pub async fn open(root: &Url, store: Arc<dyn ObjectStore>) -> Result<Self, QueryError> {
        let mut root = root.clone();
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        let runtime = RuntimeEnvBuilder::new().with_metadata_cache_limit(FOOTER_CACHE_BYTES).build_arc().map_err(QueryError::storage)?;
        let open = |table: Table| {
            let url = root.join(&format!("{}/", table.name)).map_err(QueryError::storage)?;
            let delta = delta_table(&store, &url).map_err(QueryError::storage)?;
            runtime.register_object_store(store_url(&table)?.as_ref(), delta.object_store());
            Ok::<_, QueryError>(StoredTable { table, delta, is_loaded: false })
        };
        let stored = Stored {
            intervals: open(INSTANCE_INTERVALS)?,
            events: open(POWER_EVENTS)?,
            coverage: open(COVERAGE)?,
            dead_letters: open(DEAD_LETTERS)?,
            accounts: open(ACCOUNTS)?,
            gaps: open(GAPS)?,
            image_facts: open(IMAGE_FACTS)?,
        };
        let empty = Snapshot {
            intervals: Arc::new(stored.intervals.files()?),
            events: Arc::new(stored.events.files()?),
            dead_letters: Arc::new(stored.dead_letters.files()?),
            accounts: Arc::new(stored.accounts.files()?),
            gaps: Arc::new(stored.gaps.files()?),
            image_facts: Arc::new(stored.image_facts.files()?),
            coverage_version: None,
            coverage: Vec::new(),
            reach: Arc::default(),
            metered: Arc::default(),
            instance_types: instance_types()?,
        };
        let tables = Self { stored: Mutex::new(stored), current: RwLock::new(Arc::new(empty)), runtime };
        tables.refresh().await?;
        Ok(tables)
    }

    /// Looks for newer versions of the tables. Reads only what was added to their logs.
    pub async fn refresh(&self) -> Result<(), QueryError> {
        let mut stored = self.stored.lock().await;
        for table in stored.all() {
            table.refresh().await?;
        }
        let last = self.snapshot();
        let coverage = stored.coverage.files()?;
        let coverage_version = coverage.version;
        let (coverage, reach) = if coverage_version == last.coverage_version {
            (last.coverage.clone(), Arc::clone(&last.reach))
        } else {
            let rows = self.read_all(coverage).await?;
            let reach = Arc::new(read_reach(&rows)?);
            (rows, reach)
        };
        let accounts = stored.accounts.files_since(&last.accounts)?;
        let metered = if Arc::ptr_eq(&accounts, &last.accounts) {
            Arc::clone(&last.metered)
        } else {
            Arc::new(metered::read(&self.read_all(accounts.as_ref().clone()).await?)?)
        };
        let next = Snapshot {
            intervals: stored.intervals.files_since(&last.intervals)?,
            events: stored.events.files_since(&last.events)?,
            dead_letters: stored.dead_letters.files_since(&last.dead_letters)?,
            accounts,
            gaps: stored.gaps.files_since(&last.gaps)?,
            image_facts: stored.image_facts.files_since(&last.image_facts)?,
            coverage_version,
            coverage,
            reach,
            metered,
            instance_types: last.instance_types.clone(),
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    /// How far all of the data reaches: the earliest `complete_through` of any account and region. `None` where nothing was ingested.
    pub fn complete_through(&self) -> Option<UtcSecond> {
        self.snapshot().reach.overall().map(UtcSecond)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn runtime(&self) -> &RuntimeEnv {
        &self.runtime
    }

    async fn read_all(&self, files: FileSet) -> Result<Vec<RecordBatch>, QueryError> {
        let session = SessionContext::new_with_config_rt(SessionConfig::new(), Arc::clone(&self.runtime));
        let table = session.read_table(Arc::new(Contract::new(Arc::new(files))));
        let rows = async { table?.collect().await };
        rows.await.map_err(QueryError::storage)
    }
}

impl Snapshot {
    /// The tables of SQL by name.
    pub(crate) fn contract_tables(&self) -> datafusion::error::Result<Vec<NamedTable>> {
        let in_memory = |table: &Table, rows: &[RecordBatch]| -> datafusion::error::Result<NamedTable> {
            let rows = MemTable::try_new(visible_schema(table), vec![rows.to_vec()])?;
            Ok((table.name.to_owned(), Arc::new(rows)))
        };
        Ok(vec![
            stored(&self.intervals),
            stored(&self.events),
            stored(&self.dead_letters),
            stored(&self.accounts),
            stored(&self.image_facts),
            in_memory(&COVERAGE, &self.coverage)?,
            in_memory(&INSTANCE_TYPES, std::slice::from_ref(&self.instance_types))?,
        ])
    }

    /// The stored tables that SQL shows in the schema `sys`.
    pub(crate) fn system_tables(&self) -> Vec<NamedTable> {
        vec![stored(&self.gaps)]
    }
}

fn stored(files: &Arc<FileSet>) -> NamedTable {
    (files.table.name.to_owned(), Arc::new(Contract::new(Arc::clone(files))))
}

/// The reference data as rows.
fn instance_types() -> Result<RecordBatch, QueryError> {
    let texts = |text: fn(instance_type::InstanceType) -> &'static str| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(instance_type::all().map(text)))
    };
    let integers = |integer: fn(instance_type::InstanceType) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(instance_type::all().map(integer)))
    };
    let columns = vec![
        texts(|t| t.name),
        integers(|t| i64::from(t.vcpu)),
        // Memory sizes are far below 2^63 MiB.
        integers(|t| t.memory_mib as i64),
        texts(|t| t.architecture),
    ];
    RecordBatch::try_new(visible_schema(&INSTANCE_TYPES), columns).map_err(QueryError::storage)
}

fn read_reach(rows: &[RecordBatch]) -> Result<Reach, QueryError> {
    let mut reach = Reach::default();
    for batch in rows {
        let columns = (
            batch.column(0).as_string_view_opt(),
            batch.column(1).as_string_view_opt(),
            batch.column(2).as_primitive_opt::<TimestampMicrosecondType>(),
        );
        let (Some(accounts), Some(regions), Some(through)) = columns else {
            return Err(QueryError::Storage { message: "the table coverage has unexpected columns".into() });
        };
        for row in 0..batch.num_rows() {
            reach.insert(accounts.value(row), regions.value(row), through.value(row).div_euclid(1_000_000));
        }
    }
    Ok(reach)
}
