//! All that this installation made at a place, by its tags.

use aws_sdk_ec2::types::{Filter, ImageState, InstanceStateName, Tag, VolumeState};
use cloudigrade_connectors::aws::AwsError;
use cloudigrade_schemas::UtcSecond;

use super::AwsCloud;
use super::clients::Ec2;
use super::halt::{Halt, Outcome};
use super::scanner::state_of;
use super::tags::{filter, value};
use crate::cloud::{Place, ResourceKind, TAG_BATCH, TAG_COMMAND, TaggedResource};

impl AwsCloud {
    /// See [`crate::cloud::Cloud::list_tagged`].
    pub(super) async fn all_tagged(&self, place: &Place) -> Outcome<Vec<TaggedResource>> {
        let ec2 = self.at(place).await?;
        let kinds: &[ResourceKind] = match place {
            Place::Own => &[ResourceKind::Scanner, ResourceKind::Volume, ResourceKind::Snapshot],
            Place::Of { .. } => &[ResourceKind::Image, ResourceKind::Snapshot],
        };
        let mut all = Vec::new();
        for kind in kinds {
            all.extend(self.tagged(&ec2, *kind, None).await.map_err(|error| self.failed_at(place, error))?);
        }
        Ok(all)
    }

    /// EC2 at a place.
    pub(super) async fn at(&self, place: &Place) -> Outcome<Ec2> {
        match place {
            Place::Own => Ok(self.own()),
            Place::Of { reader, region } => self.role(reader, region).await,
        }
    }

    /// What a failure at a place means.
    pub(super) fn failed_at(&self, place: &Place, error: AwsError) -> Halt {
        match place {
            Place::Own => Halt::of_own(error),
            Place::Of { .. } => error.into(),
        }
    }

    /// Resources of one kind that are ours: all, or the one with an id.
    pub(super) async fn tagged(&self, ec2: &Ec2, kind: ResourceKind, id: Option<&str>) -> Result<Vec<TaggedResource>, AwsError> {
        let by_id = match kind {
            ResourceKind::Scanner => "instance-id",
            ResourceKind::Volume => "volume-id",
            ResourceKind::Image => "image-id",
            ResourceKind::Snapshot => "snapshot-id",
        };
        let ours: Vec<Filter> = id.map(|id| filter(by_id, [id])).into_iter().chain([self.ours()]).collect();
        let resource = |id: Option<&str>, tags: &[Tag], made_at: Option<UtcSecond>| {
            let owner = value(tags, if kind == ResourceKind::Scanner { TAG_BATCH } else { TAG_COMMAND });
            Some(TaggedResource { kind, id: id?.to_owned(), owner: owner.unwrap_or_default().to_owned(), made_at })
        };
        let second = |time: Option<&aws_sdk_ec2::primitives::DateTime>| time.map(|time| UtcSecond(time.secs()));
        Ok(match kind {
            ResourceKind::Scanner => {
                let instances = ec2.instances(ours).await?;
                let left = instances.iter().filter(|instance| state_of(instance) != Some(&InstanceStateName::Terminated));
                left.filter_map(|one| resource(one.instance_id(), one.tags(), second(one.launch_time()))).collect()
            }
            ResourceKind::Volume => {
                let volumes = ec2.volumes(ours).await?;
                let left = volumes.iter().filter(|volume| volume.state() != Some(&VolumeState::Deleted));
                left.filter_map(|one| resource(one.volume_id(), one.tags(), second(one.create_time()))).collect()
            }
            ResourceKind::Snapshot => {
                let snapshots = ec2.snapshots(ours).await?;
                snapshots.iter().filter_map(|one| resource(one.snapshot_id(), one.tags(), second(one.start_time()))).collect()
            }
            ResourceKind::Image => {
                let images = ec2.images(ours).await?;
                let left = images.iter().filter(|image| image.state() != Some(&ImageState::Deregistered));
                let made_at = |told: Option<&str>| told.and_then(|told| UtcSecond::parse_prefix(told).ok());
                left.filter_map(|one| resource(one.image_id(), one.tags(), made_at(one.creation_date()))).collect()
            }
        })
    }
}
