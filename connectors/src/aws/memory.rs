//! What the finders remember between runs of the program, in the log's own state.

use std::sync::Arc;

use cloudigrade_pipeline::log::{LogError, StateRead, Store};
use cloudigrade_schemas::topic::partition_of;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::source::committer::Change;

/// Reads committed state. Cheap to clone.
#[derive(Clone)]
pub struct Memory {
    state: Arc<dyn StateRead + Send + Sync>,
    partitions: u32,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl Memory {
    /// Of a log with so many partitions.
    pub fn new(state: Arc<dyn StateRead + Send + Sync>, partitions: u32) -> Self {
        Self { state, partitions }
    }

    /// A value that was put as `partition_key` and `key` say.
    pub(super) async fn get<T: DeserializeOwned>(&self, store: Store, partition_key: &str, key: &str) -> Result<Option<T>, LogError> {
        let partition = partition_of(partition_key.as_bytes(), self.partitions);
        let (state, key) = (Arc::clone(&self.state), key.as_bytes().to_vec());
        let value = off_the_runtime(move || state.get(store, partition, &key)).await?;
        value.map(|value| read(store, &value)).transpose()
    }

    /// All values whose keys begin so, with what follows in their keys.
    pub(super) async fn scan<T: DeserializeOwned>(
        &self,
        store: Store,
        partition_key: &str,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, LogError> {
        let partition = partition_of(partition_key.as_bytes(), self.partitions);
        let (state, from) = (Arc::clone(&self.state), prefix.as_bytes().to_vec());
        let values = off_the_runtime(move || state.scan(store, partition, &from)).await?;
        let named = |key: Vec<u8>| String::from_utf8_lossy(key.get(prefix.len()..).unwrap_or_default()).into_owned();
        values.into_iter().map(|(key, value)| Ok((named(key), read(store, &value)?))).collect()
    }
}

/// The change that puts a value.
pub(super) fn put<T: Serialize>(store: Store, partition_key: &str, key: &str, value: &T) -> Result<Change, LogError> {
    let value = serde_json::to_vec(value).map_err(|error| LogError::Storage {
        doing: "writing what a finder remembers",
        cause: error.to_string(),
        help: "this is a fault of the program; report it",
    })?;
    let (partition_key, key) = (partition_key.as_bytes().to_vec(), key.as_bytes().to_vec());
    Ok(Change { store, partition_key, key, value: Some(value) })
}

fn read<T: DeserializeOwned>(store: Store, value: &[u8]) -> Result<T, LogError> {
    serde_json::from_slice(value).map_err(|error| LogError::Storage {
        doing: "reading what a finder remembers",
        cause: format!("{}: {error}", store.0),
        help: "the log is damaged or was written by a newer version",
    })
}

/// Reading may wait for a disk.
pub(super) async fn off_the_runtime<T: Send + 'static>(read: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        Err(LogError::Storage { doing: "reading what a finder remembers", cause: error.to_string(), help: "start the program again" })
    })
}
