//! The tables in the storage: their logs, and the versions in them.

use std::sync::Arc;

use cloudigrade_pipeline::sink::delta_table;
use cloudigrade_schemas::table::{ACCOUNTS, COVERAGE, DEAD_LETTERS, GAPS, IMAGE_FACTS, IMAGES, INSTANCE_INTERVALS, POWER_EVENTS, Table};
use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake_core::DeltaTable;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;
use url::Url;

use super::as_of::AsOfError;
use super::files::{FileSet, store_url};
use crate::error::QueryError;

/// The tables that snapshots are made of, in the order of [`Versions`].
pub(super) const TABLES: [Table; 8] = [INSTANCE_INTERVALS, POWER_EVENTS, COVERAGE, DEAD_LETTERS, ACCOUNTS, GAPS, IMAGE_FACTS, IMAGES];

/// Where each table is in [`TABLES`].
pub(super) const INTERVALS_AT: usize = 0;
pub(super) const EVENTS_AT: usize = 1;
pub(super) const COVERAGE_AT: usize = 2;
pub(super) const DEAD_LETTERS_AT: usize = 3;
pub(super) const ACCOUNTS_AT: usize = 4;
pub(super) const GAPS_AT: usize = 5;
pub(super) const IMAGE_FACTS_AT: usize = 6;
pub(super) const IMAGES_AT: usize = 7;

/// The version of each of [`TABLES`]; `None` where there is no table.
pub(super) type Versions = [Option<u64>; TABLES.len()];

/// The files of each of [`TABLES`] at one version.
pub(super) type FileSets = [Arc<FileSet>; TABLES.len()];

/// Where the tables are.
#[derive(Clone, Debug)]
pub(super) struct Place {
    root: Url,
    store: Arc<dyn ObjectStore>,
}

impl Place {
    pub(super) fn new(root: &Url, store: Arc<dyn ObjectStore>) -> Self {
        let mut root = root.clone();
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        Self { root, store }
    }

    /// A table's log, not loaded.
    fn open(&self, table: Table) -> Result<DeltaTable, QueryError> {
        let url = self.root.join(&format!("{}/", table.name)).map_err(QueryError::storage)?;
        delta_table(&self.store, &url).map_err(QueryError::storage)
    }

    /// The files of a table at an earlier version.
    pub(super) async fn files_at(&self, table: Table, version: Option<u64>) -> Result<FileSet, QueryError> {
        let Some(version) = version else { return FileSet::new(table, None) };
        let mut delta = self.open(table)?;
        let gone = |error: deltalake_core::DeltaTableError| {
            tracing::info!(table = table.name, version, %error, "a version of a table cannot be read any more");
            AsOfError::Gone { table: table.name }
        };
        delta.load_version(version).await.map_err(gone)?;
        FileSet::new(table, Some(&delta))
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
    /// Reads what was added to the table's log.
    async fn refresh(&mut self) -> Result<(), QueryError> {
        if !self.is_loaded && !self.delta.verify_deltatable_existence().await.map_err(QueryError::storage)? {
            return Ok(());
        }
        self.delta.update_incremental(None).await.map_err(QueryError::storage)?;
        self.is_loaded = true;
        Ok(())
    }

    fn files(&self) -> Result<FileSet, QueryError> {
        FileSet::new(self.table, self.is_loaded.then_some(&self.delta))
    }

    /// Its files; the last ones, if its version is theirs.
    fn files_since(&self, last: &Arc<FileSet>) -> Result<Arc<FileSet>, QueryError> {
        let version = if self.is_loaded { self.delta.version() } else { None };
        Ok(if version == last.version { Arc::clone(last) } else { Arc::new(self.files()?) })
    }

    fn log(&self) -> Log {
        let newest = if self.is_loaded { self.delta.version() } else { None };
        Log { table: self.table, store: self.delta.object_store(), newest }
    }
}

/// A table's log, up to a version.
pub(super) struct Log {
    table: Table,
    store: Arc<dyn ObjectStore>,
    /// `None` where there is no table.
    newest: Option<u64>,
}

impl Log {
    /// The latest version that was committed by a moment, in milliseconds since 1970; `None` where the table came later.
    ///
    /// A commit's moment is the one that it tells itself, else that of its file.
    pub(super) async fn version_by(&self, millis: i64) -> Result<Option<u64>, QueryError> {
        let Some(newest) = self.newest else { return Ok(None) };
        if self.committed_at(newest).await?.is_some_and(|at| at <= millis) {
            return Ok(Some(newest));
        }
        let Some(oldest) = self.oldest().await? else { return Err(AsOfError::Gone { table: self.table.name }.into()) };
        // All below `low` are not later than the moment, none from `high` on.
        let (mut low, mut high) = (oldest, newest);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = self.committed_at(middle).await?.ok_or(AsOfError::Gone { table: self.table.name })?;
            if at <= millis { low = middle + 1 } else { high = middle }
        }
        match low.checked_sub(1) {
            None => Ok(None),
            Some(version) if version >= oldest => Ok(Some(version)),
            // What was committed before the oldest entry of the log can no longer be told.
            Some(_) => Err(AsOfError::Gone { table: self.table.name }.into()),
        }
    }

    /// The oldest version whose entry the log still has.
    async fn oldest(&self) -> Result<Option<u64>, QueryError> {
        let mut entries = self.store.list(Some(&Path::from("_delta_log")));
        let mut oldest: Option<u64> = None;
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(QueryError::storage)?;
            let version = entry.location.filename().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            oldest = oldest.into_iter().chain(version).min();
        }
        Ok(oldest)
    }

    /// When a version was committed, in milliseconds since 1970; `None` if its entry is gone.
    async fn committed_at(&self, version: u64) -> Result<Option<i64>, QueryError> {
        let entry = self.store.get(&Path::from(format!("_delta_log/{version:020}.json"))).await;
        let entry = match entry {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            entry => entry.map_err(QueryError::storage)?,
        };
        let written_at = entry.meta.last_modified.timestamp_millis();
        let text = entry.bytes().await.map_err(QueryError::storage)?;
        let told = text.split(|byte| *byte == b'\n').find_map(|line| serde_json::from_slice::<Entry>(line).ok()?.commit_info?.timestamp);
        Ok(Some(told.unwrap_or(written_at)))
    }
}

/// What a line of a log's entry tells of the commit.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "commitInfo")]
    commit_info: Option<CommitInfo>,
}

#[derive(Deserialize)]
struct CommitInfo {
    timestamp: Option<i64>,
}

/// The tables in the storage, as they were last looked at.
#[derive(Debug)]
pub(super) struct Stored {
    tables: Vec<StoredTable>,
}

impl Stored {
    /// Opens the logs, without reading them, and makes their files known to a runtime.
    pub(super) fn open(place: &Place, runtime: &RuntimeEnv) -> Result<Self, QueryError> {
        let open = |table: Table| {
            let delta = place.open(table)?;
            runtime.register_object_store(store_url(&table)?.as_ref(), delta.object_store());
            Ok(StoredTable { table, delta, is_loaded: false })
        };
        Ok(Self { tables: TABLES.into_iter().map(open).collect::<Result<_, QueryError>>()? })
    }

    /// Reads what was added to the logs.
    pub(super) async fn refresh(&mut self) -> Result<(), QueryError> {
        for table in &mut self.tables {
            table.refresh().await?;
        }
        Ok(())
    }

    /// The files as of the last refresh; the last ones, where nothing has changed.
    pub(super) fn files_since(&self, last: &FileSets) -> Result<FileSets, QueryError> {
        let mut files = last.clone();
        for (files, table) in files.iter_mut().zip(&self.tables) {
            *files = table.files_since(files)?;
        }
        Ok(files)
    }

    /// The logs of [`TABLES`], in their order, as of the last refresh.
    pub(super) fn logs(&self) -> Vec<Log> {
        self.tables.iter().map(StoredTable::log).collect()
    }
}

/// The versions that were committed by a moment, in milliseconds since 1970.
pub(super) async fn versions_by(logs: &[Log], millis: i64) -> Result<Versions, QueryError> {
    let mut versions = Versions::default();
    for (version, log) in versions.iter_mut().zip(logs) {
        *version = log.version_by(millis).await?;
    }
    Ok(versions)
}

/// Tables in which nothing is.
pub(super) fn no_files() -> Result<FileSets, QueryError> {
    let mut sets = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        sets.push(Arc::new(FileSet::new(table, None)?));
    }
    sets.try_into().map_err(|_| QueryError::Storage { message: "the tables cannot be listed".into() })
}
