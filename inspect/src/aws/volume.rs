//! The volume that a scanner reads.

use aws_sdk_ec2::types::{ResourceType, VolumeState, VolumeType};
use cloudigrade_connectors::aws::Api;
use cloudigrade_schemas::inspection::Inspection;

use super::AwsCloud;
use super::halt::{Halt, Outcome};
use super::tags::Tags;

impl AwsCloud {
    /// See [`crate::cloud::Cloud::create_volume`].
    pub(super) async fn make_volume(&self, inspection: &Inspection) -> Outcome<String> {
        let snapshot = inspection.made.snapshot_copy_id.as_deref();
        let snapshot = snapshot.ok_or_else(|| Halt::missing(format!("no copy of the snapshot of {} is known", inspection.image_id)))?;
        let (own, tags) = (self.own(), Tags::of_attempt(&self.settings, inspection));
        let mut volumes = own.volumes(tags.filters()).await.map_err(Halt::of_own)?;
        volumes.retain(|volume| !matches!(volume.state(), Some(VolumeState::Deleting | VolumeState::Deleted | VolumeState::Error)));
        volumes.sort_by(|a, b| a.volume_id().cmp(&b.volume_id()));
        if let Some(id) = volumes.first().and_then(|volume| volume.volume_id()) {
            return Ok(id.to_owned());
        }
        let volume = own
            .client
            .create_volume()
            .snapshot_id(snapshot)
            .availability_zone(&self.scanner_settings()?.availability_zone)
            .volume_type(VolumeType::Gp3)
            .client_token(tags.token("volume"))
            .tag_specifications(tags.specification(ResourceType::Volume));
        let made = own.call(Api::CreateVolume, volume.send()).await.map_err(Halt::of_own)?;
        made.volume_id.ok_or_else(|| Halt::retry("ec2:CreateVolume gave no id"))
    }

    /// See [`crate::cloud::Cloud::check_volume`].
    pub(super) async fn volume_is_available(&self, inspection: &Inspection) -> Outcome<()> {
        let id = inspection.made.volume_id.as_deref();
        let id = id.ok_or_else(|| Halt::missing(format!("no volume of {} is known", inspection.image_id)))?;
        let volume = self.own().volumes_of(&[id]).await.map_err(Halt::of_own)?.pop();
        match volume.as_ref().and_then(|volume| volume.state()) {
            Some(VolumeState::Available | VolumeState::InUse) => Ok(()),
            Some(VolumeState::Error) => Err(Halt::Failed { detail: format!("the volume {id} failed") }),
            None | Some(VolumeState::Deleting | VolumeState::Deleted) => Err(Halt::missing(format!("the volume {id} is not there"))),
            Some(_) => Err(Halt::NotYet),
        }
    }
}
