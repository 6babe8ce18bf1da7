//! Nothing is left: what an attempt made is removed, also what it never learned that it made.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{ImageState, VolumeState};
use cloudigrade_connectors::aws::{Api, AwsError, FailureKind};
use cloudigrade_schemas::inspection::{Inspection, Made};

use super::AwsCloud;
use super::clients::Ec2;
use super::halt::{Halt, Outcome, is_gone};
use super::limits::REMOVALS_PER_STEP;
use super::scanner::terminate;
use super::tags::{Tags, filter, tag_filter};
use crate::cloud::{Place, ResourceKind, TAG_INSTALLATION, TaggedResource};

/// AWS's codes for what somebody uses still; it may be removed later.
const IN_USE: [&str; 4] = ["InvalidSnapshot.InUse", "VolumeInUse", "IncorrectState", "SnapshotInUse"];

impl AwsCloud {
    /// See [`crate::cloud::Cloud::clean_up`]. A place that does not let us in does not keep us from the others.
    pub(super) async fn remove_all(&self, inspection: &Inspection) -> Outcome<()> {
        let ours = self.remove_ours(inspection).await;
        let unshared = self.unshare(inspection).await;
        let copied = self.remove_copies(inspection).await;
        ours.and(unshared).and(copied).map_err(never_refused)
    }

    /// Volumes and snapshots in our own account.
    async fn remove_ours(&self, inspection: &Inspection) -> Outcome<()> {
        let (own, tags) = (self.own(), Tags::of_attempt(&self.settings, inspection));
        // What was there a moment ago counts as gone only when it is not seen any more.
        for _ in 0..REMOVALS_PER_STEP {
            if !self.some_of_ours(&own, &tags, &inspection.made).await.map_err(Halt::of_own)? {
                return Ok(());
            }
        }
        Err(Halt::NotYet)
    }

    /// Removes what there is of an attempt in our own account; whether there was anything.
    async fn some_of_ours(&self, own: &Ec2, tags: &Tags, made: &Made) -> Result<bool, AwsError> {
        let mut volumes = own.volumes(tags.filters()).await?;
        if let Some(id) = made.volume_id.as_deref() {
            volumes.extend(own.volumes(vec![filter("volume-id", [id]), self.ours()]).await?);
        }
        volumes.retain(|volume| volume.state() != Some(&VolumeState::Deleted));
        let to_delete = volumes.iter().filter(|volume| volume.state() != Some(&VolumeState::Deleting));
        let ids: BTreeSet<&str> = to_delete.filter_map(|volume| volume.volume_id()).collect();
        for id in ids {
            own.remove(ResourceKind::Volume, id).await?;
        }
        let snapshots = own.remove_snapshots(tags, self.ours(), made.snapshot_copy_id.as_deref()).await?;
        Ok(snapshots || !volumes.is_empty())
    }

    /// Copies of images, with their snapshots, in the reader's account. There are none where the image's own snapshot was its reader's.
    async fn remove_copies(&self, inspection: &Inspection) -> Outcome<()> {
        let (Some(reader), Some(disk)) = (&inspection.reader, &inspection.disk) else { return Ok(()) };
        let made = &inspection.made;
        if disk.owner_id.as_ref() == Some(&reader.account_id) && made.image_copy_id.is_none() && made.image_copy_snapshot_id.is_none() {
            return Ok(());
        }
        let (ec2, tags) = (self.reader(inspection).await?, Tags::of_attempt(&self.settings, inspection));
        for _ in 0..REMOVALS_PER_STEP {
            if !self.some_copies(&ec2, &tags, made).await? {
                return Ok(());
            }
        }
        Err(Halt::NotYet)
    }

    /// Removes copies of an attempt's image, or where there are none their snapshots: they cannot be deleted before. Whether there was anything.
    async fn some_copies(&self, ec2: &Ec2, tags: &Tags, made: &Made) -> Result<bool, AwsError> {
        let mut images = ec2.images(tags.filters()).await?;
        if let Some(id) = made.image_copy_id.as_deref() {
            images.extend(ec2.images(vec![filter("image-id", [id]), self.ours()]).await?);
        }
        images.retain(|image| image.state() != Some(&ImageState::Deregistered));
        if images.is_empty() {
            return ec2.remove_snapshots(tags, self.ours(), made.image_copy_snapshot_id.as_deref()).await;
        }
        // One that is still being made cannot be removed.
        let to_remove = images.iter().filter(|image| image.state() != Some(&ImageState::Pending));
        let ids: BTreeSet<&str> = to_remove.filter_map(|image| image.image_id()).collect();
        for id in ids {
            ec2.remove(ResourceKind::Image, id).await?;
        }
        Ok(true)
    }

    /// See [`crate::cloud::Cloud::remove_tagged`].
    pub(super) async fn remove_one(&self, place: &Place, resource: &TaggedResource) -> Outcome<()> {
        let ec2 = self.at(place).await?;
        let tagged = self.tagged(&ec2, resource.kind, Some(&resource.id)).await.map_err(|error| self.failed_at(place, error))?;
        if tagged.is_empty() {
            return Ok(());
        }
        match ec2.remove(resource.kind, &resource.id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Halt::NotYet),
            Err(error) => Err(never_refused(self.failed_at(place, error))),
        }
    }

    /// What only resources of this installation have.
    pub(super) fn ours(&self) -> aws_sdk_ec2::types::Filter {
        tag_filter(TAG_INSTALLATION, &self.settings.installation)
    }
}

impl Ec2 {
    /// Removes one resource; `false` where something uses it still. One that is not there is as good as removed.
    async fn remove(&self, kind: ResourceKind, id: &str) -> Result<bool, AwsError> {
        let told = match kind {
            ResourceKind::Scanner => terminate(self, &[id]).await,
            ResourceKind::Volume => self.call(Api::DeleteVolume, self.client.delete_volume().volume_id(id).send()).await.map(drop),
            ResourceKind::Image => self.call(Api::DeregisterImage, self.client.deregister_image().image_id(id).send()).await.map(drop),
            ResourceKind::Snapshot => self.call(Api::DeleteSnapshot, self.client.delete_snapshot().snapshot_id(id).send()).await.map(drop),
        };
        match told {
            Ok(()) => {
                tracing::info!(kind = kind.word(), id, account = self.caller.account(), region = self.region, "removed");
                Ok(true)
            }
            Err(error) if error.kind == FailureKind::NotFound || is_gone(&error) => Ok(true),
            Err(error) if IN_USE.contains(&error.code.as_str()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes snapshots that have an attempt's tags, and the one that is known if it is ours; whether there were any.
    async fn remove_snapshots(&self, tags: &Tags, ours: aws_sdk_ec2::types::Filter, known: Option<&str>) -> Result<bool, AwsError> {
        let mut snapshots = self.snapshots(tags.filters()).await?;
        if let Some(id) = known {
            snapshots.extend(self.snapshots(vec![filter("snapshot-id", [id]), ours]).await?);
        }
        let ids: BTreeSet<&str> = snapshots.iter().filter_map(|snapshot| snapshot.snapshot_id()).collect();
        for id in &ids {
            self.remove(ResourceKind::Snapshot, id).await?;
        }
        Ok(!ids.is_empty())
    }
}

/// A removal is tried until it is done: nothing about the image refuses it.
fn never_refused(halt: Halt) -> Halt {
    match halt {
        Halt::Refused { detail, .. } | Halt::Failed { detail } | Halt::Missing { detail } => Halt::Retry { detail },
        other => other,
    }
}
