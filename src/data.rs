//! The data folder: the embedded log, and the tables beside it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::sink::{SinkError, TableRoot};
use cloudigrade_schemas::UtcSecond;

use crate::cli::Global;
use crate::config::{self, Config};
use crate::exit::{Code, error};

/// Where everything is.
#[derive(Clone, Debug)]
pub struct DataFolder {
    folder: PathBuf,
    tables: Option<String>,
    history: Duration,
}

impl DataFolder {
    /// The folder that the command line names, with tables as the configuration says.
    pub fn of(global: &Global, config: &Config) -> Self {
        Self { folder: global.data.clone(), tables: global.tables.clone(), history: config.tables.history }
    }

    /// A folder with everything in it.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, tables: None, history: config::Tables::default().history }
    }

    /// The folder itself.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Brings the tables up to date with the log.
    pub async fn catch_up(&self, log: &EmbeddedLog) -> anyhow::Result<()> {
        let root = self.table_root()?;
        cloudigrade_pipeline::sink::Tables::open(&root, log.partitions()).await?.catch_up(log).await?;
        Ok(())
    }

    /// Opens the log, or makes it. No other process can until it is dropped.
    pub fn open_log(&self) -> anyhow::Result<EmbeddedLog> {
        Ok(EmbeddedLog::open(&self.folder, EmbeddedOptions::default())?)
    }

    /// Whether there is a log.
    pub fn has_log(&self) -> bool {
        self.folder.join(cloudigrade_pipeline::embedded::open::FILE_NAME).is_file()
    }

    /// Where the tables are, or would be.
    pub fn tables_place(&self) -> String {
        self.tables.clone().unwrap_or_else(|| self.folder.join("tables").display().to_string())
    }

    /// Where the tables are, made if absent.
    pub fn table_root(&self) -> Result<TableRoot, SinkError> {
        let root = match &self.tables {
            Some(place) if place.contains("://") => TableRoot::url(place),
            Some(folder) => TableRoot::folder(folder.as_ref()),
            None => TableRoot::folder(&self.folder.join("tables")),
        };
        Ok(root?.with_history(self.history))
    }

    /// The tables for reading.
    ///
    /// # Errors
    /// When nothing was ingested yet, which a report must not show as "no usage".
    pub async fn open_tables(&self) -> anyhow::Result<cloudigrade_query::Tables> {
        let local = match &self.tables {
            Some(place) if place.contains("://") => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None => Some(self.folder.join("tables")),
        };
        if let Some(folder) = local.filter(|folder| !folder.is_dir()) {
            let message = format!(
                "{}: no data yet; `cloudigrade ingest PLACE` reads CloudTrail files, `cloudigrade demo` makes some",
                folder.display()
            );
            return Err(error(Code::NoInput, message));
        }
        let root = self.table_root()?;
        Ok(cloudigrade_query::Tables::open(root.location(), root.store().clone()).await?)
    }
}

/// The wall clock, which says up to when running instances count.
pub fn now() -> UtcSecond {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcSecond(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
