//! How inspections are kept in the log's state, for the worker and for whoever asks.

use cloudigrade_pipeline::log::{LogError, StateRead, Store};
use cloudigrade_schemas::Inspection;
use cloudigrade_schemas::topic::partition_of;
use serde::de::DeserializeOwned;

/// Inspections by `image/attempt`, in the image's partition.
pub(crate) const INSPECTIONS: Store = Store("inspections");
/// Batches by their ids, in the partition of their first image.
pub(crate) const BATCHES: Store = Store("inspection.batches");
/// Accounts and regions that images were copied in: where to look for what is left over. By `account/region`, in the partition of an image.
pub(crate) const PLACES: Store = Store("inspection.places");

/// What was found on snapshots that were read, by their ids, in the partition of that: a snapshot never changes, so that images of one are read once.
pub(crate) const CONTENTS: Store = Store("inspection.contents");
/// The snapshot in [`CONTENTS`] that an image's disk is, or is a copy of, by `region/image`, and by the id of the disk's own snapshot; in the partition
/// of that.
pub(crate) const CONTENTS_OF: Store = Store("inspection.contents_of");

/// All stores of state that the worker keeps.
pub const STORES: &[Store] = &[INSPECTIONS, BATCHES, PLACES, CONTENTS, CONTENTS_OF];

/// The key of an image in [`CONTENTS_OF`].
pub(crate) fn image_key(region: &str, image_id: &str) -> String {
    format!("{region}/{image_id}")
}

/// The key of an image's attempt. Attempts of an image are in order.
pub(crate) fn key(image_id: &str, attempt: u32) -> String {
    format!("{image_id}/{attempt:010}")
}

/// Looks at each inspection that there ever was. They are never all in memory, but those of one partition are, as bytes.
///
/// # Errors
/// Those of [`StateRead::scan`], and [`LogError::Storage`] for state that does not read.
pub fn each(state: &dyn StateRead, partitions: u32, mut see: impl FnMut(Inspection)) -> Result<(), LogError> {
    for partition in 0..partitions {
        for (key, value) in state.scan(INSPECTIONS, partition, b"")? {
            see(read(INSPECTIONS, &key, &value)?);
        }
    }
    Ok(())
}

/// All of them, by image and attempt.
#[cfg(test)]
pub(crate) fn all(state: &dyn StateRead, partitions: u32) -> Result<Vec<Inspection>, LogError> {
    let mut found: Vec<Inspection> = Vec::new();
    each(state, partitions, |inspection| found.push(inspection))?;
    found.sort_by(|a, b| (&a.image_id, a.attempt).cmp(&(&b.image_id, b.attempt)));
    Ok(found)
}

/// The attempts to inspect an image, in order.
///
/// # Errors
/// As [`each`].
pub fn of_image(state: &dyn StateRead, partitions: u32, image_id: &str) -> Result<Vec<Inspection>, LogError> {
    scan(state, INSPECTIONS, partition_of(image_id.as_bytes(), partitions), &format!("{image_id}/"))
}

/// All values of a store's partition whose keys begin so.
pub(crate) fn scan<T: DeserializeOwned>(state: &dyn StateRead, store: Store, partition: u32, prefix: &str) -> Result<Vec<T>, LogError> {
    state.scan(store, partition, prefix.as_bytes())?.into_iter().map(|(key, value)| read(store, &key, &value)).collect()
}

fn read<T: DeserializeOwned>(store: Store, key: &[u8], value: &[u8]) -> Result<T, LogError> {
    serde_json::from_slice(value).map_err(|error| LogError::Storage {
        doing: "reading what is known of inspections",
        cause: format!("{}/{}: {error}", store.0, String::from_utf8_lossy(key)),
        help: "the log is damaged or was written by a newer version",
    })
}
