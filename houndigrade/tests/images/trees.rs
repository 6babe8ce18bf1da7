//! Trees: a system's files are found wherever its volumes and links put them, and never outside of the image.

use crate::build::files::Files;
use crate::build::image::{Image, MIB};
use crate::build::partitions::{self, gpt_type};
use crate::build::{filesystems, lvm, roots};
use crate::inspection::Inspection;
use crate::tools::have;

const UUID_USR: &str = "11111111-2222-3333-4444-555555555555";

fn have_tools() -> bool {
    have(&["sgdisk", "mke2fs", "mkfs.xfs"]) && have(&roots::TOOLS)
}

fn ext(files: &Files, options: &[&str]) -> Image {
    filesystems::ext(files, 24 * MIB, &[&["-t", "ext4"], options].concat())
}

#[test]
fn usr_and_var_on_other_partitions_are_joined_through_fstab() {
    if !have_tools() {
        return;
    }
    let mut root = roots::rhel(9);
    let (usr, var) = (root.split_off("usr"), root.split_off("var"));
    root.file(
        "etc/fstab",
        format!("UUID={UUID_USR} /usr ext4 ro 0 0\nLABEL=vardata\t/var\text4\tdefaults 0 2\n/dev/sda9 /data ext4 noauto 0 0\n"),
    );
    let (root, usr, var) = (ext(&root, &[]), ext(&usr, &["-U", UUID_USR]), ext(&var, &["-L", "vardata"]));
    let disk = partitions::gpt(&[(gpt_type::LINUX, &var), (gpt_type::LINUX, &usr), (gpt_type::LINUX, &root)]);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    assert!(found.image.rhel_signed_packages_found, "the database on /var: {}", found.json);
    assert_eq!(found.facts().os_release.as_ref().unwrap().version_id.as_deref(), Some("9.4"), "os-release on /usr: {}", found.json);
    for (number, mounted_at) in [(1, "/var"), (2, "/usr")] {
        let name = format!("disk.img{number}");
        assert!(found.volume(&name).part_of.as_ref().is_some_and(|whole| whole.ends_with("disk.img3")), "{}", found.json);
        let joined = &found.volume("disk.img3").joined;
        assert!(joined.iter().any(|part| part.volume.ends_with(&name) && part.mounted_at == mounted_at), "{}", found.json);
    }
}

#[test]
fn logical_volumes_are_joined_by_their_mapper_names() {
    if !have_tools() || !have(&["lvm", "losetup"]) {
        return;
    }
    let mut root = roots::rhel(8);
    let (usr, var) = (root.split_off("usr"), root.split_off("var"));
    root.file("etc/fstab", "/dev/mapper/rootvg-usrlv /usr xfs defaults 0 0\n/dev/rootvg/varlv /var xfs defaults 0 0\n");
    let [root, usr, var] = [root, usr, var].map(|files| filesystems::xfs(&files, 24 * MIB, &filesystems::XFS_OF_EL8));
    let logical = [("rootlv", &root), ("usrlv", &usr), ("varlv", &var)].map(|(name, content)| lvm::Logical { name, options: &[], content });
    let Some(disks) = lvm::group("rootvg", &[96 * MIB], &logical) else { return };
    let found = Inspection::of(&[&disks[0]]);
    found.assert_rhel("8.10");
    assert_eq!(found.facts().rhel_signed_packages.rhel_signed_package_count, 3, "{}", found.json);
}

#[test]
fn a_volume_that_fstab_names_but_no_disk_has_makes_the_inspection_partial() {
    if !have_tools() {
        return;
    }
    let mut root = roots::rhel(9);
    drop(root.split_off("var"));
    root.file("etc/fstab", format!("UUID={UUID_USR} /var ext4 defaults 0 0\n"));
    let found = Inspection::of(&[&ext(&root, &[])]);
    assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{}", found.json);
}

#[test]
fn links_restart_at_the_root_of_the_image() {
    if !have_tools() {
        return;
    }
    let mut root = roots::rhel(9);
    root.link("etc/os-release", "/usr/lib/os-release");
    root.remove("etc/redhat-release").remove("etc/system-release");
    root.link("etc/redhat-release", "../../../../../../../opt/release/redhat");
    root.link("opt/release", "/srv/./real/../real");
    root.file("srv/real/redhat", "Red Hat Enterprise Linux release 9.4 (Plow)\n");
    let found = Inspection::of(&[&ext(&root, &[])]);
    found.assert_rhel("9.4");
    assert!(found.image.rhel_release_files_found, "{}", found.json);
}

#[test]
fn nothing_of_the_host_is_ever_reported() {
    if !have_tools() {
        return;
    }
    // A file of this machine that, were it read, would make the disk RHEL.
    let host = Image::blank(0);
    let secret = "Red Hat CANARY release 7.7\nID=rhel\nVERSION_ID=7.7\n";
    std::fs::write(host.scratch().join("secret"), secret).unwrap();
    let path = host.scratch().join("secret").to_str().unwrap().to_owned();
    let mut root = Files::new();
    for link in
        ["etc/redhat-release", "etc/os-release", "etc/yum.repos.d/a.repo", "etc/rhsm/syspurpose/syspurpose.json", "etc/pki/product/69.pem"]
    {
        root.link(link, &path);
    }
    root.link("etc/shadow-release", "/etc/shadow").link("etc/proc-release", "/proc/self/environ");
    root.file("usr/bin/true", "").file("var/lib/x", "");
    let found = Inspection::of(&[&ext(&root, &[])]);
    assert!(!found.json.contains("CANARY") && !found.json.contains("7.7"), "{}", found.json);
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    assert!(shadow.lines().all(|line| !found.json.contains(line)), "{}", found.json);
    assert_ne!(found.image.is_rhel, Some(true), "{}", found.json);
}

#[test]
fn links_in_a_circle_and_into_nothing_are_no_release_files() {
    if !have_tools() {
        return;
    }
    let mut root = roots::rhel(9);
    root.link("etc/a-release", "b-release").link("etc/b-release", "a-release").link("etc/c-release", "nowhere");
    root.link("etc/d-release", "../etc/e/e/e/e/redhat-release").link("etc/e", ".");
    let found = Inspection::of(&[&ext(&root, &[])]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    let of = |name: &str| {
        let files = &found.facts().rhel_release_files.release_files;
        files.iter().find(|file| file.rhel_release_file == name).and_then(|file| file.rhel_release_file_contents.clone())
    };
    assert_eq!((of("/etc/a-release"), of("/etc/c-release")), (None, None), "{}", found.json);
    assert!(of("/etc/d-release").is_some(), "{}", found.json);
}

#[test]
fn two_systems_on_one_disk_are_both_seen() {
    if !have_tools() {
        return;
    }
    let disk = partitions::gpt(&[(gpt_type::LINUX, &ext(&roots::debian(), &[])), (gpt_type::LINUX, &ext(&roots::rhel(9), &[]))]);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
    assert!(found.volume("disk.img1").facts.is_some() && found.volume("disk.img2").facts.is_some(), "{}", found.json);
}
