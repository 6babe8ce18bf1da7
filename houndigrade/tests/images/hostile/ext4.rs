//! ext4 with impossible sizes, records and trees.

use super::*;

#[test]
fn impossible_geometry_is_a_finding() {
    if !have_tools() {
        return;
    }
    let root = ext(&roots::rhel(9));
    // Blocks, first block, size of blocks, blocks and inodes of a group, size of inodes and of descriptors, inodes, features.
    for (field, value) in [
        (0x04, u32::MAX),
        (0x04, 0),
        (0x14, u32::MAX),
        (0x18, 60),
        (0x18, u32::MAX),
        (0x20, 1),
        (0x20, 8),
        (0x20, 0),
        (0x28, 0),
        (0x28, 1),
        (0x28, u32::MAX),
        (0x58, 0),
        (0x58, 0xffff),
        (0x58, 1),
        (0x00, 0),
        (0x60, u32::MAX),
        (0x104, 0xffff_ffff),
        (0xe0, u32::MAX),
    ] {
        let disk = root.copy();
        corrupt::ext_superblock(&disk, field, value);
        if field == 0x20 {
            corrupt::ext_superblock(&disk, 0x04, u32::MAX);
        }
        let found = Inspection::of(&[&disk]);
        assert_ne!(found.image.is_rhel, Some(false), "{field:x} {value:x}: {}", found.json);
    }
}

#[test]
fn a_link_of_impossible_length_is_a_finding() {
    if !have_tools() {
        return;
    }
    for size in ["0x7fffffffffffff", "0x7fffffff", "4097"] {
        let disk = ext(&roots::rhel(9));
        filesystems::debugfs(
            &disk,
            &format!("set_inode_field /etc/os-release size {size}\nset_inode_field /etc/system-release size {size}\n"),
        );
        assert_ne!(Inspection::of(&[&disk]).image.is_rhel, Some(false));
    }
}

#[test]
fn directory_records_of_length_zero_end() {
    if !have_tools() {
        return;
    }
    for (folder, at, length) in
        [("/etc", 4, 0), ("/etc", 4, 1), ("/etc", 4, 0xffff), ("/etc", 16, 0), ("/", 4, 0), ("/etc/yum.repos.d", 16, 0u16)]
    {
        let disk = ext(&roots::rhel(9));
        disk.write(corrupt::ext_first_block(&disk, folder) + at, &length.to_le_bytes());
        let found = Inspection::of(&[&disk]);
        assert_ne!(found.image.is_rhel, Some(false), "{folder} {at} {length}: {}", found.json);
    }
}

#[test]
fn directories_in_a_circle_end() {
    if !have_tools() {
        return;
    }
    let mut files = roots::rhel(9);
    files.put("etc/pki/product/deep", Node::Folder).put("ostree/deploy", Node::Folder).put("ostree/boot.1", Node::Folder);
    let disk = ext(&files);
    let circles = "link / /etc/again\nlink /etc /etc/yum.repos.d/a.repo\nlink /etc /etc/x-release\nlink / /etc/pki/product/deep/root\n\
                   link /ostree /ostree/boot.1/a\nlink /ostree /ostree/deploy/b\nlink /var /var/lib/rpm/rpm\n";
    filesystems::debugfs(&disk, circles);
    let found = Inspection::of(&[&disk]);
    assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
}

#[test]
fn an_extent_tree_that_contains_itself_ends() {
    if !have_tools() {
        return;
    }
    let disk = ext(&roots::rhel(9));
    let block = corrupt::ext_first_block(&disk, "/var/lib/rpm/rpmdb.sqlite");
    let inode = corrupt::ext_inode(&disk, "/var/lib/rpm/rpmdb.sqlite");
    // A root of one index entry, leading to a block whose only index entry leads to itself.
    let node = |depth: u16, target: u64, max: u16| {
        let mut node = [0xf30a, 1, max, depth, 0, 0].map(u16::to_le_bytes).concat();
        node.extend([0, (target / 4096) as u32, 0].map(u32::to_le_bytes).concat());
        node
    };
    for depth in [1, 5, 0xffff] {
        disk.write(inode + 40, &node(depth, block, 4));
        disk.write(block, &node(depth.saturating_sub(1).max(1), block, 340));
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
        assert_eq!(found.image.inspected.word(), "partial", "{}", found.json);
    }
}

#[test]
fn a_journal_of_impossible_size_is_a_finding() {
    if !have_tools() {
        return;
    }
    let root = ext(&roots::rhel(9));
    let journal = corrupt::ext_first_block(&root, "<8>");
    // Type, block size, length, first block, first block of the log.
    for (field, value) in [(4, 0u32), (12, 0), (12, u32::MAX), (16, u32::MAX), (16, 0), (20, u32::MAX), (28, 1), (28, u32::MAX)] {
        let disk = root.copy();
        disk.write(journal + field, &value.to_be_bytes());
        corrupt::ext_superblock(&disk, 0x60, u32::from_le_bytes(disk.read(1024 + 0x60, 4).try_into().unwrap()) | 4);
        let found = Inspection::of(&[&disk]);
        assert_ne!(found.image.is_rhel, Some(false), "{field} {value}: {}", found.json);
    }
}
