//! Volumes: whatever way a disk is divided, the system on it is found, and what holds no files is named.

use crate::build::image::{Image, MIB};
use crate::build::partitions::{self, gpt_type, mbr_type};
use crate::build::{files::Files, filesystems, lvm, roots};
use crate::inspection::Inspection;
use crate::tools::{self, have};

const UUID: &str = "K668Hx-sjVa-8j5Z-HqiL-3XLr-MjWC-dPuJKp";
const VISIBLE: &str = r#""READ", "WRITE", "VISIBLE""#;

fn have_tools() -> bool {
    have(&["sfdisk", "sgdisk", "mke2fs", "mkfs.xfs"]) && have(&roots::TOOLS)
}

fn root() -> Image {
    filesystems::xfs(&roots::rhel(9), 32 * MIB, &filesystems::XFS_OF_EL9)
}

fn data() -> Image {
    filesystems::ext(Files::new().file("lost", "nothing of interest\n"), 8 * MIB, &["-t", "ext4"])
}

fn swap() -> Image {
    let image = Image::blank(4 * MIB);
    tools::run("mkswap", [image.path()]);
    image
}

#[track_caller]
fn assert_rhel_on(disks: &[&Image], volume: &str) {
    let found = Inspection::of(disks);
    found.assert_rhel("9.4");
    assert!(found.volume(volume).facts.as_ref().is_some_and(|facts| facts.is_system), "{}", found.json);
}

#[test]
fn a_disk_without_partition_table_is_its_own_volume() {
    if have_tools() {
        assert_rhel_on(&[&root()], "disk.img");
    }
}

#[test]
fn primary_partitions_of_an_mbr_are_found() {
    if have_tools() {
        assert_rhel_on(&[&partitions::mbr(&[(mbr_type::LINUX, &data()), (mbr_type::LINUX, &root())])], "disk.img2");
    }
}

#[test]
fn logical_partitions_of_an_extended_partition_are_found() {
    if !have_tools() {
        return;
    }
    let (data, swap, root) = (data(), swap(), root());
    let disk =
        partitions::mbr_extended(&[(mbr_type::LINUX, &data), (mbr_type::SWAP, &swap), (mbr_type::LINUX, &data), (mbr_type::LINUX, &root)]);
    assert_rhel_on(&[&disk], "disk.img7");
}

#[test]
fn partitions_of_a_gpt_are_found() {
    if have_tools() {
        assert_rhel_on(&[&partitions::gpt(&[(gpt_type::SWAP, &swap()), (gpt_type::LINUX, &root())])], "disk.img2");
    }
}

#[test]
fn the_backup_of_a_gpt_stands_in_for_a_destroyed_table() {
    if !have_tools() {
        return;
    }
    let disk = partitions::gpt(&[(gpt_type::SWAP, &swap()), (gpt_type::LINUX, &root())]);
    disk.write(512, &[0; 34 * 512 - 512]);
    assert_rhel_on(&[&disk], "disk.img2");
}

#[test]
fn a_gpt_in_sectors_of_4096_bytes_is_read() {
    if have_tools() {
        assert_rhel_on(&[&partitions::gpt_4k(&[(gpt_type::SWAP, &swap()), (gpt_type::LINUX, &root())])], "disk.img2");
    }
}

#[test]
fn what_holds_no_files_is_named() {
    if !have_tools() || !have(&["mkfs.vfat"]) {
        return;
    }
    let vfat = Image::blank(8 * MIB);
    tools::run("mkfs.vfat", [vfat.path()]);
    let ntfs = Image::blank(MIB);
    ntfs.write(0, b"\xeb\x52\x90NTFS    \0\x02\x08");
    ntfs.write(510, b"\x55\xaa");
    let blank = Image::blank(MIB);
    let disk = partitions::gpt(&[
        (gpt_type::EFI, &vfat),
        (gpt_type::BIOS_BOOT, &blank),
        (gpt_type::LINUX, &ntfs),
        (gpt_type::SWAP, &swap()),
        (gpt_type::LINUX, &root()),
    ]);
    let found = Inspection::of(&[&disk]);
    found.assert_rhel("9.4");
    for (number, name) in [(1, "vfat"), (2, "BIOS boot"), (3, "NTFS"), (4, "swap"), (5, "xfs")] {
        let volume = found.volume(&format!("disk.img{number}"));
        assert!(volume.contents.to_lowercase().contains(&name.to_lowercase()), "{number} {}", volume.contents);
    }
}

#[test]
fn an_encrypted_disk_is_said_to_be_encrypted() {
    if !have_tools() || !have(&["cryptsetup"]) {
        return;
    }
    for version in ["luks1", "luks2"] {
        let luks = Image::blank(32 * MIB);
        let options = ["luksFormat", "--batch-mode", "--type", version, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];
        tools::succeed(tools::command("cryptsetup").args(options).arg(luks.path()).args(["--key-file", "/etc/hostname"]));
        let found = Inspection::of(&[&partitions::gpt(&[(gpt_type::LINUX, &data()), (gpt_type::LINUX, &luks)])]);
        found.assert_not_silent("encrypted");
        assert!(found.volume("disk.img2").contents.contains("LUKS"), "{}", found.json);
    }
}

/// A member of an md array with a superblock of version 1.2, as mdadm writes it, and 1 MiB before its data.
fn md_member(level: u32, data: &Image) -> Image {
    let member = Image::blank(data.len() + MIB);
    let mut superblock = vec![0; 264];
    let mut put = |at: usize, bytes: &[u8]| superblock[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0xa92b_4efc_u32.to_le_bytes());
    put(4, &1u32.to_le_bytes());
    put(16, &[7; 16]);
    put(72, &level.to_le_bytes());
    // Size, places of data and of this, all in sectors.
    for (at, sectors) in [(80, data.len() / 512), (128, MIB / 512), (136, data.len() / 512), (144, 8)] {
        put(at, &sectors.to_le_bytes());
    }
    put(92, &2u32.to_le_bytes());
    put(200, &17u64.to_le_bytes());
    put(208, &u64::MAX.to_le_bytes());
    put(220, &4u32.to_le_bytes());
    put(256, &[0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
    let sum: u64 = superblock.chunks_exact(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
    superblock[216..220].copy_from_slice(&((sum & 0xffff_ffff) + (sum >> 32)).to_le_bytes()[..4]);
    member.write(4096, &superblock);
    member.place_all(MIB, data);
    member
}

#[test]
fn a_member_of_a_raid_that_is_not_read_is_said_to_be_one() {
    if !have_tools() {
        return;
    }
    let found = Inspection::of(&[&md_member(5, &root())]);
    found.assert_not_silent("unsupported");
    assert!(found.json.contains("RAID5"), "{}", found.json);
}

#[test]
fn one_half_of_a_mirror_is_enough() {
    if have_tools() {
        Inspection::of(&[&md_member(1, &root())]).assert_rhel("9.4");
    }
}

#[test]
fn logical_volumes_over_two_disks_are_found_linear_striped_and_in_pieces() {
    if !have_tools() || !have(&["lvm", "losetup"]) {
        return;
    }
    let (root, data) = (root(), data());
    let long = filesystems::ext(Files::new().file("long", "long"), 64 * MIB, &["-t", "ext4"]);
    for options in [&[][..], &["--stripes", "2", "--stripesize", "64k"]] {
        let logical = [
            lvm::Logical { name: "home", options: &[], content: &data },
            lvm::Logical { name: "root-1", options, content: &root },
            // Longer than what either disk has left.
            lvm::Logical { name: "data", options: &[], content: &long },
        ];
        let Some(disks) = lvm::group("rhel", &[80 * MIB, 64 * MIB], &logical) else { return };
        let disks = disks.iter().map(|disk| partitions::gpt(&[(gpt_type::LVM, disk)])).collect::<Vec<_>>();
        let found = Inspection::of(&[&disks[0], &disks[1]]);
        found.assert_rhel("9.4");
        assert!(found.volume("/dev/mapper/rhel-root--1").facts.is_some(), "{}", found.json);
        assert_eq!(found.volume("/dev/mapper/rhel-data").contents, "ext4", "{}", found.json);
        assert_eq!(found.volume("/dev/mapper/rhel-data").error, None, "{}", found.json);
    }
}

#[test]
fn a_volume_group_with_a_missing_disk_is_not_taken_for_an_empty_one() {
    if !have_tools() || !have(&["lvm", "losetup"]) {
        return;
    }
    let root = root();
    let logical = [lvm::Logical { name: "root", options: &["--stripes", "2"], content: &root }];
    let Some(disks) = lvm::group("rhel", &[48 * MIB, 48 * MIB], &logical) else { return };
    let found = Inspection::of(&[&disks[0]]);
    assert_ne!(found.image.inspected.word(), "complete", "{}", found.json);
    assert_eq!(found.image.is_rhel, None, "{}", found.json);
}

#[test]
fn one_leg_of_a_raid1_volume_is_enough() {
    if !have_tools() {
        return;
    }
    let raid = "start_extent = 0\nextent_count = 8\ntype = \"raid1\"\ndevice_count = 2\nregion_size = 4096\n\
                raids = [\"root_rmeta_0\", \"root_rimage_0\", \"root_rmeta_1\", \"root_rimage_1\"]";
    let hidden = r#""READ", "WRITE""#;
    let sections = [
        lvm::logical_section("root", VISIBLE, &[raid]),
        lvm::logical_section("root_rmeta_0", hidden, &[&lvm::linear(0, 1, 0)]),
        lvm::logical_section("root_rimage_0", hidden, &[&lvm::linear(0, 8, 1)]),
        lvm::logical_section("root_rmeta_1", hidden, &[&lvm::linear(0, 1, 10)]),
        lvm::logical_section("root_rimage_1", hidden, &[&lvm::linear(0, 8, 11)]),
    ];
    let disk = lvm::physical_volume(96 * MIB, UUID, &lvm::metadata("rhel", UUID, 23, &sections.concat()));
    disk.place_all(lvm::FIRST_EXTENT + lvm::EXTENT_BYTES, &root());
    assert_rhel_on(&[&disk], "/dev/mapper/rhel-root");
}

#[test]
fn a_thin_volume_is_said_to_be_unsupported() {
    let thin = "start_extent = 0\nextent_count = 8\ntype = \"thin\"\nthin_pool = \"pool\"\ntransaction_id = 0\ndevice_id = 1";
    let pool = "start_extent = 0\nextent_count = 8\ntype = \"thin-pool\"\nmetadata = \"pool_tmeta\"\npool = \"pool_tdata\"\n\
                transaction_id = 1\nchunk_size = 128\ndiscards = \"passdown\"\nzero_new_blocks = 1";
    let hidden = r#""READ", "WRITE""#;
    let sections = [
        lvm::logical_section("root", VISIBLE, &[thin]),
        lvm::logical_section("pool", VISIBLE, &[pool]),
        lvm::logical_section("pool_tmeta", hidden, &[&lvm::linear(0, 1, 0)]),
        lvm::logical_section("pool_tdata", hidden, &[&lvm::linear(0, 8, 1)]),
    ];
    let disk = lvm::physical_volume(64 * MIB, UUID, &lvm::metadata("rhel", UUID, 15, &sections.concat()));
    let found = Inspection::of(&[&disk]);
    found.assert_not_silent("unsupported");
    assert!(found.json.contains("thin"), "{}", found.json);
}

#[test]
fn a_blank_disk_holds_nothing_and_that_is_an_answer() {
    let found = Inspection::of(&[&Image::blank(16 * MIB)]);
    assert_eq!((found.image.is_rhel, found.image.inspected.word()), (Some(false), "complete"), "{}", found.json);
}

#[test]
fn an_empty_file_and_a_file_of_less_than_a_sector_are_findings() {
    for bytes in [0, 1, 511] {
        let found = Inspection::of(&[&Image::blank(bytes)]);
        assert_ne!(found.image.is_rhel, Some(true), "{}", found.json);
    }
}

#[test]
fn a_damaged_disk_does_not_hide_the_next() {
    if !have_tools() {
        return;
    }
    let garbage = Image::blank(4 * MIB);
    garbage.write(0, &(0..=255).cycle().take(1 << 20).collect::<Vec<u8>>());
    let root = root();
    let output = tools::succeed(&mut crate::inspection::command(&[("ami-bad", &garbage), ("ami-good", &root)]));
    let findings = crate::inspection::parse(std::str::from_utf8(&output.stdout).unwrap());
    assert_eq!(findings.images["ami-good"].is_rhel, Some(true));
    assert_ne!(findings.images["ami-bad"].is_rhel, Some(true));
}
