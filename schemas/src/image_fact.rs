//! `image.facts`: what is known of machine images, each fact by itself. `image.tags`: what CloudTrail says of their tags, as it comes.
//! `image.sightings`: who uses them.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;
use crate::findings::{Findings, ImageFindings};
use crate::image::Override;
use crate::inspection::InspectionStage;

/// One fact about an image. A message of `image.facts`, in the image's partition; the latest of each key holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageFact {
    /// The image, `ami-0123456789abcdef0`.
    pub image_id: String,
    /// The region that it is in.
    pub region: String,
    /// When it was so: of two facts with one key the later one holds.
    pub at: UtcSecond,
    /// Where it was learned: an object and index (`uri#index`), or the API that said it.
    pub source: String,
    /// What is so.
    pub fact: Fact,
}

/// What can be known of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// What EC2 says of it. It is the same for all accounts that see the image.
    Metadata(ImageMetadata),
    /// EC2 does not know it, or does not show it to the account that used it. Each account's word for itself, beside the metadata: an image
    /// that one account cannot see is known all the same where another sees it, and one that was deregistered stays known for what it was.
    Unavailable {
        /// The account that asked. `None` in the messages of earlier versions, which did not tell it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account_id: Option<String>,
        /// Whether that is over: EC2 shows it to the account after all.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over: bool,
    },
    /// A tag was set or taken away. AWS keeps each account's tags of an image for itself, so one image has as many sets of tags as accounts
    /// tagged it.
    Tag {
        /// The account whose tag it is. `None` in the messages of earlier versions, and where CloudTrail did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account_id: Option<String>,
        /// The tag's key.
        key: String,
        /// Its value; `None` when the tag was taken away.
        #[serde(default)]
        value: Option<String>,
    },
    /// Somebody says what is in it, against all evidence.
    Override(Override),
    /// What its disks hold.
    Findings(Box<ImageFindings>),
    /// How far the newest attempt to read its disks is: the worker's word.
    Inspection(InspectionProgress),
    /// That somebody wants its disks read, or an attempt given up.
    InspectionRequest(InspectionRequest),
}

/// How far an attempt to inspect an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectionProgress {
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// How far it is.
    pub progress: InspectionStage,
}

/// What somebody wants done about inspecting an image. The latest holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectionRequest {
    /// What.
    pub wanted: InspectionWanted,
    /// Who wants it.
    pub by: String,
    /// The attempt that was the last to be over when it was asked for; 0 where none was. What is wanted is about the one after it.
    pub after_attempt: u32,
}

/// What can be wanted of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionWanted {
    /// To have it, whatever is known of the image; also agrees to what it costs.
    Inspect,
    /// To have it given up.
    Abort,
}

/// What `DescribeImages` says. Absent fields are those that EC2 left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageMetadata {
    /// The account that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<String>,
    /// `amazon`, `aws-marketplace`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_alias: Option<String>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `windows`, or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// `Red Hat Enterprise Linux`, `Linux/UNIX`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_details: Option<String>,
    /// The billing code, `RunInstances:0010`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_operation: Option<String>,
    /// `x86_64`, `arm64`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Product codes, as `type:id`: `marketplace:...`, `devpay:...`.
    #[serde(default)]
    pub product_codes: Vec<String>,
    /// When it was made, as EC2 writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creation_date: Option<String>,
    /// Whether everybody may launch it.
    #[serde(default)]
    pub public: bool,
    /// Its root device's snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_snapshot_id: Option<String>,
    /// Whether its root snapshot is encrypted, where EC2 says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<bool>,
}

impl Fact {
    /// Its stable word, as in JSON and tables.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Metadata(_) => "metadata",
            Self::Unavailable { .. } => "unavailable",
            Self::Tag { .. } => "tag",
            Self::Override(_) => "override",
            Self::Findings(_) => "findings",
            Self::Inspection(_) => "inspection",
            Self::InspectionRequest(_) => "inspection_request",
        }
    }

    /// Which fact of its image it is, as an image has one of each: `metadata`, `unavailable/ACCOUNT`, `tag/ACCOUNT/KEY`,
    /// `override/PRODUCT/TENANT`, `findings`, `inspection` or `inspection_request`. That an unnamed account does not see it was written under
    /// `metadata`, and stands there until there are metadata; a tag of an unnamed account is `tag//KEY`.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Metadata(_) | Self::Unavailable { account_id: None, .. } => Cow::Borrowed("metadata"),
            Self::Unavailable { account_id: Some(account_id), .. } => Cow::Owned(format!("unavailable/{account_id}")),
            Self::Tag { account_id, key, .. } => Cow::Owned(format!("tag/{}/{key}", account_id.as_deref().unwrap_or_default())),
            Self::Override(said) => Cow::Owned(format!("override/{}/{}", said.product.word(), said.tenant.as_deref().unwrap_or_default())),
            Self::Findings(_) | Self::Inspection(_) | Self::InspectionRequest(_) => Cow::Borrowed(self.word()),
        }
    }
}

impl ImageFact {
    /// The key in the topic: `region/image/` and [`Fact::name`].
    pub fn to_key(&self) -> String {
        format!("{}/{}/{}", self.region, self.image_id, self.fact.name())
    }

    /// What decides its partition: the image.
    pub fn partition_key(&self) -> &str {
        &self.image_id
    }

    /// What was found in each image of a batch that is in one region, as facts.
    pub fn of_findings(findings: Findings, region: &str, at: UtcSecond, source: &str) -> Vec<Self> {
        let fact = |(image_id, found): (String, ImageFindings)| Self {
            image_id,
            region: region.to_owned(),
            at,
            source: source.to_owned(),
            fact: Fact::Findings(Box::new(found)),
        };
        findings.images.into_iter().map(fact).collect()
    }
}

/// Characters of a tag's key, at most: what AWS takes.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of a tag's value, at most: what AWS takes.
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// What one call of `CreateTags` or `DeleteTags` says of one tag of one image. A message of `image.tags`, keyed by the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageTag {
    /// The image.
    pub image_id: String,
    /// The region that it is in.
    pub region: String,
    /// When the call was made.
    pub at: UtcSecond,
    /// The object and record index that told it, `uri#index`.
    pub source: String,
    /// The account whose tag it is; `None` where CloudTrail did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The tag's key; `None` when all tags of the account were taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its value; `None` when it was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// That an account uses an image: the first time that is known. A message of `image.sightings`, in the image's partition; the latest of each key
/// holds.
///
/// Instances of one account are in many partitions of `power.events`, and each tells for itself. So of one image and account there can be
/// as many messages as there are partitions, and the earliest is the first use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageSighting {
    /// The image.
    pub image_id: String,
    /// The region that it was used in.
    pub region: String,
    /// The account whose instance was made of it; empty where CloudTrail did not say.
    pub account_id: String,
    /// When.
    pub at: UtcSecond,
}

impl ImageSighting {
    /// The key in the topic, of what one partition of `power.events` tells.
    pub fn to_key(&self, partition: u32) -> String {
        format!("{}/{}/{}/{partition}", self.region, self.image_id, self.account_id)
    }
}
