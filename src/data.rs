//! The data folder: the embedded log, and the tables beside it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cloudigrade_connectors::doctor::Finding;
use cloudigrade_pipeline::sink::{SinkError, TableRoot};
use cloudigrade_schemas::UtcSecond;

use crate::cli::{Global, LogKind};
use crate::config::{self, Config};
use crate::exit::{Code, error};
use crate::log::{DataLog, LogPlace, Process};

/// Where everything is.
#[derive(Clone, Debug)]
pub struct DataFolder {
    folder: PathBuf,
    log: LogPlace,
    tables: Option<String>,
    history: Duration,
}

impl DataFolder {
    /// The folder that the command line names, with tables as the configuration says.
    ///
    /// # Errors
    /// Where a log on Kafka is asked for, and none is configured.
    pub fn of(global: &Global, config: &Config) -> anyhow::Result<Self> {
        let log = match (global.log, &config.kafka) {
            (Some(LogKind::Embedded), _) | (None, None) => LogPlace::Embedded,
            (Some(LogKind::Kafka) | None, Some(kafka)) => LogPlace::Kafka(Box::new(kafka.clone())),
            (Some(LogKind::Kafka), None) => return Err(error(Code::Usage, "where Kafka is, is not known: set kafka.bootstrap")),
        };
        Ok(Self { folder: global.data.clone(), log, tables: global.tables.clone(), history: config.tables.history })
    }

    /// A folder with everything in it.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, log: LogPlace::Embedded, tables: None, history: config::Tables::default().history }
    }

    /// The folder itself.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Brings the tables up to date with the log.
    pub async fn catch_up(&self, log: &DataLog) -> anyhow::Result<()> {
        let root = self.table_root()?;
        cloudigrade_pipeline::sink::Tables::open_caught_up(&root, log).await?;
        Ok(())
    }

    /// Opens the log, or makes it. Where it is in the data folder no other process can until it is dropped.
    pub fn open_log(&self, process: &Process) -> anyhow::Result<DataLog> {
        self.log.open(&self.folder, process)
    }

    /// Looks whether the cluster of a log on Kafka is as it must be, and changes nothing.
    pub fn check_log(&self) -> Vec<Finding> {
        self.log.check(&self.folder)
    }

    /// Whether there is a log. On Kafka it is made when it is opened.
    pub fn has_log(&self) -> bool {
        self.is_shared() || self.has_file()
    }

    /// Whether there is a log in the data folder, whichever is used.
    pub fn has_file(&self) -> bool {
        self.folder.join(cloudigrade_pipeline::embedded::open::FILE_NAME).is_file()
    }

    /// Whether other processes may have the log open too.
    pub fn is_shared(&self) -> bool {
        matches!(self.log, LogPlace::Kafka(_))
    }

    /// Where the tables are, or would be.
    pub fn tables_place(&self) -> String {
        self.tables.clone().unwrap_or_else(|| self.folder.join("tables").display().to_string())
    }

    /// The object store that the tables are in, where they are in one.
    pub fn table_store(&self) -> Option<Result<TableRoot, SinkError>> {
        let place = self.tables.as_ref().filter(|place| place.contains("://") && !place.starts_with("file:"))?;
        Some(TableRoot::url(place))
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
