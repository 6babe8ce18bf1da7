//! Verdicts: RHEL of every generation is told from its relatives, with version, evidence and the predecessor's flags.

use crate::build::image::{Image, MIB};
use crate::build::{files::Files, filesystems, roots};
use crate::inspection::Inspection;
use crate::tools::have;

fn have_tools() -> bool {
    have(&["mke2fs", "mkfs.xfs"]) && have(&roots::TOOLS)
}

/// A root in the file system that its generation had.
fn disk(files: &Files, major: u32) -> Image {
    match major {
        5 => filesystems::ext(files, 32 * MIB, &["-t", "ext3", "-I", "128"]),
        6 => filesystems::ext(files, 32 * MIB, &filesystems::EXT4_OF_EL6),
        7 => filesystems::xfs(files, 32 * MIB, &filesystems::XFS_OF_EL7),
        8 => filesystems::xfs(files, 32 * MIB, &filesystems::XFS_OF_EL8),
        9 => filesystems::xfs(files, 32 * MIB, &filesystems::XFS_OF_EL9),
        _ => filesystems::xfs(files, 32 * MIB, &filesystems::XFS_OF_EL10),
    }
}

#[test]
fn every_rhel_from_5_to_10_is_recognised_with_all_evidence() {
    if !have_tools() {
        return;
    }
    let mut fingerprints = std::collections::BTreeSet::new();
    for major in 5..=10 {
        let disk = disk(&roots::rhel(major), major);
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.fingerprint, Inspection::of(&[&disk]).image.fingerprint, "the same contents have the same fingerprint");
        assert!(fingerprints.insert(found.image.fingerprint.clone().unwrap()), "others have another one");
        found.assert_rhel(roots::rhel_version(major));
        let image = &found.image;
        assert!(image.rhel_found && image.rhel_release_files_found && image.rhel_product_certs_found, "{}", found.json);
        assert!(image.rhel_signed_packages_found && image.rhel_enabled_repos_found, "{}", found.json);
        let source = image.version_source.map(|source| serde_json::to_value(source).unwrap());
        assert_eq!(source, Some(if major >= 7 { "os_release" } else { "release_file" }.into()), "{}", found.json);
        assert_eq!(image.architecture.as_deref(), Some("x86_64"), "{}", found.json);
        assert_eq!(image.products.len(), 1, "{}", found.json);
        assert_eq!(image.products[0].version.as_deref(), Some(roots::rhel_version(major)), "{}", found.json);
        assert_eq!(image.syspurpose.is_some(), major >= 8, "{}", found.json);
    }
}

#[test]
fn relatives_of_rhel_are_not_rhel() {
    if !have_tools() {
        return;
    }
    for (id, version, major, files) in [
        ("centos", "7", 7, roots::centos_7()),
        ("centos", "9", 9, roots::centos_stream_9()),
        ("ol", "9.4", 9, roots::oracle_9()),
        ("almalinux", "9.4", 9, roots::alma_9()),
        ("rocky", "9.4", 9, roots::rocky_9()),
        ("fedora", "40", 10, roots::fedora()),
        ("debian", "12", 9, roots::debian()),
    ] {
        let found = Inspection::of(&[&disk(&files, major)]);
        assert_eq!(found.image.is_rhel, Some(false), "{id}: {}", found.json);
        assert_eq!(found.image.inspected.word(), "complete", "{id}: {}", found.json);
        let distribution = found.image.distribution.as_ref().unwrap();
        assert_eq!((distribution.id.as_str(), distribution.version.as_deref()), (id, Some(version)), "{}", found.json);
        assert!(!found.image.rhel_signed_packages_found && !found.image.rhel_product_certs_found, "{id}: {}", found.json);
    }
}

#[test]
fn the_predecessors_flag_is_kept_where_its_rule_is_wrong() {
    if !have_tools() {
        return;
    }
    // os-release is not below /etc of the name *-release alone: /etc/os-release ends so, too, and Oracle copies redhat-release.
    let found = Inspection::of(&[&disk(&roots::oracle_9(), 9)]);
    assert!(found.image.rhel_found && found.image.rhel_release_files_found, "{}", found.json);
    assert_eq!(found.image.is_rhel, Some(false), "{}", found.json);
}

#[test]
fn rhel_coreos_is_found_in_its_deployment() {
    if !have_tools() {
        return;
    }
    let found = Inspection::of(&[&disk(&roots::rhcos(), 9)]);
    found.assert_rhel("4.12");
    assert_eq!(found.image.distribution.as_ref().unwrap().id, "rhcos", "{}", found.json);
    assert!(found.image.rhel_signed_packages_found, "{}", found.json);
}

#[test]
fn each_kind_of_evidence_is_found_without_the_others() {
    if !have_tools() {
        return;
    }
    let flags = |found: &Inspection| {
        let image = &found.image;
        [image.rhel_release_files_found, image.rhel_product_certs_found, image.rhel_enabled_repos_found, image.rhel_signed_packages_found]
    };
    let evidence = ["etc/redhat-release", "etc/pki/product/69.pem", "etc/yum.repos.d/redhat.repo", "var/lib/rpm/Packages"];
    for (index, kept) in evidence.iter().enumerate() {
        let mut files = roots::rhel(7);
        files.remove("etc/os-release").remove("usr/lib/os-release").remove("etc/system-release");
        for other in evidence.iter().filter(|other| *other != kept) {
            files.remove(other);
        }
        let found = Inspection::of(&[&disk(&files, 7)]);
        let mut expected = [false; 4];
        expected[index] = true;
        assert_eq!(flags(&found), expected, "{kept}: {}", found.json);
        assert!(found.image.rhel_found, "{}", found.json);
    }
}
