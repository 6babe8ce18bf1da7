//! What is kept of an inspection's findings: its verdict, and what speaks for it in a few words. The findings themselves are a fact of their own,
//! and can be large.

use cloudigrade_schemas::findings::{Facts, ImageFindings, Inspected};
use cloudigrade_schemas::image::Syspurpose;
use serde::{Deserialize, Serialize};

use crate::limits::EVIDENCE_CHARS_MAX;

/// What product certificates of OpenShift have in their name.
const OPENSHIFT: &str = "openshift";
/// The system that OpenShift's machines run, and nothing else does.
const OPENSHIFT_SYSTEM: &str = "rhcos";

/// What an image's disks hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disks {
    /// How far they could be read.
    pub(super) inspected: Inspected,
    /// The verdict on RHEL.
    pub(super) is_rhel: Option<bool>,
    /// Why it is so.
    pub(super) reasons: String,
    /// What says that OpenShift is there.
    pub(super) openshift: Option<String>,
    /// What the first inspector took for signs of RHEL.
    pub(super) hints: Vec<Hint>,
    /// The version, where it is RHEL.
    pub(super) rhel_version: Option<String>,
    /// As EC2 calls it.
    pub(super) architecture: Option<String>,
    /// What the system is for.
    pub(super) syspurpose: Option<Syspurpose>,
}

/// A sign of RHEL, or that it is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hint {
    /// The kind of evidence.
    pub(super) kind: String,
    /// Whether it is there.
    pub(super) found: bool,
    /// What was found.
    pub(super) detail: String,
}

impl Disks {
    /// Of an image's findings.
    pub(super) fn of(image: &ImageFindings) -> Self {
        let facts: Vec<&Facts> =
            image.drives.values().flat_map(|volumes| volumes.values()).filter_map(|volume| volume.facts.as_ref()).collect();
        let version =
            image.distribution.as_ref().and_then(|distribution| distribution.version.clone()).or_else(|| image.rhel_version.clone());
        Self {
            inspected: image.inspected,
            is_rhel: image.is_rhel,
            reasons: cut(&image.reasons.join("; ")),
            openshift: openshift(image),
            hints: hints(image, &facts),
            rhel_version: version.filter(|_| image.is_rhel == Some(true)).as_deref().map(cut),
            architecture: image.architecture.as_deref().map(architecture),
            syspurpose: image.syspurpose.as_ref().and_then(syspurpose),
        }
    }

    /// Whether they count as RHEL: by the inspector's verdict, and as not RHEL where no file system on them can be read, which reading them
    /// again would not change. Where one was read that does not tell, that is `None`.
    pub(super) fn verdict(&self) -> Option<bool> {
        self.is_rhel.or(self.are_unreadable().then_some(false))
    }

    /// Why the verdict is so.
    pub(super) fn reasons(&self) -> String {
        match (self.are_unreadable(), self.reasons.is_empty()) {
            (false, _) => self.reasons.clone(),
            (true, true) => format!("nothing could be read ({})", self.inspected.word()),
            (true, false) => cut(&format!("nothing could be read ({}): {}", self.inspected.word(), self.reasons)),
        }
    }

    /// Whether no file system on them can be read.
    pub(super) fn are_unreadable(&self) -> bool {
        self.is_rhel.is_none() && matches!(self.inspected, Inspected::Encrypted | Inspected::Unsupported | Inspected::Corrupt)
    }
}

fn openshift(image: &ImageFindings) -> Option<String> {
    let named = |name: &&String| name.to_lowercase().contains(OPENSHIFT);
    let certificate = image.products.iter().find_map(|product| product.name.as_ref().filter(named));
    let system =
        image.distribution.as_ref().filter(|distribution| distribution.id == OPENSHIFT_SYSTEM).map(|_| "the system is RHEL CoreOS");
    certificate.map(|name| cut(&format!("a product certificate names {name}"))).or(system.map(str::to_owned))
}

fn hints(image: &ImageFindings, facts: &[&Facts]) -> Vec<Hint> {
    let packages: u64 = facts.iter().map(|facts| facts.rhel_signed_packages.rhel_signed_package_count).sum();
    let certificates = facts.iter().flat_map(|facts| &facts.rhel_product_certs.rhel_pem_files);
    let releases = facts.iter().flat_map(|facts| &facts.rhel_release_files.release_files).filter(|file| file.rhel_found);
    let repositories = facts.iter().flat_map(|facts| &facts.rhel_enabled_repos.rhel_enabled_repos);
    let hint = |kind: &str, found: bool, detail: String| Hint { kind: kind.to_owned(), found, detail: cut(&detail) };
    vec![
        hint("signed_packages", image.rhel_signed_packages_found, format!("{packages} packages that Red Hat signed")),
        hint("product_certificates", image.rhel_product_certs_found, listed(certificates.map(String::as_str))),
        hint("release_files", image.rhel_release_files_found, listed(releases.map(|file| file.rhel_release_file.as_str()))),
        hint("enabled_repositories", image.rhel_enabled_repos_found, listed(repositories.map(|repository| repository.repo.as_str()))),
    ]
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// As EC2 calls it: one system has one name, whoever tells it.
fn architecture(name: &str) -> String {
    match name {
        "aarch64" => "arm64".to_owned(),
        "i486" | "i586" | "i686" => "i386".to_owned(),
        name => cut(name),
    }
}

fn syspurpose(purpose: &serde_json::Value) -> Option<Syspurpose> {
    let text = |name: &str| purpose.get(name)?.as_str().filter(|text| !text.is_empty()).map(cut);
    let purpose = Syspurpose {
        role: text("role"),
        service_level_agreement: text("service_level_agreement"),
        usage: text("usage"),
        service_type: text("service_type"),
    };
    Some(purpose).filter(|purpose| *purpose != Syspurpose::default())
}

/// Texts are from disks of others, and are shown beside many.
fn cut(text: &str) -> String {
    text.chars().take(EVIDENCE_CHARS_MAX).collect()
}
