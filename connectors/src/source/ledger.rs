//! Which objects were read before: written in the same commit as what they gave.

use std::sync::Arc;

use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{LogError, StateRead, Store};
use cloudigrade_schemas::topic::partition_of;

use super::feed::Object;

/// The fingerprint of each object that was read, by its URI.
pub(crate) const OBJECTS: Store = Store("source.objects");

/// Says whether an object was read before, as it is now.
pub type Known = Arc<dyn Fn(&Object) -> Result<bool, LogError> + Send + Sync>;

/// Asks a ledger, and asks again while the log says that it may be asked again.
///
/// # Errors
/// Those of [`StateRead::get`].
pub fn is_known(known: &Known, object: &Object) -> Result<bool, LogError> {
    const TRIES: usize = 8;
    let mut answer = known(object);
    for _ in 1..TRIES {
        if !matches!(answer, Err(LogError::Retry { .. })) {
            break;
        }
        answer = known(object);
    }
    answer
}

/// The ledger of a log.
pub fn known(state: impl StateRead + Send + Sync + 'static, partitions: u32) -> Known {
    Arc::new(move |object| {
        let noted = state.get(OBJECTS, partition_of(object.uri.as_bytes(), partitions), object.uri.as_bytes())?;
        Ok(noted.is_some_and(|fingerprint| fingerprint == object.fingerprint.as_bytes()))
    })
}

/// Whether an object was read, as it is now or as it was: one that nothing could be made of was not.
///
/// # Errors
/// Those of [`StateRead::get`].
pub fn was_read(state: &(impl StateRead + ?Sized), uri: &str, partitions: u32) -> Result<bool, LogError> {
    let noted = state.get(OBJECTS, partition_of(uri.as_bytes(), partitions), uri.as_bytes())?;
    Ok(noted.is_some())
}

/// Notes that an object was read.
pub fn note(cx: &mut Cx<'_>, object: &Object, partitions: u32) {
    let partition = partition_of(object.uri.as_bytes(), partitions);
    cx.put(OBJECTS, partition, object.uri.as_bytes(), object.fingerprint.clone().into_bytes());
}
