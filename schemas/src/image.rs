//! `images`: what is known of each machine image, and what follows from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;
use crate::image_fact::InspectionProgress;

/// A product that is metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// Red Hat Enterprise Linux.
    Rhel,
    /// Red Hat OpenShift.
    Openshift,
}

impl Product {
    /// All products.
    pub const ALL: [Self; 2] = [Self::Rhel, Self::Openshift];

    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rhel => "rhel",
            Self::Openshift => "openshift",
        }
    }
}

/// How far the look into an image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageStatus {
    /// It was seen; nothing has looked into it yet.
    #[default]
    Pending,
    /// Its disk is being made ready.
    Preparing,
    /// Its disk is being read.
    Inspecting,
    /// All is known that will be, by its disk or without it: `status_reason` says which.
    Inspected,
    /// It could not be looked into.
    Error,
    /// EC2 does not know it, or shows it to none of the accounts that used it.
    Unavailable,
}

impl ImageStatus {
    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Preparing => "preparing",
            Self::Inspecting => "inspecting",
            Self::Inspected => "inspected",
            Self::Error => "error",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Who is paid for the product in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillingModel {
    /// The cloud, by the hour.
    Payg,
    /// The vendor: customers bring their subscription.
    Byos,
    /// Nothing says.
    #[default]
    Unknown,
}

impl BillingModel {
    /// All models.
    pub const ALL: [Self; 3] = [Self::Payg, Self::Byos, Self::Unknown];

    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Payg => "payg",
            Self::Byos => "byos",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that says something about a product in an image, apart from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What says it, a stable word: `tag`, `platform`, `cloud_access`, `hourly_image`, `billing_code`, `product_code`, `inspection`,
    /// `copy_refused`, `signed_packages`, `product_certificates`, `release_files`, `enabled_repositories`. That AWS lets nobody copy what it bills
    /// is `copy_refused`. An inspection's verdict is `inspection`; the last four are what the disks hold, and hints alone.
    pub kind: String,
    /// About which product.
    pub product: Product,
    /// Whether it says that the product is there.
    pub found: bool,
    /// What it is, in words: the tag's key, the code, the file.
    pub detail: String,
    /// Where it was learned.
    pub source: String,
    /// Whose tag it is, where it is one and that was told: it counts for the tenants of that account only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// When it was so.
    pub at: UtcSecond,
}

impl Evidence {
    /// The word of [`Evidence::kind`] for tags.
    pub const TAG: &str = "tag";

    /// Whether it is a tag.
    pub fn is_tag(&self) -> bool {
        self.kind == Self::TAG
    }
}

/// What somebody says of an image against all evidence. The latest of each tenant and product holds; `is: None` takes it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    /// For whose accounts it holds; `None` for everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// About which product.
    pub product: Product,
    /// Whether the product is there; `None` leaves it to the evidence.
    pub is: Option<bool>,
    /// Who says so.
    pub by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub at: UtcSecond,
}

/// A system's purpose, as `syspurpose.json` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Syspurpose {
    /// `Red Hat Enterprise Linux Server`, ...
    pub role: Option<String>,
    /// `Premium`, ...
    pub service_level_agreement: Option<String>,
    /// `Production`, ...
    pub usage: Option<String>,
    /// `L1-L3`, ...
    pub service_type: Option<String>,
}

/// An account that uses an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ImageUse {
    /// When it first did.
    pub since: UtcSecond,
    /// The account; empty where CloudTrail did not say.
    pub account_id: String,
    /// The region.
    pub region: String,
}

/// How an image stands, as far as tags can change it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Standing {
    /// How far the look into it is.
    pub status: ImageStatus,
    /// Why it is so, with what the user can do, in words.
    pub status_reason: String,
    /// Whether RHEL is in it, by the evidence.
    pub rhel_detected: Option<bool>,
    /// Whether OpenShift is in it, by the evidence.
    pub openshift_detected: Option<bool>,
    /// Who is paid.
    pub billing_model: BillingModel,
}

impl Standing {
    /// How it stands for those whose tag says that a product is there. Of an image that is known without, nothing else changes.
    #[must_use]
    pub fn tagged(mut self, product: Product) -> Self {
        match product {
            Product::Openshift => self.openshift_detected = Some(true),
            Product::Rhel => {
                self.rhel_detected = Some(true);
                if self.billing_model == BillingModel::Unknown {
                    self.billing_model = BillingModel::Byos;
                }
                if self.status != ImageStatus::Inspected {
                    self.status = ImageStatus::Inspected;
                    self.status_reason = format!("Its tag {RHEL_TAG} says that RHEL is in it.");
                }
            }
        }
        self
    }

    /// How it stands for those who see some of its tags.
    #[must_use]
    pub fn with_tags<'e>(self, tags: impl IntoIterator<Item = &'e Evidence>) -> Self {
        tags.into_iter().filter(|tag| tag.is_tag() && tag.found).fold(self, |standing, tag| standing.tagged(tag.product))
    }
}

/// Bytes of an image's id, at most.
pub const IMAGE_ID_BYTES_MAX: usize = 64;

/// Whether this is an id of an image, as AWS writes them.
pub fn is_image_id(text: &str) -> bool {
    let is_id = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.len() <= IMAGE_ID_BYTES_MAX && text.strip_prefix("ami-").is_some_and(is_id)
}

/// The tag by which an account says that RHEL is in an image. Its value means nothing.
pub const RHEL_TAG: &str = "cloudigrade-rhel-present";
/// The tag by which an account says that OpenShift is in an image. Its value means nothing.
pub const OPENSHIFT_TAG: &str = "cloudigrade-ocp-present";

/// A machine image as it stands, with the tags of all accounts. A message of `images`, keyed by the image; the latest holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Image {
    /// The image, `ami-0123456789abcdef0`.
    pub image_id: String,
    /// The region that it is in; empty where nothing told it.
    pub region: String,
    /// How far the look into it is.
    pub status: ImageStatus,
    /// Why it is so, with what the user can do, in words.
    pub status_reason: String,
    /// What EC2 says of it, as far as it does.
    pub metadata: Option<crate::image_fact::ImageMetadata>,
    /// Whether its snapshot is encrypted.
    pub is_encrypted: bool,
    /// Whether it is sold in AWS Marketplace, or billed by AWS for its vendor.
    pub is_marketplace: bool,
    /// Whether it is one of the vendor's images for customers who bring their subscription.
    pub is_cloud_access: bool,
    /// Whether RHEL is in it, by the evidence; `None` where nothing has been looked at.
    pub rhel_detected: Option<bool>,
    /// Whether OpenShift is in it, by the evidence.
    pub openshift_detected: Option<bool>,
    /// The version of RHEL.
    pub rhel_version: Option<String>,
    /// Who is paid.
    pub billing_model: BillingModel,
    /// `x86_64`, `arm64`, ...
    pub architecture: Option<String>,
    /// What the system is for.
    pub syspurpose: Option<Syspurpose>,
    /// How it stands for those who see none of its tags; `None` where it has none that says anything. With [`Standing::with_tags`] it gives how
    /// it stands for those who see some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untagged: Option<Standing>,
    /// All that says something, in order.
    pub evidence: Vec<Evidence>,
    /// What was said against it; one a tenant and product, in order.
    pub overrides: Vec<Override>,
    /// When it was first seen in use.
    pub first_seen_at: Option<UtcSecond>,
    /// The latest moment of all that this follows from.
    pub changed_at: Option<UtcSecond>,
    /// Who used it first, some accounts at most, in that order: whom to ask for its disks.
    pub used_by: Vec<ImageUse>,
    /// How far the newest attempt to read its disks is.
    pub inspection: Option<InspectionProgress>,
}

impl Image {
    /// Whether a product counts for a tenant: the tenant's override, else everybody's, else the evidence. Images that AWS bills for the
    /// vendor need no subscription, so they do not count as RHEL, whatever is in them, unless an override says so. `None` where nothing is known.
    pub fn counts(&self, product: Product, tenant: Option<&str>) -> Option<bool> {
        let said = |whose: Option<&str>| {
            let of = |said: &&Override| said.product == product && said.tenant.as_deref() == whose;
            self.overrides.iter().find(of).and_then(|said| said.is)
        };
        let overridden = tenant.and_then(|tenant| said(Some(tenant))).or_else(|| said(None));
        overridden.or(match product {
            Product::Rhel if self.is_marketplace => Some(false),
            Product::Rhel => self.rhel_detected,
            Product::Openshift => self.openshift_detected,
        })
    }
}
