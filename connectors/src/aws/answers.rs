//! What EC2's answers mean, in our words. Pure.

use aws_sdk_ec2::types::{Image, Instance};
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata};

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// `pending`, `running`: it runs since its launch time.
    On,
    /// `stopping`, `stopped`, `shutting-down`, `terminated`.
    Off,
}

impl Power {
    /// Of EC2's word for an instance's state; `None` for one that is not known here.
    pub fn of_state(state: &str) -> Option<Self> {
        match state {
            "pending" | "running" => Some(Self::On),
            "stopping" | "stopped" | "shutting-down" | "terminated" => Some(Self::Off),
            _ => None,
        }
    }
}

/// All instances of a region, as they were at some time between two moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it says was still so then, or became so later.
    pub began: UtcSecond,
    /// What it says was so by then.
    pub ended: UtcSecond,
    /// The instances, in any state.
    pub instances: Vec<DescribedInstance>,
}

/// An instance as `DescribeInstances` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedInstance {
    /// `i-0123456789abcdef0`.
    pub id: String,
    /// EC2's word for its state.
    pub state: String,
    /// When it was last started.
    pub launched_at: Option<UtcSecond>,
    /// Why it is in its state, in EC2's words: `StateTransitionReason`, and `StateReason`'s code.
    pub reason: Option<String>,
    /// Its type.
    pub instance_type: Option<String>,
    /// Its image.
    pub image_id: Option<String>,
}

impl DescribedInstance {
    /// Of an answer; `None` for one without an id.
    pub fn of(instance: &Instance) -> Option<Self> {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let transition = text(instance.state_transition_reason());
        let code = text(instance.state_reason().and_then(|reason| reason.code()));
        let reason = match (transition, code) {
            (Some(transition), Some(code)) => Some(format!("{transition}; {code}")),
            (transition, code) => transition.or(code),
        };
        Some(Self {
            id: text(instance.instance_id())?,
            state: instance.state().and_then(|state| state.name()).map_or_else(|| "unknown".to_owned(), |name| name.as_str().to_owned()),
            launched_at: instance.launch_time().map(|time| UtcSecond(time.secs())),
            reason,
            instance_type: text(instance.instance_type().map(|kind| kind.as_str())),
            image_id: text(instance.image_id()),
        })
    }
}

/// The time in a reason: `User initiated (2024-01-31 10:00:00 GMT)`.
pub fn reason_time(reason: &str) -> Option<UtcSecond> {
    let mut rest = reason;
    while let Some(open) = rest.find('(') {
        let inner = &rest[open + 1..];
        let stamp = inner.split(')').next().unwrap_or_default();
        let time = stamp.strip_suffix(" GMT").or_else(|| stamp.strip_suffix(" UTC"));
        if let Some((date, clock)) = time.and_then(|time| time.split_once(' '))
            && let Ok(time) = UtcSecond::parse_prefix(&format!("{date}T{clock}Z"))
        {
            return Some(time);
        }
        rest = inner;
    }
    None
}

/// An image as `DescribeImages` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescribedImage {
    /// EC2 does not know this id, or does not show it to this account.
    Unavailable(String),
    /// It is known.
    Known {
        /// `ami-0123456789abcdef0`.
        id: String,
        /// What it is.
        metadata: Box<ImageMetadata>,
        /// Its tags, as this account sees them, in order of their keys.
        tags: Vec<(String, String)>,
    },
}

impl DescribedImage {
    /// Of an answer; `None` for one without an id.
    pub fn of(image: &Image) -> Option<Self> {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let root = image
            .block_device_mappings()
            .iter()
            .find(|device| device.device_name().is_some() && device.device_name() == image.root_device_name())
            .and_then(|device| device.ebs());
        let mut product_codes: Vec<String> = image
            .product_codes()
            .iter()
            .filter_map(|code| {
                let kind = code.product_code_type().map_or("unknown", |kind| kind.as_str());
                code.product_code_id().map(|id| format!("{kind}:{id}"))
            })
            .collect();
        product_codes.sort();
        let metadata = ImageMetadata {
            owner_id: text(image.owner_id()),
            owner_alias: text(image.image_owner_alias()),
            name: text(image.name()),
            platform: text(image.platform().map(|platform| platform.as_str())).map(|platform| platform.to_lowercase()),
            platform_details: text(image.platform_details()),
            usage_operation: text(image.usage_operation()),
            architecture: text(image.architecture().map(|architecture| architecture.as_str())),
            product_codes,
            creation_date: text(image.creation_date()),
            public: image.public().unwrap_or(false),
            root_snapshot_id: text(root.and_then(|ebs| ebs.snapshot_id())),
            encrypted: root.and_then(|ebs| ebs.encrypted()),
        };
        let mut tags: Vec<(String, String)> =
            image.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect();
        tags.sort();
        Some(Self::Known { id: text(image.image_id())?, metadata: Box::new(metadata), tags })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Unavailable(id) | Self::Known { id, .. } => id,
        }
    }

    /// What it says to an account, with tags of that account that were there before (`tags_before`) and are no longer as taken away. Nothing of an image that is not shown.
    pub fn facts(&self, account: &str, tags_before: &[String]) -> Vec<Fact> {
        let Self::Known { metadata, tags, .. } = self else { return Vec::new() };
        let tag = |key: &String, value| Fact::Tag { account_id: Some(account.to_owned()), key: key.clone(), value };
        let set = tags.iter().map(|(key, value)| tag(key, Some(value.clone())));
        let gone = tags_before.iter().filter(|key| tags.iter().all(|(there, _)| there != *key));
        let gone = gone.map(|key| tag(key, None));
        std::iter::once(Fact::Metadata((**metadata).clone())).chain(set).chain(gone).collect()
    }
}

/// The ids of a refused batch that EC2's message names: `The image ids '[ami-1, ami-2]' do not exist`.
pub fn unknown_images(message: &str, batch: &[String]) -> Vec<String> {
    let named: Vec<&str> = message.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
    batch.iter().filter(|id| named.contains(&id.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use aws_sdk_ec2::types::{
        BlockDeviceMapping, EbsBlockDevice, InstanceState, InstanceStateName, InstanceType, PlatformValues, ProductCode, ProductCodeValues,
        StateReason, Tag,
    };

    use super::*;

    #[test]
    fn the_time_is_read_from_a_reason_and_from_nothing_else() {
        let ten = UtcSecond::parse_prefix("2024-01-31T10:00:00Z").ok();
        assert_eq!(reason_time("User initiated (2024-01-31 10:00:00 GMT)"), ten);
        assert_eq!(reason_time("User initiated (2024-01-31 10:00:00 UTC); Client.UserInitiatedShutdown"), ten);
        assert_eq!(reason_time("Odd (thing) then (2024-01-31 10:00:00 GMT)"), ten);
        for without in
            ["", "Server.SpotInstanceTermination", "User initiated", "User initiated (yesterday GMT)", "(2024-02-31 10:00:00 GMT)", "("]
        {
            assert_eq!(reason_time(without), None, "{without}");
        }
    }

    #[test]
    fn each_state_of_ec2_is_on_or_off() {
        for name in InstanceStateName::values() {
            let on = matches!(*name, "pending" | "running");
            assert_eq!(Power::of_state(name), Some(if on { Power::On } else { Power::Off }), "{name}");
        }
        assert_eq!(Power::of_state("dreaming"), None);
    }

    #[test]
    fn an_instance_keeps_what_ec2_says_and_an_empty_reason_is_none() {
        let instance = Instance::builder()
            .instance_id("i-1")
            .image_id("ami-1")
            .instance_type(InstanceType::M5Large)
            .launch_time(DateTime::from_secs(1_700_000_000))
            .state(InstanceState::builder().name(InstanceStateName::Stopped).build())
            .state_transition_reason("User initiated (2024-01-31 10:00:00 GMT)")
            .state_reason(StateReason::builder().code("Client.UserInitiatedShutdown").build())
            .build();
        let described = DescribedInstance::of(&instance).unwrap();
        assert_eq!(described.launched_at, Some(UtcSecond(1_700_000_000)));
        assert_eq!(described.reason.as_deref(), Some("User initiated (2024-01-31 10:00:00 GMT); Client.UserInitiatedShutdown"));
        assert_eq!((described.state.as_str(), described.instance_type.as_deref()), ("stopped", Some("m5.large")));
        let bare = DescribedInstance::of(&Instance::builder().instance_id("i-2").state_transition_reason("").build()).unwrap();
        assert_eq!((bare.reason, bare.state.as_str()), (None, "unknown"));
        assert_eq!(DescribedInstance::of(&Instance::builder().build()), None);
    }

    #[test]
    fn an_image_is_told_with_billing_owner_root_and_tags() {
        let ebs = EbsBlockDevice::builder().snapshot_id("snap-1").encrypted(true).build();
        let image = Image::builder()
            .image_id("ami-1")
            .owner_id("309956199498")
            .name("RHEL-9-Access2")
            .platform(PlatformValues::Windows)
            .usage_operation("RunInstances:00g0")
            .platform_details("Red Hat BYOL Linux")
            .root_device_name("/dev/sda1")
            .block_device_mappings(BlockDeviceMapping::builder().device_name("/dev/sdb").build())
            .block_device_mappings(BlockDeviceMapping::builder().device_name("/dev/sda1").ebs(ebs).build())
            .product_codes(ProductCode::builder().product_code_id("abc").product_code_type(ProductCodeValues::Marketplace).build())
            .tags(Tag::builder().key("cloudigrade-rhel-present").build())
            .build();
        let described = DescribedImage::of(&image).unwrap();
        let facts = described.facts("1", &["old".to_owned(), "cloudigrade-rhel-present".to_owned()]);
        assert_eq!(facts.len(), 3);
        let Fact::Metadata(metadata) = &facts[0] else { panic!("{facts:?}") };
        assert_eq!(metadata.root_snapshot_id.as_deref(), Some("snap-1"));
        assert_eq!(metadata.encrypted, Some(true));
        assert_eq!(metadata.product_codes, ["marketplace:abc"]);
        assert_eq!(metadata.platform.as_deref(), Some("windows"));
        assert_eq!(metadata.usage_operation.as_deref(), Some("RunInstances:00g0"));
        let tag = |key: &str, value| Fact::Tag { account_id: Some("1".to_owned()), key: key.to_owned(), value };
        assert_eq!(facts[1..], [tag("cloudigrade-rhel-present", Some(String::new())), tag("old", None)]);
    }

    #[test]
    fn the_unknown_of_a_batch_are_those_that_the_message_names() {
        let batch = ["ami-1".to_owned(), "ami-12".to_owned(), "ami-3".to_owned()];
        assert_eq!(unknown_images("The image ids '[ami-12, ami-3]' do not exist", &batch), ["ami-12", "ami-3"]);
        assert_eq!(unknown_images("The image id '[ami-1]' does not exist", &batch), ["ami-1"]);
        assert!(unknown_images("no", &batch).is_empty());
    }
}
