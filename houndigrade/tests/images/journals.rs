//! Snapshots of running machines: what is only in the journal is seen, and the journal is not written.

use std::collections::BTreeSet;
use std::sync::Arc;

use houndigrade::filesystem::{FileKind, FileSystem, Xfs};
use houndigrade::source::FileSource;

use crate::build::files::Files;
use crate::build::image::{Image, MIB};
use crate::build::loops::Mount;
use crate::build::{corrupt, filesystems, roots};
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
fn a_recorded_xfs_of_version_4_is_read_as_an_older_kernel_reads_it() {
    let (of_rhel_7, of_rhel_6) = (Image::recorded("dirty-xfs-v4"), Image::recorded("dirty-xfs-v4"));
    corrupt::xfs_log_without_checksums(&of_rhel_6);
    for image in [of_rhel_7, of_rhel_6] {
        let before = image.sha256();
        assert_journal_was_read(&image);
        let xfs = Xfs::open(Arc::new(FileSource::open(image.path()).unwrap())).unwrap();
        let tree = list(&xfs);
        let of_kernel: BTreeSet<_> = include_str!("fixtures/dirty-xfs-v4.tree").lines().map(str::to_owned).collect();
        assert_eq!(tree.difference(&of_kernel).collect::<Vec<_>>(), of_kernel.difference(&tree).collect::<Vec<_>>());
        assert_eq!(image.sha256(), before);
    }
}

#[test]
fn a_log_of_version_4_that_is_not_replayed_is_said() {
    let image = Image::recorded("dirty-xfs-v4");
    let first = (0..image.len()).step_by(512).find(|at| image.read(*at, 4) == [0xfe, 0xed, 0xba, 0xbe]).unwrap();
    // All records but that of mkfs say that a big-endian machine wrote them.
    for at in (first + 512..image.len()).step_by(512).filter(|at| image.read(*at, 4) == [0xfe, 0xed, 0xba, 0xbe]) {
        image.write(at + 300, &2_u32.to_be_bytes());
    }
    let found = Inspection::of(&[&image]);
    assert_ne!(found.image.is_rhel, Some(false), "{}", found.json);
    assert_eq!(found.volume("disk.img").inspected.word(), "partial", "{}", found.json);
    assert!(found.volume("disk.img").caveats[0].contains("not replayed"), "{}", found.json);
    assert!(!found.json.contains("9.4"), "{}", found.json);
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

/// What a file system holds, a line for each: kind, path, and of what is no folder its length and where a link leads.
fn list(system: &dyn FileSystem) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in system.read_dir(format!("/{folder}").as_bytes(), 10_000).unwrap() {
            let inner = format!("{folder}{}", String::from_utf8(entry.name).unwrap());
            let path = format!("/{inner}").into_bytes();
            let stat = system.stat(&path).unwrap();
            lines.insert(match stat.kind {
                FileKind::Directory => {
                    folders.push(format!("{inner}/"));
                    format!("d {inner}")
                }
                FileKind::Symlink => format!("l {} {inner} {}", stat.len, String::from_utf8(system.read_link(&path).unwrap()).unwrap()),
                FileKind::Special => format!("p {} {inner} ", stat.len),
                FileKind::Regular => {
                    let mut content = vec![0; stat.len as usize];
                    system.open(&path).unwrap().read_at(0, &mut content).unwrap();
                    format!("f {} {inner} ", stat.len)
                }
            });
        }
    }
    lines
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
