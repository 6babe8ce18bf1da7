//! What speaks for RHEL in one system, and what against it.

use cloudigrade_schemas::findings::{Facts, Packages, ReleasePackage};

use super::release_text;
use crate::facts::os_release::{self, Distribution};

/// One thing that speaks for or against RHEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Evidence {
    /// Which of both.
    pub is_rhel: bool,
    /// Whether it names the distribution. What does not is only a hint, and decides nothing where anything could not be read.
    pub names_it: bool,
    /// The distribution that it names, as os-release has it.
    pub id: Option<String>,
    /// What it is, for people.
    pub text: String,
}

/// Release files in the order in which they are asked: relatives of RHEL have a `redhat-release` too.
const RELEASE_FILES: [&str; 12] = [
    "/etc/oracle-release",
    "/etc/enterprise-release",
    "/etc/centos-release",
    "/etc/rocky-release",
    "/etc/almalinux-release",
    "/etc/sl-release",
    "/etc/cloudlinux-release",
    "/etc/eurolinux-release",
    "/etc/miraclelinux-release",
    "/etc/fedora-release",
    "/etc/redhat-release",
    "/etc/system-release",
];

/// Packages that hold release files, by the beginnings of their names, and the distribution of each.
const RELEASE_PACKAGES: [(&str, &str); 12] = [
    ("redhat-release", "rhel"),
    ("centos-", "centos"),
    ("oraclelinux-release", "ol"),
    ("enterprise-release", "ol"),
    ("rocky-release", "rocky"),
    ("almalinux-release", "almalinux"),
    ("fedora-release", "fedora"),
    ("system-release", "amzn"),
    ("sl-release", "scientific"),
    ("cloudlinux-release", "cloudlinux"),
    ("eurolinux-release", "eurolinux"),
    ("miraclelinux-release", "miraclelinux"),
];

/// `ID`s of distributions that nothing of RHEL's is built into.
const STRANGERS: [&str; 20] = [
    "alpine",
    "arch",
    "azurelinux",
    "bottlerocket",
    "cos",
    "debian",
    "flatcar",
    "freebsd",
    "gentoo",
    "kali",
    "linuxmint",
    "mariner",
    "nixos",
    "opensuse-leap",
    "photon",
    "raspbian",
    "sled",
    "sles",
    "ubuntu",
    "void",
];

/// The vendor of Red Hat's packages.
const RED_HAT: &str = "Red Hat, Inc.";
/// How the names of RHEL's products begin.
const RHEL_PRODUCT: &str = "Red Hat Enterprise Linux";

/// All evidence of a system, the most trusted first.
pub(super) fn of(facts: &Facts) -> Vec<Evidence> {
    let known = [os_release(facts).filter(|own| own.names_it), release_file(facts), release_package(facts), product(facts)];
    let hints = [packages(facts), os_release(facts).filter(|own| !own.names_it), named_certificate(facts)];
    known.into_iter().chain(hints).flatten().collect()
}

fn names(id: &str, text: String) -> Evidence {
    Evidence { is_rhel: os_release::distribution_of(id) == Distribution::Rhel, names_it: true, id: Some(id.to_owned()), text }
}

/// An `ID` that is not known may be that of something built on RHEL: only a hint.
fn os_release(facts: &Facts) -> Option<Evidence> {
    let file = facts.os_release.as_ref()?;
    let id = file.id.as_deref().filter(|id| !id.is_empty())?;
    let evidence = names(id, format!("{} says ID={id}", file.path));
    let is_known = os_release::distribution_of(id) != Distribution::Other || STRANGERS.contains(&id);
    Some(Evidence { names_it: is_known, ..evidence })
}

/// The path and text of the release file that is asked.
pub(super) fn deciding_release_file(facts: &Facts) -> Option<(&str, &str)> {
    RELEASE_FILES.iter().find_map(|path| {
        let file = facts.rhel_release_files.release_files.iter().find(|file| file.rhel_release_file == *path)?;
        let text = file.rhel_release_file_contents.as_deref()?;
        release_text::distribution(text).map(|_| (*path, text))
    })
}

fn release_file(facts: &Facts) -> Option<Evidence> {
    let (path, text) = deciding_release_file(facts)?;
    let first_line = text.trim().lines().next().unwrap_or_default();
    Some(names(release_text::distribution(text)?, format!("{path} says `{first_line}`")))
}

/// The package that holds a system's release files, and its distribution. That of a relative goes first, as for release files; Red Hat's
/// is believed only where Red Hat made it.
pub(super) fn deciding_release_package(facts: &Facts) -> Option<(&ReleasePackage, &'static str)> {
    let all = facts.rhel_signed_packages.databases.iter().flat_map(|database| &database.release_packages);
    let known = all.filter_map(|package| {
        let (_, id) = RELEASE_PACKAGES.iter().find(|(beginning, _)| package.name.starts_with(beginning))?;
        let is_believed = *id != "rhel" || package.is_signed_by_red_hat || package.vendor.as_deref() == Some(RED_HAT);
        is_believed.then_some((package, *id))
    });
    known.min_by_key(|(_, id)| *id == "rhel")
}

fn release_package(facts: &Facts) -> Option<Evidence> {
    let (package, id) = deciding_release_package(facts)?;
    Some(names(id, format!("the package {}-{} is installed", package.name, package.version)))
}

fn product(facts: &Facts) -> Option<Evidence> {
    let is_rhel = |name: &String| name.starts_with(RHEL_PRODUCT);
    let product = facts.rhel_product_certs.products.iter().find(|product| product.name.as_ref().is_some_and(is_rhel))?;
    let name = product.name.as_deref().unwrap_or_default();
    Some(names("rhel", format!("{} is a certificate of product {}, {name}", product.source, product.id)))
}

/// A file that is named as a certificate of RHEL but is none that can be read: anybody can name a file.
fn named_certificate(facts: &Facts) -> Option<Evidence> {
    let path = facts.rhel_product_certs.rhel_pem_files.first().filter(|_| product(facts).is_none())?;
    Some(Evidence { names_it: false, ..names("rhel", format!("{path} is named as a product certificate of RHEL")) })
}

/// A system most of whose packages are Red Hat's is RHEL; one without any is not.
fn packages(facts: &Facts) -> Option<Evidence> {
    let database = facts.rhel_signed_packages.databases.iter().max_by_key(|database| database.count)?;
    let Packages { count, red_hat_signed: signed, red_hat_vendor: sold, .. } = *database;
    let is_rhel = match signed.max(sold) {
        _ if count == 0 => return None,
        most if most.saturating_mul(2) >= count => true,
        0 => false,
        _ => return None,
    };
    let text = format!("of {count} packages {signed} are signed by Red Hat and {sold} have it as their vendor");
    Some(Evidence { is_rhel, names_it: false, id: is_rhel.then(|| "rhel".to_owned()), text })
}
