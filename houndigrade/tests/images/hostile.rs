//! Hostile disks: each ends with a finding within its limits, whatever its bytes claim.

use cloudigrade_schemas::findings::{DatabaseState, Unread, UnreadKind};

use crate::build::corrupt::{self, EXT4_WITHOUT_CHECKSUMS, Numbers};
use crate::build::files::{Files, Node};
use crate::build::image::{Image, MIB};
use crate::build::partitions::{self, gpt_type};
use crate::build::rpm_header::{Package, RED_HAT_RELEASE_KEY_2, Signature};
use crate::build::{filesystems, lvm, roots, rpmdb};
use crate::inspection::Inspection;
use crate::tools::{self, have};

const UUID: &str = "K668Hx-sjVa-8j5Z-HqiL-3XLr-MjWC-dPuJKp";
const VISIBLE: &str = r#""READ", "WRITE", "VISIBLE""#;

fn have_tools() -> bool {
    have(&["sgdisk", "mke2fs", "debugfs", "mkfs.xfs", "mkfs.btrfs"]) && have(&roots::TOOLS)
}

fn ext(files: &Files) -> Image {
    filesystems::ext(files, 64 * MIB, &EXT4_WITHOUT_CHECKSUMS)
}

mod tables {
    use super::*;

    #[test]
    fn a_cycle_of_extended_partitions_ends() {
        if !have_tools() {
            return;
        }
        let root = ext(&roots::rhel(9));
        let sectors = (root.len() / 512) as u32;
        let disk = Image::blank(root.len() + 32 * MIB);
        disk.write(0, &corrupt::boot_record(&[(0x83, 8192, sectors), (5, 2048, 4096)]));
        disk.write(2048 * 512, &corrupt::boot_record(&[(0x83, 1, 16), (5, 100, 50)]));
        disk.write(2148 * 512, &corrupt::boot_record(&[(0x83, 1, 16), (5, 0, 4096)]));
        disk.place_all(8192 * 512, &root);
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
        assert_ne!(found.image.inspected.word(), "complete", "the cycle hides partitions: {}", found.json);
    }

    #[test]
    fn an_extended_partition_that_is_its_own_next_ends() {
        let disk = Image::blank(8 * MIB);
        disk.write(0, &corrupt::boot_record(&[(5, 64, 8000), (15, 64, 8000)]));
        disk.write(64 * 512, &corrupt::boot_record(&[(0x83, 1, 16), (5, 0, 8000)]));
        Inspection::of(&[&disk]).assert_not_silent("corrupt");
    }

    #[test]
    fn a_gpt_of_four_billion_entries_is_beyond_the_limit() {
        if !have_tools() {
            return;
        }
        for (field, value) in [(80, u32::MAX), (84, u32::MAX), (84, 0), (84, 1), (80, 0), (12, u32::MAX), (12, 0)] {
            let disk = partitions::gpt(&[(gpt_type::LINUX, &ext(&roots::rhel(9)))]);
            corrupt::gpt_header(&disk, field, &value.to_le_bytes());
            let found = Inspection::of(&[&disk]);
            assert_ne!(found.image.is_rhel, Some(false), "{field} {value}: {}", found.json);
            // Without its backup nothing is left but to say so.
            disk.write(disk.len() - 512, &[0; 512]);
            assert_ne!(Inspection::of(&[&disk]).image.is_rhel, Some(false), "{field} {value}: {}", found.json);
        }
    }

    #[test]
    fn a_gpt_whose_entries_lie_outside_of_the_disk_is_a_finding() {
        if !have_tools() {
            return;
        }
        let disk = partitions::gpt(&[(gpt_type::LINUX, &ext(&roots::rhel(9)))]);
        for value in [u64::MAX, u64::MAX / 512, 1 << 40, 0] {
            corrupt::gpt_header(&disk, 72, &value.to_le_bytes());
            assert_ne!(Inspection::of(&[&disk]).image.is_rhel, Some(false));
        }
    }

    #[test]
    fn hundreds_of_partitions_over_the_same_system_end_in_time() {
        if !have_tools() {
            return;
        }
        let root = ext(&roots::rhel(9));
        let disk = partitions::gpt(&[(gpt_type::LINUX, &root)]);
        let mut entries = disk.read(1024, 128 * 128);
        let first = entries[..128].to_vec();
        for (number, entry) in entries.chunks_exact_mut(128).enumerate() {
            entry.copy_from_slice(&first);
            entry[16] = number as u8;
        }
        disk.write(1024, &entries);
        corrupt::gpt_header(&disk, 88, &crc32fast::hash(&entries).to_le_bytes());
        assert_eq!(Inspection::of(&[&disk]).image.is_rhel, Some(true));
    }
}

mod volume_groups {
    use super::*;

    /// Inspects a physical volume with the given sections of logical volumes.
    fn inspect(logical: &str) -> Inspection {
        Inspection::of(&[&lvm::physical_volume(64 * MIB, UUID, &lvm::metadata("rhel", UUID, 15, logical))])
    }

    #[track_caller]
    fn assert_is_finding(found: &Inspection, of: &str) {
        assert_eq!(found.image.is_rhel, None, "{of}: {}", found.json);
        assert!(found.json.contains("rhel"), "the group or its volume is named: {}", found.json);
    }

    #[test]
    fn volumes_that_lie_in_each_other_end() {
        let mirror = |of: &str| format!("start_extent = 0\nextent_count = 8\ntype = \"mirror\"\nmirror_count = 1\nmirrors = [\"{of}\", 0]");
        let linear =
            |of: &str| format!("start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"{of}\", 0]");
        for segment in [mirror, linear] {
            let (a, b) = (segment("b"), segment("a"));
            assert_is_finding(
                &inspect(&[lvm::logical_section("a", VISIBLE, &[&a]), lvm::logical_section("b", VISIBLE, &[&b])].concat()),
                "each other",
            );
        }
        assert_is_finding(&inspect(&lvm::logical_section("a", VISIBLE, &[&linear("a")])), "itself");
    }

    #[test]
    fn impossible_segments_are_findings() {
        for segment in [
            lvm::linear(0, u64::MAX, 0),
            lvm::linear(u64::MAX, 1, 0),
            lvm::linear(0, 8, u64::MAX),
            lvm::linear(0, 1 << 50, 0),
            lvm::linear(7, 8, 0),
            lvm::linear(0, 0, 0),
            "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 4294967295\nstripe_size = 128\nstripes = [\"pv0\", 0]"
                .to_owned(),
            "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 2\nstripe_size = 0\nstripes = [\"pv0\", 0, \"pv0\", 4]"
                .to_owned(),
            "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 0\nstripes = []".to_owned(),
            "start_extent = 0\nextent_count = 8\ntype = \"striped\"\nstripe_count = 1\nstripes = [\"nobody\", 0]".to_owned(),
            "start_extent = 0".to_owned(),
        ] {
            assert_is_finding(&inspect(&lvm::logical_section("root", VISIBLE, &[&segment])), &segment);
        }
    }

    #[test]
    fn metadata_of_endless_depth_or_length_is_a_finding() {
        for text in ["a {\n".repeat(100_000), "a = [".repeat(100_000), "\"".repeat(500_001), "a = 1\n".repeat(150_000), "#".repeat(900_000)]
        {
            let disk = lvm::physical_volume(64 * MIB, UUID, &text);
            assert_eq!(Inspection::of(&[&disk]).image.is_rhel, None);
        }
    }

    #[test]
    fn metadata_that_refers_to_itself_or_outside_is_a_finding() {
        let disk = lvm::physical_volume(64 * MIB, UUID, &lvm::metadata("rhel", UUID, 15, ""));
        for (field, value) in [(40u64, 0u64), (40, u64::MAX), (48, u64::MAX), (48, 1 << 40), (32, u64::MAX), (24, u64::MAX)] {
            let copy = disk.copy();
            copy.write(4096 + field, &value.to_le_bytes());
            assert_ne!(Inspection::of(&[&copy]).image.is_rhel, Some(true));
        }
    }

    #[test]
    fn a_volume_group_that_contains_itself_ends() {
        // A logical volume over the physical volume's own label: a volume group in a volume group, without end.
        let segment = lvm::linear(0, 15, 0);
        let text =
            lvm::metadata("rhel", UUID, 15, &lvm::logical_section("root", VISIBLE, &[&segment])).replace("pe_start = 2048", "pe_start = 0");
        let found = Inspection::of(&[&lvm::physical_volume(64 * MIB, UUID, &text)]);
        assert_ne!(found.image.is_rhel, Some(true), "{}", found.json);
    }
}

mod ext4 {
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
}

mod contents {
    use super::*;

    #[test]
    fn fifos_devices_and_folders_are_never_opened() {
        if !have_tools() {
            return;
        }
        let mut files = roots::rhel(9);
        let names = [
            "etc/a-release",
            "etc/yum.repos.d/a.repo",
            "etc/pki/product/69.pem",
            "var/lib/rpm/Packages",
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
        ];
        for name in names {
            files.put(name, Node::Fifo);
        }
        files.put("etc/c-release", Node::Folder).put("etc/yum.conf", Node::Folder).put("etc/dnf/dnf.conf", Node::Fifo);
        files.put("etc/fstab", Node::Fifo);
        let disk = ext(&files);
        filesystems::debugfs(&disk, "cd /etc\nmknod zero-release c 1 5\nmknod disk-release b 8 0\nmknod random.repo c 1 8\n");
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
        assert_eq!(found.facts().rhel_signed_packages.rhel_signed_package_count, 3, "{}", found.json);
        assert!(found.image.rhel_enabled_repos_found, "{}", found.json);
    }

    #[test]
    fn files_of_ten_gib_are_not_read_to_their_end() {
        if !have_tools() {
            return;
        }
        let mut files = roots::rhel(9);
        let sparse = [
            "etc/big-release",
            "etc/yum.repos.d/big.repo",
            "etc/pki/product/69.pem",
            "etc/dnf/dnf.conf",
            "var/lib/rpm/Packages",
            "etc/fstab",
        ];
        for name in sparse {
            files.file(name, "");
        }
        let mut commands = String::new();
        for name in sparse {
            commands += &format!("set_inode_field /{name} size 0x280000000\n");
        }
        let disk = ext(&files);
        filesystems::debugfs(&disk, &commands);
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.is_rhel, Some(true), "{}", found.json);
        assert!(found.image.bytes_read < 64 * MIB, "{}", found.json);
    }

    #[test]
    fn a_database_that_claims_ten_gib_of_pages_is_a_finding() {
        if !have_tools() {
            return;
        }
        for name in ["rpmdb.sqlite", "Packages", "Packages.db"] {
            let mut files = roots::rhel(9);
            let packages = roots::rhel_packages(9);
            let mut content = match name {
                "Packages" => rpmdb::berkeley(&packages),
                "Packages.db" => rpmdb::ndb(&packages),
                _ => rpmdb::sqlite(&packages),
            };
            match name {
                "Packages" => content[32..36].copy_from_slice(&u32::MAX.to_le_bytes()),
                "Packages.db" => content[12..16].copy_from_slice(&u32::MAX.to_le_bytes()),
                _ => content[28..32].copy_from_slice(&u32::MAX.to_be_bytes()),
            }
            files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("var/lib/rpm/{name}"), content);
            let disk = ext(&files);
            filesystems::debugfs(&disk, &format!("set_inode_field /var/lib/rpm/{name} size 0x280000000\n"));
            let found = Inspection::of(&[&disk]);
            assert_eq!(found.image.is_rhel, Some(true), "{name}: {}", found.json);
        }
    }

    #[test]
    fn folders_of_thousands_of_files_are_beyond_the_limit_and_said_to_be() {
        if !have_tools() {
            return;
        }
        let mut files = roots::rhel(9);
        for number in 0..5000 {
            let repository = format!("[rhel-{number}]\nname=RHEL {number}\nenabled=1\n");
            files.file(format!("etc/yum.repos.d/{number}.repo"), repository);
            files.file(format!("etc/pki/product/{number}.pem"), "").file(format!("var/lib/rpm/{number}"), "");
            files.file(format!("etc/{number}-release"), "");
        }
        let disk = filesystems::ext(&files, 256 * MIB, &["-t", "ext4", "-N", "40000"]);
        let found = Inspection::of(&[&disk]);
        assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{}", found.json);
        for what in ["-release", "/etc/pki/product", "repositories"] {
            let limit = |unread: &Unread| unread.why.contains(what) && unread.kind == UnreadKind::Limit;
            assert!(found.facts().unread.iter().any(limit), "{what}: {:?}", found.facts().unread);
        }
        assert!(found.json.len() < 4 << 20, "{} bytes of findings", found.json.len());
    }

    #[test]
    fn thousands_of_large_release_files_do_not_make_large_findings() {
        if !have_tools() {
            return;
        }
        let mut files = roots::rhel(9);
        for number in 0..1500 {
            files.file(format!("etc/{number}-release"), format!("Red Hat {number} {}", "\u{1}".repeat(60_000)));
        }
        let disk = filesystems::ext(&files, 256 * MIB, &["-t", "ext4", "-N", "60000"]);
        let found = Inspection::of(&[&disk]);
        assert_eq!(found.image.is_rhel, Some(true));
        assert!(found.json.len() < 8 << 20, "{} bytes of findings", found.json.len());
    }

    #[test]
    fn pages_in_a_circle_end() {
        if !have_tools() {
            return;
        }
        let packages: Vec<_> = (0..30)
            .map(|number| Package { padding: 20_000, ..Package::new(&format!("p{number}")).signed(Signature::Rsa(RED_HAT_RELEASE_KEY_2)) })
            .collect();
        let inspect = |name: &str, content: Vec<u8>| {
            let mut files = roots::rhel(9);
            files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("var/lib/rpm/{name}"), content);
            let found = Inspection::of(&[&ext(&files)]);
            assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{name}: {}", found.json);
            assert_eq!(found.facts().rhel_signed_packages.databases[0].state, DatabaseState::Partial, "{name}: {}", found.json);
        };
        // Each overflow page of BerkeleyDB leads to itself: its own number is at 8, the next one's at 16, its type (7) at 25.
        let mut berkeley = rpmdb::berkeley(&packages);
        for page in berkeley.chunks_exact_mut(4096).filter(|page| page[25] == 7) {
            page.copy_within(8..12, 16);
        }
        inspect("Packages", berkeley);
        // Each page of SQLite that begins as an overflow page may leads to itself.
        let mut sqlite = rpmdb::sqlite(&packages);
        let pages = sqlite.len() as u32 / 4096;
        for (number, page) in (1u32..).zip(sqlite.chunks_exact_mut(4096)).skip(1) {
            let next = u32::from_be_bytes(page[..4].try_into().unwrap());
            if (2..=pages).contains(&next) {
                page[..4].copy_from_slice(&number.to_be_bytes());
            }
        }
        inspect("rpmdb.sqlite", sqlite);
    }

    #[test]
    fn a_database_of_garbage_is_a_finding() {
        if !have_tools() {
            return;
        }
        let mut numbers = Numbers(0x5eed);
        for name in ["rpmdb.sqlite", "Packages", "Packages.db"] {
            let mut files = roots::rhel(9);
            let garbage: Vec<u8> = (0..100_000).map(|_| numbers.below(256) as u8).collect();
            files.remove("var/lib/rpm/rpmdb.sqlite").file(format!("var/lib/rpm/{name}"), garbage);
            let found = Inspection::of(&[&ext(&files)]);
            assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(true), "partial"), "{name}: {}", found.json);
        }
    }
}

mod damage {
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
}

mod targets {
    use super::*;

    fn inspect(path: &std::path::Path) -> String {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_houndigrade"));
        command.args(["--cloud", "aws", "--format", "json", "--target", "ami-1"]).arg(path);
        String::from_utf8(tools::succeed(&mut command).stdout).unwrap()
    }

    #[test]
    fn a_target_that_is_missing_or_no_disk_is_an_error_of_its_image() {
        if !have(&["mkfifo"]) {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        tools::run("mkfifo", [&fifo]);
        for path in [fifo, folder.path().to_owned(), folder.path().join("nothing"), "/dev/zero".into()] {
            let json = inspect(&path);
            let image = &crate::inspection::parse(&json).images["ami-1"];
            assert!(!image.errors.is_empty() && image.is_rhel.is_none(), "{json}");
        }
    }
}
