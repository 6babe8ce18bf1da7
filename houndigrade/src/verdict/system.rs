//! The verdict on one system.

use cloudigrade_schemas::findings::{Distribution, Facts, PartitionFindings, VersionSource};

use super::evidence::{self, Evidence};
use super::{is_hinted, release_text};

/// What one system is.
pub(super) struct SystemVerdict {
    /// Whether it is RHEL; `None` where that cannot be known.
    pub is_rhel: Option<bool>,
    /// Why, the deciding reason first.
    pub reasons: Vec<String>,
    /// What speaks against it.
    pub conflicts: Vec<String>,
    /// What it is.
    pub distribution: Option<Distribution>,
    /// What its version was taken from.
    pub version_source: Option<VersionSource>,
    /// Its architecture.
    pub architecture: Option<String>,
}

impl SystemVerdict {
    /// The verdict on the system of a partition; `None` if its files are no system.
    pub fn of(name: &str, partition: &PartitionFindings) -> Option<Self> {
        let facts = partition.facts.as_ref()?;
        let evidence = evidence::of(facts);
        if evidence.is_empty() && !facts.is_system && !is_hinted(facts) {
            return None;
        }
        let missed = missed(facts, partition);
        let is_rhel = decide(missed.is_none(), &evidence);
        let deciding = evidence.first().filter(|_| is_rhel.is_some());
        let (version, version_source) = match deciding.and_then(|first| version(facts, first)) {
            Some((version, source)) => (Some(version), Some(source)),
            None => (None, None),
        };
        let distribution = deciding.and_then(|first| first.id.clone()).map(|id| {
            let name = facts.os_release.as_ref().filter(|own| own.id.as_ref() == Some(&id)).and_then(|own| own.name.clone());
            Distribution { id, version, name }
        });
        let (reasons, conflicts) = told(name, facts, is_rhel, &evidence, missed);
        Some(Self { is_rhel, reasons, conflicts, distribution, version_source, architecture: architecture(facts) })
    }
}

/// What names the distribution decides, the most trusted first. Hints decide only where everything could be read: what could not may have
/// named it.
fn decide(is_all_read: bool, evidence: &[Evidence]) -> Option<bool> {
    match evidence.first() {
        Some(first) if first.names_it || is_all_read => Some(first.is_rhel),
        None if is_all_read => Some(false),
        Some(_) | None => None,
    }
}

/// What could have said something of the distribution and was not read, if there is anything: a file, the packages, or what the volume
/// itself lacks, such as its `/var` or the newest state of its files.
fn missed(facts: &Facts, partition: &PartitionFindings) -> Option<String> {
    let file = facts.unread.iter().find(|unread| can_name_it(&unread.path)).map(|unread| format!("{} could not be read", unread.path));
    let packages = || facts.rhel_signed_packages.error.as_ref().map(|_| "the package database could not be read".to_owned());
    let volume = || partition.error.iter().chain(&partition.caveats).next().map(|what| format!("not all could be read ({what})"));
    file.or_else(packages).or_else(volume)
}

/// Whether what is read from a path can name the distribution: repositories and the system purpose cannot.
fn can_name_it(path: &str) -> bool {
    path == "/etc" || path.ends_with("-release") || path.contains("/pki")
}

fn told(
    partition: &str,
    facts: &Facts,
    is_rhel: Option<bool>,
    evidence: &[Evidence],
    missed: Option<String>,
) -> (Vec<String>, Vec<String>) {
    let of =
        |stance: bool| evidence.iter().filter(move |one| one.is_rhel == stance).map(|one| format!("{partition}: {}", one.text)).collect();
    let Some(is_rhel) = is_rhel else {
        let reason = format!("{partition}: {}, and nothing else names the distribution", missed.unwrap_or_default());
        return (vec![reason], evidence.iter().map(|one| format!("{partition}: {}", one.text)).collect());
    };
    let (mut reasons, mut conflicts): (Vec<String>, Vec<String>) = (of(is_rhel), of(!is_rhel));
    if reasons.is_empty() {
        reasons.push(format!("{partition}: nothing in the system speaks for RHEL"));
    }
    if !is_rhel {
        conflicts.extend(hints(facts).map(|hint| format!("{partition}: {hint}")));
    }
    (reasons, conflicts)
}

/// What made the first inspector take a system for RHEL.
fn hints(facts: &Facts) -> impl Iterator<Item = String> {
    let file = facts.rhel_release_files.release_files.iter().find(|file| file.rhel_found);
    let repo = facts.rhel_enabled_repos.rhel_enabled_repos.first();
    let signed = facts.rhel_signed_packages.rhel_signed_package_count;
    let told = [
        file.map(|file| format!("{} mentions Red Hat", file.rhel_release_file)),
        repo.map(|repo| format!("the repository {} is enabled", repo.repo)),
        (signed > 0).then(|| format!("{signed} packages are signed by Red Hat")),
    ];
    told.into_iter().flatten()
}

/// The version of what was decided, and what it was taken from.
fn version(facts: &Facts, deciding: &Evidence) -> Option<(String, VersionSource)> {
    let id = deciding.id.as_deref()?;
    let own = facts.os_release.as_ref().filter(|own| own.id.as_deref() == Some(id)).and_then(|own| own.version_id.clone());
    if let Some(version) = own.filter(|version| !version.is_empty()) {
        return Some((version, VersionSource::OsRelease));
    }
    let file = evidence::deciding_release_file(facts).filter(|(_, text)| release_text::distribution(text) == Some(id));
    if let Some(version) = file.and_then(|(_, text)| release_text::version(text)) {
        return Some((version, VersionSource::ReleaseFile));
    }
    let package = evidence::deciding_release_package(facts).filter(|(_, of)| *of == id);
    if let Some(version) = package.and_then(|(package, _)| release_text::leading_version(&package.version)) {
        return Some((version, VersionSource::ReleasePackage));
    }
    let certified = facts.rhel_product_certs.products.iter().filter(|_| deciding.is_rhel);
    certified.filter_map(|product| product.version.clone()).next().map(|version| (version, VersionSource::ProductCertificate))
}

/// The architecture of its programs, else of its release package, else of a certificate of a single one.
fn architecture(facts: &Facts) -> Option<String> {
    let of_programs = facts.architecture.as_ref().map(|architecture| architecture.name.clone());
    let of_package = || evidence::deciding_release_package(facts)?.0.architecture.clone().filter(|name| name != "noarch");
    let of_certificate =
        || facts.rhel_product_certs.products.iter().find_map(|product| product.architecture.clone().filter(|name| is_one(name)));
    of_programs.or_else(of_package).or_else(of_certificate)
}

/// Whether a certificate names one architecture, and not several or the absence of any.
fn is_one(architecture: &str) -> bool {
    !architecture.is_empty() && !architecture.contains(',') && !architecture.eq_ignore_ascii_case("noarch")
}
