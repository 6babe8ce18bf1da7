//! What EC2 says of an account now: its regions, instances and images. Calls here; what the answers mean is in [`super::answers`].

use aws_sdk_ec2::types::Filter;
use cloudigrade_schemas::UtcSecond;

use super::answers::{DescribedImage, DescribedInstance, Description, unknown_images};
use super::api::Api;
use super::error::{AwsError, FailureKind};
use super::session::Session;
use crate::limits::{DESCRIBE_PAGE, DESCRIBE_PAGES_MAX};

/// Why a region could not be described.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DescribeError {
    /// AWS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There is no end to it. A part of a region's instances would make all others look terminated, so nothing of it is used.
    #[error("{region} has more than {DESCRIBE_PAGES_MAX} pages of instances; nothing of it is used")]
    Endless {
        /// The region.
        region: String,
    },
}

/// The regions that the account can use, in order.
///
/// # Errors
/// [`AwsError`].
pub async fn regions(session: &Session) -> Result<Vec<String>, AwsError> {
    let home = session.target().home_region();
    // Some emulators list all regions whatever is asked for; the filter is AWS's own way and works everywhere.
    let usable = Filter::builder().name("opt-in-status").values("opted-in").values("opt-in-not-required").build();
    let described = session.ec2(home).describe_regions().filters(usable).send();
    let described = session.call(home, Api::DescribeRegions, described).await?;
    let mut regions: Vec<String> = described.regions().iter().filter_map(|region| region.region_name()).map(str::to_owned).collect();
    regions.sort();
    regions.dedup();
    Ok(regions)
}

/// All instances of a region, in all states, page by page.
///
/// # Errors
/// [`DescribeError`]; then nothing is known, not a part.
pub async fn instances(session: &Session, region: &str, now: fn() -> UtcSecond) -> Result<Description, DescribeError> {
    let ec2 = session.ec2(region);
    let began = now();
    let mut instances = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..DESCRIBE_PAGES_MAX {
        let page = ec2.describe_instances().max_results(DESCRIBE_PAGE).set_next_token(next.take()).send();
        let page = session.call(region, Api::DescribeInstances, page).await?;
        let told = page.reservations().iter().flat_map(|reservation| reservation.instances());
        instances.extend(told.filter_map(DescribedInstance::of));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(Description { began, ended: now().max(began), instances });
        }
    }
    Err(DescribeError::Endless { region: region.to_owned() })
}

/// What EC2 says of at most [`IMAGES_PER_CALL`](crate::limits::IMAGES_PER_CALL) images: each id once, those that it does not show as
/// unavailable.
///
/// One unknown id makes EC2 refuse all of them. Its message mostly names it; where it does not, the ids are halved. Each round has fewer
/// ids than the one before, so there is an end.
///
/// # Errors
/// [`AwsError`] when it is not known what EC2 would say.
pub async fn images(session: &Session, region: &str, ids: &[String]) -> Result<Vec<DescribedImage>, AwsError> {
    let mut described = Vec::with_capacity(ids.len());
    let ec2 = session.ec2(region);
    let mut batches = vec![ids.to_vec()];
    while let Some(batch) = batches.pop() {
        let images = ec2.describe_images().set_image_ids(Some(batch.clone())).include_deprecated(true).include_disabled(true).send();
        match session.call(region, Api::DescribeImages, images).await {
            Ok(answer) => {
                let known: Vec<DescribedImage> = answer.images().iter().filter_map(DescribedImage::of).collect();
                let silent = batch.into_iter().filter(|id| known.iter().all(|image| image.id() != id));
                described.extend(silent.map(DescribedImage::Unavailable));
                described.extend(known);
            }
            Err(error) if refuses_an_image(&error) => {
                let unknown = unknown_images(&error.message, &batch);
                if unknown.is_empty() && batch.len() > 1 {
                    let (one, other) = batch.split_at(batch.len() / 2);
                    batches.extend([one.to_vec(), other.to_vec()]);
                    continue;
                }
                let unknown = if unknown.is_empty() { batch.clone() } else { unknown };
                let rest: Vec<String> = batch.into_iter().filter(|id| !unknown.contains(id)).collect();
                described.extend(unknown.into_iter().map(DescribedImage::Unavailable));
                batches.extend(Some(rest).filter(|rest| !rest.is_empty()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(described)
}

fn refuses_an_image(error: &AwsError) -> bool {
    error.code.starts_with("InvalidAMIID.") || (error.kind == FailureKind::NotFound && error.api == Api::DescribeImages)
}
