//! The builders themselves, judged by programs that are not houndigrade: what they make is what the claims say it is.

use crate::build::rpm_header::{Package, RED_HAT_RELEASE_KEY_2, Signature};
use crate::build::{filesystems, image::Image, image::MIB, lvm, partitions, roots, rpmdb};
use crate::tools::{self, have};

fn grub(images: &[&Image], arguments: &[&str]) -> String {
    let mut command = tools::command("grub-fstest");
    command.args(["-c", &images.len().to_string()]).args(images.iter().map(|image| image.path())).args(arguments);
    String::from_utf8(tools::succeed(&mut command).stdout).unwrap()
}

#[test]
fn rpm_counts_the_packages_of_databases_made_here() {
    if !have(&["rpm", "sqlite3", "db5.3_load"]) {
        return;
    }
    let packages: Vec<_> =
        (0..50).map(|number| Package::new(&format!("package-{number}")).signed(Signature::Rsa(RED_HAT_RELEASE_KEY_2))).collect();
    assert_eq!(rpmdb::rpm_counts("rpmdb.sqlite", &rpmdb::sqlite(&packages)), 50);
    assert_eq!(rpmdb::rpm_counts("Packages", &rpmdb::berkeley(&packages)), 50);
}

#[test]
fn grub_reads_what_lies_on_partitions_and_logical_volumes() {
    if !have(&["grub-fstest", "sfdisk", "sgdisk", "mkfs.xfs", "mke2fs", "lvm", "losetup"]) || !have(&roots::TOOLS) {
        return;
    }
    let root = roots::rhel(9);
    let xfs = filesystems::xfs(&root, 32 * MIB, &filesystems::XFS_OF_EL9);
    let ext = filesystems::ext(&root, 32 * MIB, &["-t", "ext4"]);
    let os_release = "etc/redhat-release";
    for (disk, part) in [
        (partitions::gpt(&[("8300", &ext), ("8300", &xfs)]), "gpt2"),
        (partitions::mbr(&[("83", &ext), ("83", &xfs)]), "msdos2"),
        (partitions::mbr_extended(&[("83", &ext), ("83", &ext), ("83", &xfs)]), "msdos6"),
    ] {
        let said = grub(&[&disk], &["cat", &format!("(loop0,{part})/{os_release}")]);
        assert!(said.contains("Red Hat Enterprise Linux release 9.4"), "{said}");
    }
    let logical = [
        lvm::Logical { name: "root", options: &[], content: &xfs },
        lvm::Logical { name: "striped", options: &["--stripes", "2", "--stripesize", "64k"], content: &ext },
        lvm::Logical { name: "long", options: &[], content: &filesystems::xfs(&root, 64 * MIB, &[]) },
    ];
    let Some(disks) = lvm::group("rhel", &[96 * MIB, 80 * MIB], &logical) else { return };
    for name in ["root", "striped", "long"] {
        let said = grub(&[&disks[0], &disks[1]], &["cat", &format!("(lvm/rhel-{name})/{os_release}")]);
        assert!(said.contains("Red Hat Enterprise Linux release 9.4"), "{name} {said}");
    }
}

#[test]
fn grub_reads_a_volume_group_whose_metadata_is_written_here() {
    if !have(&["grub-fstest", "mkfs.xfs"]) || !have(&roots::TOOLS) {
        return;
    }
    let content = filesystems::xfs(&roots::rhel(9), 32 * MIB, &[]);
    let uuid = "K668Hx-sjVa-8j5Z-HqiL-3XLr-MjWC-dPuJKp";
    let logical = lvm::logical_section("root", r#""READ", "WRITE", "VISIBLE""#, &[&lvm::linear(0, 8, 2)]);
    let disk = lvm::physical_volume(64 * MIB, uuid, &lvm::metadata("rhel", uuid, 15, &logical));
    disk.place_all(lvm::FIRST_EXTENT + 2 * lvm::EXTENT_BYTES, &content);
    assert!(grub(&[&disk], &["ls", "(lvm/rhel-root)/etc/"]).contains("redhat-release"));
}
