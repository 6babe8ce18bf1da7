//! What somebody says of an image, against all evidence: a fact like any other, in the log.

use cloudigrade_connectors::source::committer::{Entry, Message};
use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::Log;
use cloudigrade_pipeline::operators::{Outlook, outlook};
use cloudigrade_schemas::account::is_tenant;
use cloudigrade_schemas::image::{Override, is_image_id};
use cloudigrade_schemas::image_fact::Fact;
use cloudigrade_schemas::{ImageFact, Topic};

use super::service::Service;
use super::wire::{OverrideRequest, Refusal};
use crate::limits::REASON_CHARS_MAX;

/// Bytes of a region's name, at most.
const REGION_BYTES_MAX: usize = 64;

/// Says it, and waits until it shows.
///
/// # Errors
/// [`Refusal`]: it was not said, or with the code `still_working` it does not show yet.
pub(super) async fn answer(service: &Service, request: OverrideRequest) -> Result<(), Refusal> {
    let OverrideRequest { tenant, by, image_id, region, product, is, reason } = request;
    check(&image_id, tenant.as_deref(), reason.as_deref())?;
    let region = match region {
        Some(region) => region,
        None => known(service, &image_id).await?.region,
    };
    if region.len() > REGION_BYTES_MAX || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Refusal::new("invalid_region", format!("{region:?} is no region"), "write it as AWS does: us-east-1"));
    }
    let at = (service.now)();
    let source = format!("override by {by}");
    let fact = ImageFact { image_id, region, at, source, fact: Fact::Override(Override { tenant, product, is, by, reason, at }) };
    tell(service, &fact).await
}

/// Writes a fact about an image, and waits until it is folded and images show it.
pub(super) async fn tell(service: &Service, fact: &ImageFact) -> Result<(), Refusal> {
    let partition_key = fact.partition_key().as_bytes().to_vec();
    let value = Cx::encode(fact).map_err(|error| Refusal::failed(&error))?;
    let message = Message { topic: Topic::ImageFacts, partition_key: partition_key.clone(), key: fact.to_key().into_bytes(), value };
    let entry = Entry { messages: vec![message], ..Entry::default() };
    service.committer.commit(entry).await.map_err(|error| Refusal::failed(&error))?;
    service.show_images(&partition_key).await
}

/// Holds what somebody gave as an image's id against what such ids are like.
pub(super) fn check_id(image_id: &str) -> Result<(), Refusal> {
    let wrong = || Refusal::new("invalid_image", "this is no id of an image", "write it as AWS does: ami-0123456789abcdef0");
    is_image_id(image_id).then_some(()).ok_or_else(wrong)
}

fn check(image_id: &str, tenant: Option<&str>, reason: Option<&str>) -> Result<(), Refusal> {
    check_id(image_id)?;
    if tenant.is_some_and(|tenant| !is_tenant(tenant)) {
        return Err(Refusal::new("invalid_tenant", "this is no name of a tenant", "leave it out to speak for all tenants"));
    }
    if reason.is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(Refusal::new("invalid_reason", format!("the reason has more than {REASON_CHARS_MAX} characters"), "shorten it"));
    }
    Ok(())
}

/// What is known of an image.
pub(super) async fn known(service: &Service, image_id: &str) -> Result<Outlook, Refusal> {
    let (log, image) = (service.log.clone(), image_id.to_owned());
    let read = tokio::task::spawn_blocking(move || outlook(&log, log.partitions(), &image));
    let found = read.await.map_err(|error| Refusal::failed(&error))?.map_err(|error| Refusal::failed(&error))?;
    found.filter(|outlook| !outlook.region.is_empty()).ok_or_else(|| {
        Refusal::new("unknown_image", format!("no image {image_id} was ever seen"), "check its id, or name its region with --region")
    })
}
