//! Disks that are cut off, or changed at random.

use super::*;

/// One root in each file system.
fn roots_in_each() -> Vec<(&'static str, Image)> {
    let files = roots::rhel(9);
    vec![
        ("ext4", ext(&files)),
        ("xfs", filesystems::xfs(&files, 32 * MIB, &filesystems::XFS_OF_EL9)),
        ("xfs v4", filesystems::xfs(&files, 32 * MIB, &filesystems::XFS_V4)),
        ("btrfs", filesystems::btrfs(&files, 128 * MIB, &[])),
    ]
}

#[test]
fn truncated_disks_are_not_taken_for_empty_ones() {
    if !have_tools() {
        return;
    }
    for (name, root) in roots_in_each() {
        // Before 64 KiB, btrfs has nothing.
        for bytes in [80 << 10, 2 * MIB, root.len() / 2, root.len() - 512, root.len() - 1] {
            let disk = root.copy();
            disk.truncate(bytes);
            let found = Inspection::of(&[&disk]);
            assert_ne!(found.image.is_rhel, Some(false), "{name} {bytes}: {}", found.json);
        }
    }
}

#[test]
fn a_partition_that_ends_behind_the_disk_is_a_finding() {
    if !have_tools() {
        return;
    }
    let disk = partitions::gpt(&[(gpt_type::LINUX, &ext(&roots::rhel(9)))]);
    disk.truncate(MIB + 16 * MIB);
    assert_ne!(Inspection::of(&[&disk]).image.is_rhel, Some(false));
}

#[test]
fn no_damage_ends_the_program() {
    if !have_tools() {
        return;
    }
    const ROUNDS: u64 = 25;
    let mut numbers = Numbers(0x00c0_ffee);
    for (_, root) in roots_in_each() {
        for _ in 0..ROUNDS {
            let disk = root.copy();
            for _ in 0..numbers.below(200) {
                // Mostly where the structures are.
                let end = [4096, 128 << 10, MIB, disk.len() - 8][numbers.below(4) as usize];
                let at = numbers.below(end);
                let values = [0, u64::MAX, numbers.below(u64::MAX), 1 << numbers.below(64)];
                let value = values[numbers.below(4) as usize].to_le_bytes();
                disk.write(at, &value[..1 << numbers.below(4)]);
            }
            drop(Inspection::of(&[&disk]));
        }
    }
}

#[test]
fn impossible_fields_of_an_xfs_superblock_are_findings() {
    if !have_tools() {
        return;
    }
    let root = filesystems::xfs(&roots::rhel(9), 32 * MIB, &filesystems::XFS_V4);
    // Block size, blocks, log start, root inode, blocks of a group, groups, log blocks, sector, inode size, logarithms.
    for (field, bytes) in [
        (4, 4),
        (8, 8),
        (48, 8),
        (56, 8),
        (84, 4),
        (88, 4),
        (96, 4),
        (102, 2),
        (104, 2),
        (120, 1),
        (121, 1),
        (122, 1),
        (123, 1),
        (124, 1),
        (192, 1),
    ] {
        for fill in [0x00, 0xff, 0x7f] {
            let disk = root.copy();
            disk.write(field, &vec![fill; bytes]);
            let found = Inspection::of(&[&disk]);
            assert_ne!(found.image.is_rhel, Some(false), "{field} {fill:x}: {}", found.json);
        }
    }
}
