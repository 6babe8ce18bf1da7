//! The verdict on an image, from the facts of all its volumes: the first inspector's booleans by its own rules, and beside them whether
//! it is RHEL, as far as that can be known.
//!
//! Pure: it reads findings and writes findings, and knows no disk and no file.

mod evidence;
mod release_text;
mod system;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cloudigrade_schemas::findings::{Facts, ImageFindings, Inspected, PartitionFindings};

use crate::facts::syspurpose;
use system::SystemVerdict;

/// Fills in all that follows from the image's drives, anew if it was filled in before.
pub fn decide(image: &mut ImageFindings) {
    let partitions: Vec<(&str, &PartitionFindings)> =
        image.drives.values().flatten().map(|(name, partition)| (name.as_str(), partition)).collect();
    let facts: Vec<(&str, &Facts)> = partitions.iter().filter_map(|(name, partition)| Some((*name, partition.facts.as_ref()?))).collect();
    let systems: Vec<SystemVerdict> = partitions.iter().filter_map(|(name, partition)| SystemVerdict::of(name, partition)).collect();

    let hints = Hints::of(&facts);
    let inspected = inspected(&partitions, !systems.is_empty());
    let products: BTreeSet<_> = facts.iter().flat_map(|(_, facts)| facts.rhel_product_certs.products.iter().cloned()).collect();

    image.inspected = inspected;
    image.products = products.into_iter().collect();
    hints.tell(image);
    tell_verdict(image, systems);
}

/// Takes into account that disks could not be read, which are among the image's drives by now: a verdict that it is RHEL stays, one that
/// it is not does not. Nothing else is decided anew, since the evidence can have been left out of the findings.
pub fn reconsider(image: &mut ImageFindings) {
    let partitions: Vec<(&str, &PartitionFindings)> =
        image.drives.values().flatten().map(|(name, partition)| (name.as_str(), partition)).collect();
    let has_system = image.is_rhel == Some(true)
        || image.distribution.is_some()
        || partitions.iter().any(|(name, partition)| SystemVerdict::of(name, partition).is_some());
    image.inspected = inspected(&partitions, has_system);
    if !has_system {
        tell_that_there_is_none(image);
    } else if image.is_rhel == Some(false) {
        image.is_rhel = None;
        let reasons = vec!["a disk could not be read, and what was found on the others is not RHEL".to_owned()];
        image.conflicts.splice(0..0, std::mem::replace(&mut image.reasons, reasons));
    }
}

/// What the first inspector would have said.
#[derive(Default)]
struct Hints {
    signed_packages: bool,
    product_certs: bool,
    release_files: bool,
    enabled_repos: bool,
    version: Option<String>,
    syspurpose: Option<serde_json::Value>,
}

impl Hints {
    /// Of several partitions that say something the last one holds, as it had it.
    fn of(facts: &[(&str, &Facts)]) -> Self {
        facts.iter().fold(Self::default(), |all, (_, facts)| {
            let release_files = facts.rhel_release_files.rhel_found;
            let is_hinted = is_hinted(facts);
            Self {
                signed_packages: all.signed_packages | facts.rhel_signed_packages.rhel_found,
                product_certs: all.product_certs | facts.rhel_product_certs.rhel_found,
                release_files: all.release_files | release_files,
                enabled_repos: all.enabled_repos | facts.rhel_enabled_repos.rhel_found,
                version: release_files.then(|| version_of(facts)).flatten().or(all.version),
                syspurpose: facts.syspurpose_contents.as_deref().filter(|_| is_hinted).and_then(syspurpose::parse).or(all.syspurpose),
            }
        })
    }

    fn tell(self, image: &mut ImageFindings) {
        image.rhel_found = self.signed_packages | self.product_certs | self.release_files | self.enabled_repos;
        image.rhel_signed_packages_found = self.signed_packages;
        image.rhel_product_certs_found = self.product_certs;
        image.rhel_release_files_found = self.release_files;
        image.rhel_enabled_repos_found = self.enabled_repos;
        image.rhel_version = self.version;
        image.syspurpose = self.syspurpose;
    }
}

/// Whether any fact of a system speaks for RHEL.
fn is_hinted(facts: &Facts) -> bool {
    facts.rhel_release_files.rhel_found
        | facts.rhel_product_certs.rhel_found
        | facts.rhel_signed_packages.rhel_found
        | facts.rhel_enabled_repos.rhel_found
}

/// The version that goes with release files which name Red Hat: that of os-release, which systems before RHEL 7 do not have, else the
/// release file's own.
fn version_of(facts: &Facts) -> Option<String> {
    facts.os_version.clone().or_else(|| {
        let texts = facts.rhel_release_files.release_files.iter().filter(|file| file.rhel_found);
        texts.filter_map(|file| file.rhel_release_file_contents.as_deref()).find_map(release_text::version)
    })
}

/// How far an image could be looked into; see [`Inspected`] for the order.
fn inspected(partitions: &[(&str, &PartitionFindings)], has_system: bool) -> Inspected {
    let any = |kind: Inspected| partitions.iter().any(|(_, partition)| partition.inspected == kind);
    if has_system {
        let all = partitions.iter().all(|(_, partition)| partition.inspected == Inspected::Complete);
        return if all { Inspected::Complete } else { Inspected::Partial };
    }
    if any(Inspected::Encrypted) {
        Inspected::Encrypted
    } else if any(Inspected::Corrupt) || any(Inspected::Partial) {
        Inspected::Corrupt
    } else if any(Inspected::Unsupported) || partitions.is_empty() {
        Inspected::Unsupported
    } else {
        Inspected::Complete
    }
}

/// An image is RHEL if any of its systems is.
fn tell_verdict(image: &mut ImageFindings, systems: Vec<SystemVerdict>) {
    let is_rhel = systems.iter().map(|system| system.is_rhel).max_by_key(|is_rhel| match is_rhel {
        Some(true) => 2,
        None => 1,
        Some(false) => 0,
    });
    (image.reasons, image.conflicts) = (Vec::new(), Vec::new());
    let Some(is_rhel) = is_rhel else { return tell_that_there_is_none(image) };
    image.is_rhel = is_rhel;
    let (deciding, others): (Vec<_>, Vec<_>) = systems.into_iter().partition(|system| system.is_rhel == is_rhel);
    for (index, system) in deciding.into_iter().enumerate() {
        if index == 0 {
            image.distribution = system.distribution;
            image.version_source = system.version_source;
            image.architecture = system.architecture;
        }
        image.reasons.extend(system.reasons);
        image.conflicts.extend(system.conflicts);
    }
    image.conflicts.extend(others.into_iter().flat_map(|system| system.reasons));
}

fn tell_that_there_is_none(image: &mut ImageFindings) {
    let (is_rhel, reason) = match image.inspected {
        Inspected::Complete => (Some(false), "no installed system was found on any volume"),
        Inspected::Encrypted => (None, "no installed system was found, and a volume that may hold one is encrypted"),
        Inspected::Unsupported => (None, "no installed system was found, and what there is is of no kind that is read"),
        Inspected::Partial | Inspected::Corrupt => (None, "no installed system was found, and a volume that may hold one cannot be read"),
    };
    image.is_rhel = is_rhel;
    image.reasons = vec![reason.to_owned()];
}
