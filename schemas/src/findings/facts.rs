//! What the files of one system say, fact by fact.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All facts of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Release files.
    pub rhel_release_files: ReleaseFiles,
    /// Product certificates.
    pub rhel_product_certs: ProductCerts,
    /// Signed packages.
    pub rhel_signed_packages: SignedPackages,
    /// Enabled repositories.
    pub rhel_enabled_repos: EnabledRepos,
    /// `VERSION_ID` of os-release.
    pub os_version: Option<String>,
    /// The text of the system purpose file.
    pub syspurpose_contents: Option<String>,

    /// Why there is no system purpose, where there is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syspurpose_status: Option<String>,
    /// Whether these files look like an installed system at all, and not like data.
    #[serde(default)]
    pub is_system: bool,
    /// What os-release says.
    #[serde(default)]
    pub os_release: Option<OsReleaseFile>,
    /// The architecture of the system.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// What could not be read. That a fact is absent says nothing where what it is read from is listed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// What os-release says of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OsReleaseFile {
    /// Where it was found: `/etc/os-release` or `/usr/lib/os-release`.
    pub path: String,
    /// `ID`, in lower case.
    pub id: Option<String>,
    /// `VERSION_ID`.
    pub version_id: Option<String>,
    /// `VARIANT_ID`, in lower case.
    pub variant_id: Option<String>,
    /// `PRETTY_NAME`, else `NAME`.
    pub name: Option<String>,
}

/// The files `/etc/*-release`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseFiles {
    /// Whether any of them holds `Red Hat`.
    pub rhel_found: bool,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Each of them.
    pub release_files: Vec<ReleaseFile>,
}

/// One release file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseFile {
    /// Its path.
    pub rhel_release_file: String,
    /// Its text, with what is not UTF-8 replaced; null where it could not be read.
    pub rhel_release_file_contents: Option<String>,
    /// Whether it holds `Red Hat`.
    pub rhel_found: bool,
}

/// Product certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProductCerts {
    /// Whether one has the name that a certificate of RHEL has.
    pub rhel_found: bool,
    /// Those with such a name.
    pub rhel_pem_files: Vec<String>,
    /// What all certificates say.
    #[serde(default)]
    pub products: Vec<Product>,
}

/// A product, as a certificate names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Product {
    /// Red Hat's number of the product: `479`.
    pub id: String,
    /// `Red Hat Enterprise Linux for x86_64`.
    pub name: Option<String>,
    /// `9.4`.
    pub version: Option<String>,
    /// Architectures, separated by commas, as the certificate has them.
    pub architecture: Option<String>,
    /// What content the product gives access to: `rhel-9,rhel-9-x86_64`.
    #[serde(default)]
    pub tags: Option<String>,
    /// The certificate's path.
    pub source: String,
}

/// Packages that are signed by Red Hat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedPackages {
    /// Whether there is one.
    pub rhel_found: bool,
    /// How many.
    pub rhel_signed_package_count: u64,
    /// What is to be said of the count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Why packages could not be counted, or not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The databases of all packages, whoever signed them. Systems have one; one that was moved can have left another behind.
    #[serde(default)]
    pub databases: Vec<Packages>,
}

/// What a package database says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Packages {
    /// The directory of the database.
    pub directory: String,
    /// The file that it is in, which tells its format: `rpmdb.sqlite`, `Packages.db`, `Packages`.
    pub file: Option<String>,
    /// Installed packages, without the public keys that rpm keeps among them.
    pub count: u64,
    /// Packages by the key that signed them; a package with several is with each.
    pub signers: Vec<Signer>,
    /// Packages signed with any key of Red Hat's for RHEL, those included that the first inspector did not know.
    pub red_hat_signed: u64,
    /// Packages whose vendor is Red Hat.
    pub red_hat_vendor: u64,
    /// Packages without a signature.
    pub unsigned: u64,
    /// Packages with a signature whose key could not be told.
    pub signer_unknown: u64,
    /// How far it was read.
    #[serde(default)]
    pub state: DatabaseState,
    /// Packages that are named after a distribution's release.
    #[serde(default)]
    pub release_packages: Vec<ReleasePackage>,
    /// What the counts do not take into account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// A key that packages are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signer {
    /// Its id, 16 hexadecimal digits.
    pub key: String,
    /// Whose it is, where that is known.
    pub owner: Option<String>,
    /// Packages signed with it.
    pub packages: u64,
}

/// How far a package database was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseState {
    /// To its end, as it last was.
    #[default]
    Whole,
    /// Not to its end, not all of it, or not as it last was: the counts are not those of the system.
    Partial,
}

/// A package that is named after a distribution's release, and mostly holds its release files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ReleasePackage {
    /// `redhat-release-server`.
    pub name: String,
    /// `7.9`.
    pub version: String,
    /// `x86_64`.
    pub architecture: Option<String>,
    /// `Red Hat, Inc.`
    pub vendor: Option<String>,
    /// Whether Red Hat signed it.
    pub is_signed_by_red_hat: bool,
}

/// Repositories of RHEL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnabledRepos {
    /// Whether one says `enabled=1`.
    pub rhel_found: bool,
    /// Those that say `enabled=1`.
    pub rhel_enabled_repos: Vec<Repo>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// All that yum and dnf take for enabled: also those that say `true`, `yes` or nothing.
    #[serde(default)]
    pub rhel_effective_repos: Vec<Repo>,
}

/// One repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Repo {
    /// Its section in the file.
    pub repo: String,
    /// Its name, as the file has it.
    pub name: String,
}

/// The architecture of a system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Architecture {
    /// `x86_64`, `aarch64`, `ppc64le`, `s390x`.
    pub name: String,
    /// What says so: the path of a program, or of a certificate.
    pub source: String,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unread {
    /// The path.
    pub path: String,
    /// Of what kind the reason is.
    pub kind: UnreadKind,
    /// The reason.
    pub why: String,
}

/// Why something could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnreadKind {
    /// It is damaged, or the device failed.
    Corrupt,
    /// It is of a form that is not read.
    Unsupported,
    /// It is larger than what is read.
    Limit,
}
