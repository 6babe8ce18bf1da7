//! Copies: of an image that is somebody else's into the reader's account, and of a snapshot into ours.

use aws_sdk_ec2::types::{ResourceType, Snapshot, SnapshotState};
use cloudigrade_connectors::aws::{Api, FailureKind};
use cloudigrade_schemas::inspection::{Inspection, SpecialImage};

use super::AwsCloud;
use super::halt::{Halt, Outcome, speaks_of_keys, speaks_of_storage};
use super::limits::IMAGE_NAME_CHARS_MAX;
use super::tags::Tags;

impl AwsCloud {
    /// See [`crate::cloud::Cloud::copy_image`].
    pub(super) async fn start_image_copy(&self, inspection: &Inspection) -> Outcome<String> {
        let ec2 = self.reader(inspection).await?;
        if let Some(copy) = self.find_copy(&ec2, inspection).await?
            && let Some(id) = copy.image_id()
        {
            return Ok(id.to_owned());
        }
        let tags = Tags::of_attempt(&self.settings, inspection);
        let name: String = format!("cloudigrade copy of {} for {}", inspection.image_id, inspection.command_id);
        let copy = ec2
            .client
            .copy_image()
            .source_image_id(&inspection.image_id)
            .source_region(&inspection.region)
            .name(name.chars().take(IMAGE_NAME_CHARS_MAX).collect::<String>())
            .description("Made to look into the image once; it is removed afterwards.")
            .client_token(tags.token("image"))
            .tag_specifications(tags.specification(ResourceType::Image))
            .tag_specifications(tags.specification(ResourceType::Snapshot));
        match ec2.call(Api::CopyImage, copy.send()).await {
            Ok(copied) => copied.image_id.ok_or_else(|| Halt::retry("ec2:CopyImage gave no id")),
            Err(error) => {
                // Whether an image is public tells apart who can do something about its storage.
                let is_public = speaks_of_storage(&error)
                    && ec2.image(&inspection.image_id).await?.and_then(|image| image.public()).unwrap_or_default();
                Err(Halt::of_disk(error, is_public, is_encrypted(inspection)))
            }
        }
    }

    /// See [`crate::cloud::Cloud::copy_snapshot`].
    pub(super) async fn start_snapshot_copy(&self, inspection: &Inspection) -> Outcome<String> {
        let source = inspection.snapshot_id().ok_or_else(|| Halt::missing(format!("no snapshot of {} is known", inspection.image_id)))?;
        let (own, tags) = (self.own(), Tags::of_attempt(&self.settings, inspection));
        // A copy in the same account and region has the tags of the image's copy as well, but for those that it is made with.
        let mut copies = own.snapshots(tags.filters()).await.map_err(Halt::of_own)?;
        copies.retain(|copy| copy.snapshot_id() != Some(source) && copy.state() != Some(&SnapshotState::Error));
        copies.sort_by(|a, b| a.snapshot_id().cmp(&b.snapshot_id()));
        if let Some(id) = copies.first().and_then(|copy| copy.snapshot_id()) {
            return Ok(id.to_owned());
        }
        let copy = own
            .client
            .copy_snapshot()
            .source_region(&inspection.region)
            .source_snapshot_id(source)
            .description(format!("cloudigrade: {} for {}", inspection.image_id, inspection.command_id))
            .tag_specifications(tags.specification(ResourceType::Snapshot));
        match own.call(Api::CopySnapshot, copy.send()).await {
            Ok(copied) => copied.snapshot_id.ok_or_else(|| Halt::retry("ec2:CopySnapshot gave no id")),
            // We may copy snapshots, as others show; this one's key is what we may not use.
            Err(error) if is_encrypted(inspection) && speaks_of_keys(&error.message.to_lowercase()) && !error.is_transient() => {
                Err(Halt::Refused { special: SpecialImage::Encrypted, detail: error.to_string() })
            }
            // Another image of the same snapshot may have taken the sharing back after it was seen.
            Err(error) if error.kind == FailureKind::NotFound => {
                self.share(inspection).await?;
                Err(Halt::of_own(error))
            }
            Err(error) => Err(Halt::of_own(error)),
        }
    }

    /// See [`crate::cloud::Cloud::check_snapshot`].
    pub(super) async fn snapshot_is_complete(&self, inspection: &Inspection) -> Outcome<()> {
        let id = inspection.made.snapshot_copy_id.as_deref();
        let id = id.ok_or_else(|| Halt::missing(format!("no copy of the snapshot of {} is known", inspection.image_id)))?;
        let snapshot = self.own().snapshot(id).await.map_err(Halt::of_own)?;
        complete(&snapshot.ok_or_else(|| Halt::missing(format!("the copied snapshot {id} is not there")))?, is_encrypted(inspection))
    }
}

/// Whether the disk of an image is known to be encrypted.
pub(super) fn is_encrypted(inspection: &Inspection) -> bool {
    inspection.disk.as_ref().is_some_and(|disk| disk.encrypted)
}

fn complete(snapshot: &Snapshot, is_encrypted: bool) -> Outcome<()> {
    match snapshot.state() {
        Some(SnapshotState::Completed) => Ok(()),
        Some(SnapshotState::Error) => {
            let why = snapshot.state_message().unwrap_or("AWS does not say why");
            let detail = format!("the copied snapshot {} failed: {why}", snapshot.snapshot_id().unwrap_or("?"));
            let is_of_key = speaks_of_keys(&why.to_lowercase()) || (is_encrypted && snapshot.state_message().is_none_or(str::is_empty));
            Err(match is_of_key {
                true => Halt::Refused { special: SpecialImage::Encrypted, detail },
                false => Halt::Failed { detail },
            })
        }
        _ => Err(Halt::NotYet),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_failed_for_its_key_is_told_apart_from_one_that_just_failed() {
        let of = |state, message: &str, is_encrypted| {
            complete(&Snapshot::builder().snapshot_id("snap-1").state(state).state_message(message).build(), is_encrypted)
        };
        assert_eq!(of(SnapshotState::Pending, "", true), Err(Halt::NotYet));
        assert_eq!(of(SnapshotState::Completed, "", true), Ok(()));
        for is_encrypted in [false, true] {
            assert!(matches!(of(SnapshotState::Error, "internal error", is_encrypted), Err(Halt::Failed { .. })));
        }
        for (message, is_encrypted) in [("Given key ID is not accessible", false), ("", true)] {
            let told = of(SnapshotState::Error, message, is_encrypted);
            assert!(matches!(told, Err(Halt::Refused { special: SpecialImage::Encrypted, .. })));
        }
    }
}
