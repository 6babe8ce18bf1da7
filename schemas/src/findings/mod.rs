//! The findings of inspections: what is on the disks of machine images.
//!
//! The first fields of each object are those of cloudigrade's first inspector, with its names and rules, so that what read its messages
//! reads these. What follows them was added. Maps are ordered: the same disks give the same text.

mod facts;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use facts::{
    Architecture, DatabaseState, EnabledRepos, Facts, OsReleaseFile, Packages, Product, ProductCerts, ReleaseFile, ReleaseFiles,
    ReleasePackage, Repo, SignedPackages, Signer, Unread, UnreadKind,
};

/// What was found in a batch of images. A message of `inspection.findings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// The cloud that the images are of: `aws`, `gcp`, `azure`.
    pub cloud: String,
    /// All errors of all images, in their order.
    pub errors: Vec<String>,
    /// What was found in each image, by its id.
    pub images: BTreeMap<String, ImageFindings>,
}

/// What was found in one image, over all of its disks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageFindings {
    /// Whether any of the four facts below speaks for RHEL: a hint. [`ImageFindings::is_rhel`] is the verdict.
    pub rhel_found: bool,
    /// Whether a package signed by Red Hat is installed.
    pub rhel_signed_packages_found: bool,
    /// Whether a product certificate of RHEL is there.
    pub rhel_product_certs_found: bool,
    /// Whether a release file names Red Hat.
    pub rhel_release_files_found: bool,
    /// Whether a repository of RHEL is enabled.
    pub rhel_enabled_repos_found: bool,
    /// The version, where release files name Red Hat.
    pub rhel_version: Option<String>,
    /// The system purpose, where anything speaks for RHEL.
    pub syspurpose: Option<serde_json::Value>,
    /// What went wrong.
    pub errors: Vec<String>,
    /// What was found on each volume, by its disk and then its own name.
    pub drives: BTreeMap<String, BTreeMap<String, PartitionFindings>>,

    /// How far the inspection could look.
    #[serde(default)]
    pub inspected: Inspected,
    /// Whether RHEL is installed; null where that cannot be known.
    #[serde(default)]
    pub is_rhel: Option<bool>,
    /// Why [`ImageFindings::is_rhel`] is what it is, the deciding reason first.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What speaks against the verdict.
    #[serde(default)]
    pub conflicts: Vec<String>,
    /// What is installed, where that is known.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// What the version of the distribution was taken from.
    #[serde(default)]
    pub version_source: Option<VersionSource>,
    /// Products that Red Hat's certificates name.
    #[serde(default)]
    pub products: Vec<Product>,
    /// The architecture: `x86_64`, `aarch64`, `ppc64le`, `s390x`.
    #[serde(default)]
    pub architecture: Option<String>,
    /// What a reader of these findings must know: what they do not take into account.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// Bytes that were read of all disks together; what was read twice counts twice.
    #[serde(default)]
    pub bytes_read: u64,
    /// A fingerprint of what was read: the same version of houndigrade gives disks with the same contents the same one, whatever they are called and
    /// wherever they are. Absent where something could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// How far an inspection could look, at an image or at one of its volumes.
///
/// Where a system was found in an image, that is `complete` or `partial`. Where none was, it is the first of `encrypted`, `corrupt`,
/// `unsupported` that any volume is, because a system may be there; and `complete` if all volumes were understood and there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inspected {
    /// All that could matter was read.
    Complete,
    /// Something was found, but not all that could matter was read.
    Partial,
    /// It is encrypted.
    Encrypted,
    /// It is of a kind that is not read.
    Unsupported,
    /// It is damaged, cannot be read, or ended its inspection. Also where nothing is known at all.
    #[default]
    Corrupt,
}

impl Inspected {
    /// The word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Encrypted => "encrypted",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
        }
    }
}

/// An installed distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// As in os-release: `rhel`, `centos`, `ol`.
    pub id: String,
    /// Its version, as far as it is known: `9.4`.
    pub version: Option<String>,
    /// How it names itself, where it does.
    pub name: Option<String>,
}

/// What a version was taken from, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionSource {
    /// `VERSION_ID` of os-release.
    OsRelease,
    /// The text of a release file.
    ReleaseFile,
    /// The package that holds the release files.
    ReleasePackage,
    /// A product certificate.
    ProductCertificate,
}

/// What was found on one volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionFindings {
    /// Why no files could be read, where none could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What its files say. Absent where they could not be read, and where they are seen as part of another volume's system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,

    /// How far it could be looked into.
    #[serde(default)]
    pub inspected: Inspected,
    /// What it holds, for people: `ext4`, `xfs`, `swap`, `LUKS 2`.
    #[serde(default)]
    pub contents: String,
    /// The volume whose system this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
    /// Volumes that are parts of the system on this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<JoinedVolume>,
    /// What the facts do not take into account, such as a journal that could not be replayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// A volume that is a part of the system on another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct JoinedVolume {
    /// Its name.
    pub volume: String,
    /// Where it is in the system: `/usr`.
    pub mounted_at: String,
}
