//! The stored tables at one version, for any number of questions.

mod as_of;
mod catalogue;
pub(crate) mod contract;
pub(crate) mod files;
mod images;
mod nulls;
pub(crate) mod providers;
mod registrations;
mod snapshot;
mod stored;
mod veil;
mod view;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use cloudigrade_schemas::UtcSecond;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::sync::Mutex;
use url::Url;

pub use self::as_of::{AsOf, AsOfError, SnapshotToken};
pub(crate) use self::catalogue::{Label, Labels};
pub(crate) use self::snapshot::Snapshot;
pub(crate) use self::view::View;

use self::stored::{FileSets, Place, Stored, TABLES, Versions, versions_by};
use crate::error::QueryError;
use crate::limits::{FOOTER_CACHE_BYTES, PAST_SNAPSHOTS_KEPT_MAX};
use crate::viewer::Viewer;

/// The stored tables below one folder. Cheap to clone: clones share what they know.
///
/// Questions are answered from the version that the last [`Tables::refresh`] found, however long they take.
#[derive(Clone, Debug)]
pub struct Tables {
    shared: Arc<Shared>,
    /// The only snapshot of tables as of an earlier moment.
    past: Option<Arc<Snapshot>>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    /// Held while the logs are read, so that refreshes follow each other.
    stored: Mutex<Stored>,
    current: RwLock<Arc<Snapshot>>,
    /// Snapshots of earlier versions, the one that was asked for last at the end.
    past: Mutex<Vec<Arc<Snapshot>>>,
    runtime: Arc<RuntimeEnv>,
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
        let place = Place::new(root, store);
        let runtime = RuntimeEnvBuilder::new().with_metadata_cache_limit(FOOTER_CACHE_BYTES).build_arc().map_err(QueryError::storage)?;
        let stored = Mutex::new(Stored::open(&place, &runtime)?);
        let current = RwLock::new(Arc::new(Snapshot::empty()?));
        let tables = Self { shared: Arc::new(Shared { place, stored, current, past: Mutex::default(), runtime }), past: None };
        tables.refresh().await?;
        Ok(tables)
    }

    /// Looks for newer versions of the tables. Reads only what was added to their logs. Tables as of an earlier moment stay as they are.
    pub async fn refresh(&self) -> Result<(), QueryError> {
        if self.past.is_some() {
            return Ok(());
        }
        let mut stored = self.shared.stored.lock().await;
        stored.refresh().await?;
        let last = self.snapshot();
        let files = stored.files_since(&last.files)?;
        if files.iter().zip(&last.files).all(|(files, last)| Arc::ptr_eq(files, last)) {
            return Ok(());
        }
        let next = Snapshot::of(files, &last, &self.shared.runtime).await?;
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }

    /// The tables as of an earlier moment, and what time it was then for whoever asks; it is now `now`.
    ///
    /// A report's [`snapshot`](crate::Report::snapshot) gives what it was made of, so that with the time of then the same request gives the
    /// same bytes. A moment gives what had been committed by then, and that moment.
    ///
    /// # Errors
    /// [`QueryError::AsOf`] where the moment is yet to come, the tables were made anew since, or what they said then was deleted. The
    /// last can also come from a question to the tables that this gives.
    pub async fn at(&self, as_of: &AsOf, now: UtcSecond) -> Result<(Self, UtcSecond), QueryError> {
        self.refresh().await?;
        let (versions, tables, moment) = match as_of {
            AsOf::Snapshot(token) => (token.versions, Some(token.tables), token.now),
            AsOf::Moment(moment) if *moment > now => return Err(AsOfError::Future { moment: *moment }.into()),
            AsOf::Moment(moment) => {
                let millis = moment.0.checked_mul(1000).ok_or(AsOfError::Future { moment: *moment })?;
                let logs = self.shared.stored.lock().await.logs();
                (versions_by(&logs, millis).await?, None, *moment)
            }
        };
        let snapshot = self.snapshot_of(versions).await?;
        if tables.is_some_and(|tables| tables != snapshot.number_of_tables()) {
            return Err(AsOfError::OtherTables.into());
        }
        Ok((Self { shared: Arc::clone(&self.shared), past: Some(snapshot) }, moment))
    }

    /// The snapshot of some versions, from those that are kept if it is among them.
    async fn snapshot_of(&self, versions: Versions) -> Result<Arc<Snapshot>, QueryError> {
        let current = self.snapshot();
        if current.versions() == versions {
            return Ok(current);
        }
        let newer = versions.iter().zip(current.versions()).any(|(asked, known)| *asked > known);
        if newer {
            return Err(AsOfError::OtherTables.into());
        }
        let mut past = self.shared.past.lock().await;
        let snapshot = match past.iter().position(|kept| kept.versions() == versions) {
            Some(at) => past.remove(at),
            None => Arc::new(self.load(versions, &current).await?),
        };
        if past.len() >= PAST_SNAPSHOTS_KEPT_MAX {
            past.remove(0);
        }
        past.push(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    async fn load(&self, versions: Versions, current: &Snapshot) -> Result<Snapshot, QueryError> {
        let mut files: FileSets = current.files.clone();
        for (at, version) in versions.into_iter().enumerate() {
            if version != current.files[at].version {
                let then = self.shared.place.files_at(TABLES[at], version).await?;
                files[at] = Arc::new(then.doubting(&current.files[at]));
            }
        }
        Snapshot::of(files, current, &self.shared.runtime).await
    }

    /// How far all of the data reaches: the earliest `complete_through` of any account and region. `None` where nothing was ingested.
    pub fn complete_through(&self) -> Option<UtcSecond> {
        self.snapshot().reach.overall().map(UtcSecond)
    }

    /// How far the data reaches that a viewer sees.
    ///
    /// # Errors
    /// [`QueryError::Storage`] where the tables are not as they must be.
    pub fn complete_through_for(&self, viewer: &Viewer) -> Result<Option<UtcSecond>, QueryError> {
        let view = View::new(&self.snapshot(), viewer).map_err(QueryError::storage)?;
        Ok(view.reach().overall().map(UtcSecond))
    }

    /// What names the tables as they are now, for whoever asks at `now`. [`Tables::at`] finds them again by it.
    pub fn token(&self, now: UtcSecond) -> SnapshotToken {
        self.snapshot().token(now)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        match &self.past {
            Some(past) => Arc::clone(past),
            None => Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    pub(crate) fn runtime(&self) -> &RuntimeEnv {
        &self.shared.runtime
    }
}
