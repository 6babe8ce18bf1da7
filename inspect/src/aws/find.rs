//! An image's root disk: whether it can be read, and where it is.

use aws_sdk_ec2::types::{DeviceType, Image, ImageState, ProductCodeValues, Snapshot};
use cloudigrade_connectors::aws::Target;
use cloudigrade_schemas::inspection::{CopiedFrom, Inspection, SourceDisk, SpecialImage};

use super::AwsCloud;
use super::clients::{Ec2, reader_of};
use super::halt::{Halt, Outcome, is_gone, speaks_of_keys};
use super::tags::{Tags, value};
use crate::cloud::TAG_INSTALLATION;
use crate::limits::MISSING_TRIES_MAX;

impl AwsCloud {
    /// See [`crate::cloud::Cloud::find_disk`].
    pub(super) async fn root_disk(&self, inspection: &Inspection) -> Outcome<SourceDisk> {
        let reader = reader_of(inspection)?;
        let partition = Target::new(&reader.role_arn, "").map(|target| target.partition);
        if partition.as_ref().is_ok_and(|partition| *partition != self.settings.partition) {
            return refused(SpecialImage::OtherPartition, format!("{} is not in partition {}", reader.role_arn, self.settings.partition));
        }
        let ec2 = self.reader(inspection).await?;
        let id = &inspection.image_id;
        let image = match ec2.image(id).await {
            Ok(Some(image)) => image,
            Ok(None) => return Err(Halt::missing(format!("account {} is not shown the image {id}", reader.account_id))),
            Err(error) if is_gone(&error) => return refused(SpecialImage::ImageGone, error.to_string()),
            Err(error) => return Err(error.into()),
        };
        check_state(&image, id)?;
        if let Some(code) = sold_by(&image) {
            return refused(SpecialImage::Marketplace, format!("{id} has the product code {code} of AWS Marketplace"));
        }
        let root = root_of(&image).ok_or_else(|| Halt::Refused {
            special: SpecialImage::NoSnapshot,
            detail: format!("the root device of {id} has no snapshot"),
        })?;
        match ec2.snapshot(&root.snapshot_id).await? {
            Some(snapshot) => Ok(SourceDisk { copy_of: copied_from(&image), ..disk_of(&snapshot, &root) }),
            // Whoever owns an image sees its snapshot. That it is gone has to be said more than once.
            None if image.owner_id() == Some(reader.account_id.as_str()) => {
                let detail = format!("the snapshot {} of {id} does not exist", root.snapshot_id);
                if may_come(inspection) { Err(Halt::missing(detail)) } else { refused(SpecialImage::ImageGone, detail) }
            }
            None => Ok(SourceDisk {
                snapshot_id: root.snapshot_id,
                owner_id: None,
                size_gib: root.size_gib,
                encrypted: root.encrypted,
                kms_key_id: None,
                copy_of: copied_from(&image),
            }),
        }
    }

    /// See [`crate::cloud::Cloud::find_copied_disk`].
    pub(super) async fn copied_disk(&self, inspection: &Inspection) -> Outcome<SourceDisk> {
        let ec2 = self.reader(inspection).await?;
        let image = self
            .find_copy(&ec2, inspection)
            .await?
            .ok_or_else(|| Halt::missing(format!("the copy of {} is not there", inspection.image_id)))?;
        match image.state() {
            Some(ImageState::Available) => {}
            Some(ImageState::Pending | ImageState::Transient) => return Err(Halt::NotYet),
            state => {
                let why = image.state_reason().and_then(|reason| reason.message()).unwrap_or("AWS does not say why");
                let detail = format!("the copy of {} is {}: {why}", inspection.image_id, state.map_or("in no state", ImageState::as_str));
                return Err(match speaks_of_keys(&why.to_lowercase()) {
                    true => Halt::Refused { special: SpecialImage::Encrypted, detail },
                    false => Halt::Failed { detail },
                });
            }
        }
        let root =
            root_of(&image).ok_or_else(|| Halt::Failed { detail: format!("the copy of {} has no snapshot", inspection.image_id) })?;
        let snapshot = ec2.snapshot(&root.snapshot_id).await?;
        let snapshot =
            snapshot.ok_or_else(|| Halt::missing(format!("the snapshot of the copy of {} is not there", inspection.image_id)))?;
        if value(snapshot.tags(), TAG_INSTALLATION) != Some(self.settings.installation.as_str()) {
            return Err(Halt::missing(format!("the snapshot of the copy of {} is not tagged as ours", inspection.image_id)));
        }
        Ok(disk_of(&snapshot, &root))
    }

    /// The copy of an attempt's image, by its id or else by its tags.
    pub(super) async fn find_copy(&self, ec2: &Ec2, inspection: &Inspection) -> Outcome<Option<Image>> {
        if let Some(id) = &inspection.made.image_copy_id {
            match ec2.image(id).await {
                Ok(Some(image)) => return Ok(Some(image)),
                Ok(None) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut copies = ec2.images(Tags::of_attempt(&self.settings, inspection).filters()).await?;
        copies.sort_by(|a, b| a.image_id().cmp(&b.image_id()));
        Ok(copies.into_iter().next())
    }
}

/// Whether what is not there is looked for once more: AWS does not always show at once what there is.
pub(super) fn may_come(inspection: &Inspection) -> bool {
    inspection.missing.saturating_add(1) < MISSING_TRIES_MAX
}

fn refused<T>(special: SpecialImage, detail: String) -> Outcome<T> {
    Err(Halt::Refused { special, detail })
}

fn check_state(image: &Image, id: &str) -> Outcome<()> {
    match image.state() {
        // Whoever disables an image still sees it, and its snapshot is as it was.
        Some(ImageState::Available | ImageState::Disabled) => Ok(()),
        Some(ImageState::Failed | ImageState::Invalid | ImageState::Error) => {
            let why = image.state_reason().and_then(|reason| reason.message()).unwrap_or("AWS does not say why");
            refused(SpecialImage::ImageFailed, format!("{id} is {}: {why}", image.state().map_or("failed", ImageState::as_str)))
        }
        Some(ImageState::Deregistered) => refused(SpecialImage::ImageGone, format!("{id} is deregistered")),
        _ => Err(Halt::NotYet),
    }
}

/// The code by which an image is sold, if it is.
fn sold_by(image: &Image) -> Option<&str> {
    let sold = image.product_codes().iter().find(|code| code.product_code_type() == Some(&ProductCodeValues::Marketplace));
    sold.map(|code| code.product_code_id().unwrap_or("?"))
}

/// An image's root disk, as the image tells it.
struct Root {
    snapshot_id: String,
    size_gib: u32,
    encrypted: bool,
}

fn root_of(image: &Image) -> Option<Root> {
    if image.root_device_type().is_some_and(|kind| *kind == DeviceType::InstanceStore) {
        return None;
    }
    let disks = image.block_device_mappings();
    let with_snapshot = |disk: &&aws_sdk_ec2::types::BlockDeviceMapping| disk.ebs().and_then(|ebs| ebs.snapshot_id()).is_some();
    let named =
        disks.iter().filter(with_snapshot).find(|disk| disk.device_name().is_some() && disk.device_name() == image.root_device_name());
    // Some images call their only disk by another name than their root device: /dev/sda and /dev/sda1.
    let ebs = named.or_else(|| disks.iter().find(with_snapshot).filter(|_| disks.iter().filter(with_snapshot).count() == 1))?.ebs()?;
    Some(Root {
        snapshot_id: ebs.snapshot_id()?.to_owned(),
        size_gib: ebs.volume_size().and_then(|gib| u32::try_from(gib).ok()).unwrap_or_default(),
        encrypted: ebs.encrypted().unwrap_or_default(),
    })
}

fn disk_of(snapshot: &Snapshot, root: &Root) -> SourceDisk {
    SourceDisk {
        snapshot_id: root.snapshot_id.clone(),
        owner_id: snapshot.owner_id().map(str::to_owned),
        size_gib: snapshot.volume_size().and_then(|gib| u32::try_from(gib).ok()).unwrap_or(root.size_gib),
        encrypted: snapshot.encrypted().unwrap_or(root.encrypted),
        kms_key_id: snapshot.kms_key_id().map(str::to_owned),
        copy_of: None,
    }
}

/// The image that this one is a copy of. EC2 also names the image that an instance ran when this one was made of it, but then it names the instance
/// too: what the instance did to its disk since is not in that image (EC2 User Guide, AMI ancestry).
fn copied_from(image: &Image) -> Option<CopiedFrom> {
    let (image_id, region) = image.source_image_id().zip(image.source_image_region())?;
    let is_copy = image.source_instance_id().is_none() && !image_id.is_empty() && !region.is_empty();
    is_copy.then(|| CopiedFrom { image_id: image_id.to_owned(), region: region.to_owned() })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{BlockDeviceMapping, EbsBlockDevice, ProductCode};

    use super::*;

    fn disk(name: &str, snapshot: Option<&str>) -> BlockDeviceMapping {
        let ebs = EbsBlockDevice::builder().set_snapshot_id(snapshot.map(str::to_owned)).volume_size(10).build();
        BlockDeviceMapping::builder().device_name(name).ebs(ebs).build()
    }

    fn root(root_name: &str, disks: &[BlockDeviceMapping]) -> Option<String> {
        let image = Image::builder().root_device_name(root_name).set_block_device_mappings(Some(disks.to_vec())).build();
        root_of(&image).map(|root| root.snapshot_id)
    }

    #[test]
    fn the_root_disk_is_the_one_that_the_image_names_or_its_only_one() {
        let (a, b) = (disk("/dev/sda1", Some("snap-a")), disk("/dev/sdb", Some("snap-b")));
        assert_eq!(root("/dev/sdb", &[a.clone(), b.clone()]).as_deref(), Some("snap-b"));
        assert_eq!(root("/dev/sda", &[a.clone(), disk("/dev/sdc", None)]).as_deref(), Some("snap-a"));
        assert_eq!(root("/dev/sda", &[a, b]), None);
        assert_eq!(root("/dev/sda1", &[disk("/dev/sda1", None)]), None);
        let stored = Image::builder().root_device_type(DeviceType::InstanceStore).block_device_mappings(disk("/dev/sda1", Some("snap-a")));
        assert!(root_of(&stored.root_device_name("/dev/sda1").build()).is_none());
    }

    #[test]
    fn each_state_of_an_image_means_something() {
        let told = |state: ImageState| check_state(&Image::builder().state(state).build(), "ami-1");
        assert_eq!(
            (told(ImageState::Available), told(ImageState::Disabled), told(ImageState::Pending)),
            (Ok(()), Ok(()), Err(Halt::NotYet))
        );
        for state in [ImageState::Failed, ImageState::Invalid, ImageState::Error] {
            assert!(matches!(told(state), Err(Halt::Refused { special: SpecialImage::ImageFailed, .. })));
        }
        assert!(matches!(told(ImageState::Deregistered), Err(Halt::Refused { special: SpecialImage::ImageGone, .. })));
    }

    #[test]
    fn only_product_codes_of_the_marketplace_make_an_image_one_that_is_sold() {
        let code = |kind| ProductCode::builder().product_code_id("abc").product_code_type(kind).build();
        let of = |kind| sold_by(&Image::builder().product_codes(code(kind)).build()).map(str::to_owned);
        assert_eq!((of(ProductCodeValues::Marketplace).as_deref(), of(ProductCodeValues::Devpay)), (Some("abc"), None));
    }

    #[test]
    fn an_image_is_a_copy_of_its_source_unless_an_instance_came_between() {
        let image = || Image::builder().source_image_id("ami-1").source_image_region("us-east-1");
        assert_eq!(copied_from(&image().build()), Some(CopiedFrom { image_id: "ami-1".into(), region: "us-east-1".into() }));
        assert_eq!(copied_from(&image().source_instance_id("i-1").build()), None);
        assert_eq!(copied_from(&Image::builder().source_image_id("ami-1").build()), None);
    }
}
