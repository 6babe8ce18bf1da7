//! Answers what is asked about inspections of machine images.

use cloudigrade_inspect::record;
use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::image_fact::{Fact, InspectionRequest, InspectionWanted};
use cloudigrade_schemas::inspection::InspectionState;
use cloudigrade_schemas::{ImageFact, Inspection};

use super::images;
use super::service::Service;
use super::wire::{InspectionsOperation, InspectionsRequest, Refusal};
use crate::limits::INSPECTIONS_TOLD_MAX;

/// The code of a refusal: there is nothing that could be given up.
const NOTHING_TO_ABORT: &str = "nothing_to_abort";

/// Lists inspections, or says what is wanted of one.
///
/// # Errors
/// [`Refusal`]: it was not said, or with the code `still_working` it does not show yet.
pub(super) async fn answer(
    service: &Service,
    InspectionsRequest { by, operation }: InspectionsRequest,
) -> Result<Vec<Inspection>, Refusal> {
    match operation {
        InspectionsOperation::List { image, all } => {
            let mut found = read(service, image).await?;
            found.retain(|inspection| all || inspection.state != InspectionState::Over);
            found.sort_by_key(|inspection| std::cmp::Reverse(inspection.changed_at));
            found.truncate(INSPECTIONS_TOLD_MAX);
            Ok(found)
        }
        InspectionsOperation::Want { image, wanted } => {
            want(service, by, &image, wanted).await?;
            read(service, Some(image)).await
        }
    }
}

async fn read(service: &Service, image: Option<String>) -> Result<Vec<Inspection>, Refusal> {
    let log = service.log.clone();
    let read = move || match image {
        Some(image) => record::of_image(&log, log.partitions(), &image),
        None => record::all(&log, log.partitions()),
    };
    let found = tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::failed(&error))?;
    found.map_err(|error| Refusal::failed(&error))
}

async fn want(service: &Service, by: String, image: &str, wanted: InspectionWanted) -> Result<(), Refusal> {
    if !service.inspects {
        let help = "set inspection.mode in the configuration of the server: it costs money, so by default no disks are read";
        return Err(Refusal::new("unsupported", "no disks are read here", help));
    }
    images::check_id(image)?;
    let region = images::region_of(service, image).await?;
    let attempts = read(service, Some(image.to_owned())).await?;
    let newest = attempts.last();
    if wanted == InspectionWanted::Abort && newest.is_none_or(|newest| newest.end.is_some()) {
        let detail = format!("no inspection of {image} is at work");
        return Err(Refusal::new(NOTHING_TO_ABORT, detail, "`cloudigrade inspections list` shows those that are"));
    }
    // What is wanted is about the attempt after the last that has come to its end.
    let after_attempt = newest.map_or(0, |newest| newest.attempt - u32::from(newest.end.is_none()));
    let at = newest.map_or((service.now)(), |newest| newest.changed_at.max((service.now)()));
    let request = InspectionRequest { wanted, by, after_attempt };
    let source = "inspection request".to_owned();
    let fact = ImageFact { image_id: image.to_owned(), region, at, source, fact: Fact::InspectionRequest(request) };
    images::tell(service, &fact).await
}
