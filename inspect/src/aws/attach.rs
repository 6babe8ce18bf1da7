//! Volumes to their scanner.

use std::collections::HashMap;

use aws_sdk_ec2::types::{
    EbsInstanceBlockDeviceSpecification, Instance, InstanceBlockDeviceMapping, InstanceBlockDeviceMappingSpecification, InstanceStateName,
    Volume, VolumeAttachmentState, VolumeState,
};
use cloudigrade_connectors::aws::{Api, FailureKind};

use super::AwsCloud;
use super::clients::Ec2;
use super::halt::{Halt, Outcome};
use super::limits::LOOKS_PER_ATTACHING;
use super::scanner::{is_on, state_of};
use super::tags::filter;
use crate::batch::{Batch, Member};

/// How a volume is, as far as attaching it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attachment {
    /// It is where it belongs.
    Here,
    /// It can be attached.
    Free,
    /// AWS has still to do something.
    Underway,
    /// It is not there, or it will not be; or somebody else has it.
    Lost,
}

impl AwsCloud {
    /// See [`crate::cloud::Cloud::attach_volumes`].
    pub(super) async fn attach_all(&self, batch: &Batch) -> Outcome<()> {
        let own = self.own();
        let scanners = self.scanners(&own, batch).await.map_err(Halt::of_own)?;
        let scanner = scanners.first().filter(|scanner| is_on(scanner));
        let Some((scanner, id)) = scanner.and_then(|scanner| Some((scanner, scanner.instance_id()?))) else {
            return Err(Halt::missing(format!("the scanner {} does not run", batch.instance_id.as_deref().unwrap_or("?"))));
        };
        if state_of(scanner) != Some(&InstanceStateName::Running) {
            return Err(Halt::NotYet);
        }
        for _ in 0..LOOKS_PER_ATTACHING {
            match attach_some(&own, batch, id).await? {
                Attached { here: 0, underway: 0 } => {
                    return Err(Halt::missing(format!("none of the {} volumes of the scanner {id} is there", batch.members.len())));
                }
                Attached { underway: 0, .. } => return end_with_scanner(&own, id).await,
                Attached { .. } => {}
            }
        }
        Err(Halt::NotYet)
    }
}

/// How many volumes of a batch are where they belong, and how many are on the way.
struct Attached {
    here: usize,
    underway: usize,
}

/// Attaches those volumes of a batch that are free.
async fn attach_some(own: &Ec2, batch: &Batch, scanner: &str) -> Outcome<Attached> {
    let ids: Vec<&str> = batch.members.iter().map(|member| member.volume_id.as_str()).collect();
    let volumes = own.volumes_of(&ids).await.map_err(Halt::of_own)?;
    let by_id: HashMap<&str, &Volume> = volumes.iter().filter_map(|volume| Some((volume.volume_id()?, volume))).collect();
    let mut attached = Attached { here: 0, underway: 0 };
    for member in &batch.members {
        let is_coming = match attachment(by_id.get(member.volume_id.as_str()).copied(), scanner) {
            Attachment::Here => {
                attached.here += 1;
                continue;
            }
            Attachment::Underway => true,
            Attachment::Free => attach(own, member, scanner).await?,
            Attachment::Lost => false,
        };
        if is_coming {
            attached.underway += 1;
        } else {
            tracing::warn!(volume = member.volume_id, image = member.image_id, "a volume cannot be attached and is left out");
        }
    }
    Ok(attached)
}

fn attachment(volume: Option<&Volume>, scanner: &str) -> Attachment {
    let Some(volume) = volume else { return Attachment::Lost };
    let ours = volume.attachments().iter().find(|attachment| attachment.instance_id() == Some(scanner));
    match (volume.state(), ours.and_then(|ours| ours.state())) {
        (Some(VolumeState::InUse), Some(VolumeAttachmentState::Attached)) => Attachment::Here,
        (Some(VolumeState::InUse), Some(_)) => Attachment::Underway,
        (Some(VolumeState::Available), _) => Attachment::Free,
        (Some(VolumeState::Creating), _) => Attachment::Underway,
        _ => Attachment::Lost,
    }
}

/// Attaches a volume; `false` where it is not there any more, or AWS does not want this one: that keeps no other from being read.
async fn attach(own: &Ec2, member: &Member, scanner: &str) -> Outcome<bool> {
    let attach = own.client.attach_volume().volume_id(&member.volume_id).instance_id(scanner).device(&member.device);
    match own.call(Api::AttachVolume, attach.send()).await {
        Ok(_) => Ok(true),
        // The next look shows where it is.
        Err(error) if error.code == "VolumeInUse" || error.code == "IncorrectState" => Ok(true),
        Err(error) if error.kind == FailureKind::NotFound => Ok(false),
        Err(error) if error.is_transient() || error.kind == FailureKind::Denied => Err(Halt::of_own(error)),
        Err(error) => {
            tracing::warn!(volume = member.volume_id, scanner, %error, "AWS does not attach a volume");
            Ok(false)
        }
    }
}

/// Lets all disks of a scanner be deleted with it; done when a description shows it.
async fn end_with_scanner(own: &Ec2, id: &str) -> Outcome<()> {
    for _ in 0..LOOKS_PER_ATTACHING {
        let scanner = own.instances(vec![filter("instance-id", [id])]).await.map_err(Halt::of_own)?.pop();
        let stay = scanner.as_ref().map(staying).unwrap_or_default();
        if stay.is_empty() {
            return Ok(());
        }
        let changes = stay.iter().map(|name| {
            let goes = EbsInstanceBlockDeviceSpecification::builder().delete_on_termination(true).build();
            InstanceBlockDeviceMappingSpecification::builder().device_name(*name).ebs(goes).build()
        });
        let change = own.client.modify_instance_attribute().instance_id(id).set_block_device_mappings(Some(changes.collect()));
        own.call(Api::ModifyInstanceAttribute, change.send()).await.map_err(Halt::of_own)?;
    }
    Err(Halt::NotYet)
}

/// The names of a scanner's disks that would outlive it.
fn staying(scanner: &Instance) -> Vec<&str> {
    let disks = scanner.block_device_mappings().iter();
    let stays = |disk: &&InstanceBlockDeviceMapping| disk.ebs().is_some_and(|ebs| ebs.delete_on_termination() != Some(true));
    disks.filter(stays).filter_map(|disk| disk.device_name()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::VolumeAttachment;

    use super::*;

    #[test]
    fn a_volume_is_attached_once_and_to_its_own_scanner_only() {
        let volume = |state: VolumeState, to: Option<(&str, VolumeAttachmentState)>| {
            let attachments = to.map(|(instance, state)| vec![VolumeAttachment::builder().instance_id(instance).state(state).build()]);
            attachment(Some(&Volume::builder().state(state).set_attachments(attachments).build()), "i-1")
        };
        assert_eq!(volume(VolumeState::Available, None), Attachment::Free);
        assert_eq!(volume(VolumeState::Creating, None), Attachment::Underway);
        assert_eq!(volume(VolumeState::InUse, Some(("i-1", VolumeAttachmentState::Attaching))), Attachment::Underway);
        assert_eq!(volume(VolumeState::InUse, Some(("i-1", VolumeAttachmentState::Attached))), Attachment::Here);
        assert_eq!(volume(VolumeState::InUse, Some(("i-2", VolumeAttachmentState::Attached))), Attachment::Lost);
        assert_eq!((volume(VolumeState::Deleting, None), attachment(None, "i-1")), (Attachment::Lost, Attachment::Lost));
    }
}
