//! What an operator sees of the world: state through an overlay, and a place for outputs.

use std::collections::BTreeMap;

use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Topic, UtcSecond};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Counters;
use crate::log::{KeyValue, LogError, Output, StateChange, StateRead, Store, Txn};

/// Written values, by store and partition, then by key.
type Overlay = BTreeMap<(Store, u32), BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// The context of a fold. It reads its own writes; nobody else sees them before the commit.
pub struct Cx<'a> {
    state: &'a dyn StateRead,
    partitions: u32,
    overlay: Overlay,
    outputs: Vec<Output>,
    counters: Counters,
}

impl<'a> Cx<'a> {
    /// A context over committed state.
    pub fn new(state: &'a dyn StateRead, partitions: u32) -> Self {
        Self { state, partitions, overlay: BTreeMap::new(), outputs: Vec::new(), counters: Counters::default() }
    }

    /// The value of a key, with this batch's writes.
    ///
    /// # Errors
    /// Those of [`StateRead::get`].
    pub fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        match self.overlay.get(&(store, partition)).and_then(|written| written.get(key)) {
            Some(written) => Ok(written.clone()),
            None => self.state.get(store, partition, key),
        }
    }

    /// Sets a key.
    pub fn put(&mut self, store: Store, partition: u32, key: &[u8], value: Vec<u8>) {
        self.overlay.entry((store, partition)).or_default().insert(key.to_vec(), Some(value));
    }

    /// Deletes a key.
    pub fn delete(&mut self, store: Store, partition: u32, key: &[u8]) {
        self.overlay.entry((store, partition)).or_default().insert(key.to_vec(), None);
    }

    /// All keys that begin with a prefix, in order, with this batch's writes.
    ///
    /// # Errors
    /// Those of [`StateRead::scan`].
    pub fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        let mut found: BTreeMap<_, _> = self.state.scan(store, partition, prefix)?.into_iter().collect();
        let written = self.overlay.get(&(store, partition)).into_iter().flat_map(|written| written.range(prefix.to_vec()..));
        for (key, value) in written.take_while(|(key, _)| key.starts_with(prefix)) {
            match value {
                Some(value) => found.insert(key.clone(), value.clone()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().collect())
    }

    /// Appends a record to the partition that its key belongs to.
    pub fn send(&mut self, topic: Topic, key: &[u8], value: Vec<u8>, entered_at: UtcSecond) {
        self.send_to(topic, partition_of(key, self.partitions), key, value, entered_at);
    }

    /// Appends a record to the partition of something that its key is finer than.
    pub fn send_under(&mut self, topic: Topic, partition_key: &[u8], key: &[u8], value: Vec<u8>, entered_at: UtcSecond) {
        self.send_to(topic, partition_of(partition_key, self.partitions), key, value, entered_at);
    }

    /// Appends a record to a given partition: for keys that are finer than what decides the partition.
    pub fn send_to(&mut self, topic: Topic, partition: u32, key: &[u8], value: Vec<u8>, entered_at: UtcSecond) {
        self.outputs.push(Output { topic, partition, key: key.to_vec(), value, entered_at });
    }

    /// Counts something for summaries and metrics. It decides nothing.
    pub fn count(&mut self, name: &'static str, n: u64) {
        self.counters.add(name, n);
    }

    /// [`Cx::get`] for a value written by [`Cx::put_json`].
    ///
    /// # Errors
    /// Those of [`Cx::get`], and [`LogError::Storage`] for a value that was not written so: the state is damaged.
    pub fn get_json<T: DeserializeOwned>(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<T>, LogError> {
        let Some(value) = self.get(store, partition, key)? else { return Ok(None) };
        serde_json::from_slice(&value).map(Some).map_err(|error| LogError::Storage {
            doing: "reading state",
            cause: format!("{}/{partition}/{}: {error}", store.0, String::from_utf8_lossy(key)),
            help: "the log is damaged or was written by a newer version; restore it or ingest into a new data folder",
        })
    }

    /// [`Cx::put`] of a value as JSON.
    ///
    /// # Errors
    /// Those of [`Cx::encode`].
    pub fn put_json<T: Serialize>(&mut self, store: Store, partition: u32, key: &[u8], value: &T) -> Result<(), LogError> {
        self.put(store, partition, key, Self::encode(value)?);
        Ok(())
    }

    /// [`Cx::send`] of a message as JSON.
    ///
    /// # Errors
    /// Those of [`Cx::encode`].
    pub fn send_json<T: Serialize>(&mut self, topic: Topic, key: &[u8], message: &T, entered_at: UtcSecond) -> Result<(), LogError> {
        self.send(topic, key, Self::encode(message)?, entered_at);
        Ok(())
    }

    /// A message as JSON.
    ///
    /// # Errors
    /// [`LogError::Storage`] for a type that has no JSON form.
    pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, LogError> {
        let unencodable = |error: serde_json::Error| LogError::Storage {
            doing: "encoding a message",
            cause: error.to_string(),
            help: "this is a fault of the program; please report it",
        };
        // Room for most messages, so that they do not grow by steps.
        let mut json = Vec::with_capacity(1024);
        serde_json::to_writer(&mut json, message).map_err(unencodable)?;
        json.shrink_to_fit();
        Ok(json)
    }

    /// The transaction that this batch amounts to, without positions, and what was counted.
    pub fn finish(self) -> (Txn, Counters) {
        let of_store = |((store, partition), written): ((Store, u32), BTreeMap<_, _>)| {
            written.into_iter().map(move |(key, value)| StateChange { store, partition, key, value })
        };
        let state = self.overlay.into_iter().flat_map(of_store);
        (Txn { outputs: self.outputs, state: state.collect(), positions: Vec::new() }, self.counters)
    }
}
