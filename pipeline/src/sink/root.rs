//! Where tables live: a local folder, or a place in an object store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deltalake_core::logstore::{StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use url::Url;

use super::{SinkError, conditions};
use crate::limits::TABLE_HISTORY;

/// The place that holds all tables, each in a folder of its name.
#[derive(Clone, Debug)]
pub struct TableRoot {
    /// Ends with a slash.
    url: Url,
    /// The whole store: its root is the root of the file system, or of the bucket.
    store: Arc<dyn ObjectStore>,
    /// How long what was replaced is kept.
    history: Duration,
}

impl TableRoot {
    /// A local folder, made if it is absent.
    ///
    /// # Errors
    /// [`SinkError::BadLocation`].
    pub fn folder(path: &Path) -> Result<Self, SinkError> {
        let bad = |cause: String| SinkError::BadLocation { location: path.display().to_string(), cause };
        std::fs::create_dir_all(path).map_err(|error| bad(error.to_string()))?;
        let absolute = path.canonicalize().map_err(|error| bad(error.to_string()))?;
        let url = Url::from_directory_path(&absolute).map_err(|()| bad("not an absolute path".to_owned()))?;
        Ok(Self { url, store: Arc::new(LocalFileSystem::new()), history: TABLE_HISTORY })
    }

    /// A URL: `file:///folder`, or a place in a store, with credentials and endpoint from the environment variables that its users know:
    /// `s3://bucket/prefix` (`AWS_*`), `az://container/prefix` or `abfss://container@account.dfs.core.windows.net/prefix` (`AZURE_*`),
    /// `gs://bucket/prefix` (`GOOGLE_*`).
    ///
    /// # Errors
    /// [`SinkError::BadLocation`].
    pub fn url(location: &str) -> Result<Self, SinkError> {
        let bad = |cause: String| SinkError::BadLocation { location: location.to_owned(), cause };
        let with_slash = format!("{}/", location.trim_end_matches('/'));
        let url = Url::parse(&with_slash).map_err(|error| bad(error.to_string()))?;
        if url.scheme() == "file" {
            return Self::folder(&url.to_file_path().map_err(|()| bad("not a local path".to_owned()))?);
        }
        let store = store(&url).ok_or_else(|| bad(format!("scheme {} is not known", url.scheme())))?;
        let store = store.map_err(|error| bad(error.to_string()))?;
        Ok(Self { url, store, history: TABLE_HISTORY })
    }

    /// The same place, whose tables keep for so long what was replaced.
    #[must_use]
    pub fn with_history(self, history: Duration) -> Self {
        Self { history, ..self }
    }

    /// For how long tables keep what was replaced, and so can be read as they were.
    pub fn history(&self) -> Duration {
        self.history
    }

    /// The store, whose root is the root of the file system or of the bucket.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The place itself.
    pub fn location(&self) -> &Url {
        &self.url
    }

    /// Whether the store refuses to write over what is there, where it is told to: without that only one process may keep the tables. It is
    /// tried with an object beside them, which is deleted again.
    ///
    /// # Errors
    /// [`SinkError::Storage`] where the store cannot be written to.
    pub async fn keeps_to_conditions(&self) -> Result<bool, SinkError> {
        let kept = conditions::are_kept(self.store.as_ref(), &self.file_path("", "")).await;
        kept.map_err(SinkError::storage("trying to write beside", "all tables"))
    }

    /// Where a table lives.
    pub fn table_url(&self, table: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{table}/", self.url.path()));
        url
    }

    /// Where a file of a table lives, from the root of the store.
    pub(super) fn file_path(&self, table: &str, relative: &str) -> object_store::path::Path {
        let inside = self.table_url(table);
        let path = percent_decoded(inside.path());
        object_store::path::Path::from_iter(path.split('/').chain(relative.split('/')).filter(|part| !part.is_empty()))
    }

    /// Makes a written file and its entry in its folder durable.
    pub(super) fn sync(&self, path: &object_store::path::Path) -> object_store::Result<()> {
        if self.url.scheme() != "file" {
            return Ok(());
        }
        let local = PathBuf::from(format!("/{path}"));
        let synced = File::open(&local).and_then(|file| file.sync_all());
        let synced = synced.and_then(|()| local.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()));
        synced.map_err(|source| object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(source) })
    }
}

/// The store that a URL is in, if there are stores of its scheme.
fn store(url: &Url) -> Option<object_store::Result<Arc<dyn ObjectStore>>> {
    fn shared(store: impl ObjectStore) -> Arc<dyn ObjectStore> {
        Arc::new(store)
    }
    match url.scheme() {
        "s3" => {
            let http = std::env::var("AWS_ENDPOINT_URL").is_ok_and(|endpoint| endpoint.starts_with("http://"));
            Some(AmazonS3Builder::from_env().with_url(url.as_str()).with_allow_http(http).build().map(shared))
        }
        "az" | "abfs" | "abfss" => Some(MicrosoftAzureBuilder::from_env().with_url(url.as_str()).build().map(shared)),
        "gs" => Some(GoogleCloudStorageBuilder::from_env().with_url(url.as_str()).build().map(shared)),
        _ => None,
    }
}

/// The Delta table at a URL of a store, not loaded yet. `store` is the store of the whole bucket or file system.
///
/// Delta's own registry knows local tables only; this needs none, so that tables live in any store.
///
/// # Errors
/// [`DeltaTableError`] for a URL that is no place in a store.
pub fn delta_table(store: &Arc<dyn ObjectStore>, url: &Url) -> Result<DeltaTable, DeltaTableError> {
    let prefix = object_store::path::Path::from_url_path(url.path()).map_err(object_store::Error::from)?;
    let inside = Arc::new(PrefixStore::new(Arc::clone(store), prefix));
    let options = StorageConfig::parse_options(std::iter::empty::<(String, String)>())?;
    Ok(DeltaTable::new(default_logstore(inside, Arc::clone(store), url, &options)))
}

fn percent_decoded(path: &str) -> String {
    Url::parse(&format!("file://{path}"))
        .ok()
        .and_then(|url| url.to_file_path().ok())
        .map_or_else(|| path.to_owned(), |path| path.display().to_string())
}
