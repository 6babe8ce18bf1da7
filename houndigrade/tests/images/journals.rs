//! Snapshots of running machines: what is only in the journal is seen, and the journal is not written.

use crate::build::files::Files;
use crate::build::image::{Image, MIB};
use crate::build::loops::Mount;
use crate::build::{filesystems, roots};
use crate::inspection::Inspection;
use crate::tools::have;

#[track_caller]
fn assert_journal_was_read(image: &Image) {
    let found = Inspection::of(&[image]);
    found.assert_rhel("9.4");
    let facts = found.facts();
    assert!(facts.rhel_release_files.rhel_found, "{}", found.json);
    assert_eq!(found.volume("disk.img").caveats, [] as [String; 0], "{}", found.json);
}

#[test]
fn a_recorded_ext4_of_a_running_machine_is_read_through_its_journal() {
    let image = Image::recorded("dirty-ext4");
    // The flag in the superblock that says so: it must have been recorded dirty.
    assert_ne!(image.read(1024 + 0x60, 1)[0] & 4, 0);
    assert_journal_was_read(&image);
}

#[test]
fn a_recorded_xfs_of_a_running_machine_is_read_through_its_log() {
    assert_journal_was_read(&Image::recorded("dirty-xfs"));
}

#[test]
fn a_recorded_btrfs_with_subvolumes_has_its_root_in_one_of_them() {
    let found = Inspection::of(&[&Image::recorded("subvolumes")]);
    found.assert_rhel("9.4");
}

#[test]
fn a_file_system_of_this_kernel_is_read_while_it_is_mounted() {
    if !have(&["mke2fs", "mkfs.xfs", "mount"]) || !have(&roots::TOOLS) {
        return;
    }
    for image in [
        filesystems::ext(&root(), 48 * MIB, &["-t", "ext4"]),
        filesystems::ext(&root(), 48 * MIB, &["-t", "ext3"]),
        filesystems::xfs(&root(), 48 * MIB, &filesystems::XFS_OF_EL7),
        filesystems::xfs(&root(), 48 * MIB, &filesystems::XFS_OF_EL9),
    ] {
        let Some(snapshot) = snapshot_of_running(&image) else { return };
        assert_journal_was_read(&snapshot);
        let found = Inspection::of(&[&snapshot]);
        let names: Vec<_> = found.facts().rhel_release_files.release_files.iter().map(|file| file.rhel_release_file.as_str()).collect();
        assert!(names.contains(&"/etc/written-late-release"), "{names:?}");
    }
}

#[test]
fn a_log_of_btrfs_that_is_not_replayed_is_said() {
    if !have(&["mkfs.btrfs", "mount"]) || !have(&roots::TOOLS) {
        return;
    }
    let Some(snapshot) = snapshot_of_running(&filesystems::btrfs(&root(), 128 * MIB, &[])) else { return };
    let found = Inspection::of(&[&snapshot]);
    assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{}", found.json);
    assert!(found.volume("disk.img").caveats[0].contains("not replayed"), "{}", found.json);
}

/// RHEL 9 without the release file that [`snapshot_of_running`] writes.
fn root() -> Files {
    let mut files = roots::rhel(9);
    files.remove("etc/redhat-release");
    files
}

/// A copy of an image, made while a release file that is in it has been written but the file system is still mounted.
fn snapshot_of_running(image: &Image) -> Option<Image> {
    let mount = Mount::new(image, "rw")?;
    for name in ["first", "late"] {
        let path = mount.path().join(format!("etc/written-{name}-release"));
        std::fs::write(&path, "Red Hat Enterprise Linux release 9.4 (Plow)\n").unwrap();
        std::fs::File::open(path).unwrap().sync_all().unwrap();
    }
    Some(image.copy())
}
