//! Answers what is asked about objects of buckets.

use cloudigrade_connectors::limits::BATCH_OBJECTS_MAX;
use cloudigrade_connectors::source::batch::Done;

use super::service::Service;
use super::wire::{ObjectsAction, ObjectsRequest, Refusal};

/// Counts which objects were read before, or reads those that were not.
///
/// # Errors
/// [`Refusal`] for too many at once, and where the log fails; what was read until then stays read.
pub(super) async fn answer(service: &Service, request: ObjectsRequest) -> Result<Done, Refusal> {
    let ObjectsRequest { objects, action } = request;
    if objects.len() > BATCH_OBJECTS_MAX {
        let detail = format!("{} objects are too many for one request, which takes {BATCH_OBJECTS_MAX}", objects.len());
        return Err(Refusal::new("too_many", detail, "use the same version of the program as the server"));
    }
    let done = match action {
        ObjectsAction::Look => service.batches.look(&objects),
        ObjectsAction::Read => service.batches.read(&objects).await,
    };
    done.map_err(|error| Refusal::failed(&error))
}
