//! Whole disks made in memory.

use proptest::prelude::*;

use super::super::gpt::tests::{LINUX, put_gpt};
use super::super::lvm::tests::{EXTENT, FIRST_EXTENT, group, linear, put_physical, volume};
use super::super::mbr::tests::put_entry;
use super::super::md::tests::put_md;
use super::*;
use crate::source::{BlockSource, Budget, Counted};

const MIB: usize = 1 << 20;

fn disk(name: &str, bytes: Vec<u8>) -> Disk {
    Disk { name: name.to_owned(), source: Arc::new(bytes) }
}

fn put_ext(bytes: &mut [u8], at: usize) {
    bytes[at + 1080..at + 1082].copy_from_slice(b"\x53\xef");
}

fn put_btrfs(bytes: &mut [u8], at: usize) {
    bytes[at + 65600..at + 65608].copy_from_slice(b"_BHRfS_M");
}

/// Names and contents of the volumes, in their order.
fn volumes(found: &Discovery) -> Vec<(&str, Contents)> {
    found.volumes.iter().map(|volume| (volume.name.as_str(), volume.contents.clone())).collect()
}

/// Names of the problems, and whether they hide something.
fn problems(found: &Discovery) -> Vec<(&str, bool)> {
    found.problems.iter().map(|problem| (problem.name.as_str(), problem.hides)).collect()
}

/// A disk with a GPT: BIOS boot, ext, and a physical volume on which lies one logical volume.
fn machine() -> Vec<u8> {
    let mut bytes = vec![0; 2 * MIB];
    put_gpt(&mut bytes, 512, &[(*b"Hah!IdontNeedEFI", 40, 99), (LINUX, 100, 1023), (LINUX, 1024, 4000)], |said| said);
    put_ext(&mut bytes, 100 * 512);
    put_physical(&mut bytes[1024 * 512..], 'a', &group("vg", 1, "a", &volume("root", 40, &linear("pva", 2))));
    put_btrfs(&mut bytes, 1024 * 512 + FIRST_EXTENT + 2 * EXTENT);
    bytes
}

#[test]
fn partitions_and_logical_volumes_are_found() {
    let found = discover(&[disk("/dev/xvdb", machine())]);
    let expected = [("/dev/xvdb1", Contents::Known("BIOS boot")), ("/dev/xvdb2", Contents::Ext), ("/dev/mapper/vg-root", Contents::Btrfs)];
    assert_eq!(volumes(&found), expected);
    assert_eq!(found.volumes[2].drive, "/dev/xvdb");
    assert_eq!(found.volumes[1].partition_label.as_deref(), Some("rööt"));
    assert!(found.problems.is_empty(), "{:?}", found.problems);
}

#[test]
fn a_disk_without_a_table_is_a_volume() {
    let mut bytes = vec![0; MIB];
    put_ext(&mut bytes, 0);
    assert_eq!(volumes(&discover(&[disk("disk.img", bytes)])), [("disk.img", Contents::Ext)]);
}

#[test]
fn a_damaged_disk_does_not_hide_the_others() {
    let mut damaged = machine();
    damaged[512 + 40] ^= 1;
    let end = damaged.len() - 512;
    damaged[end..].fill(0);
    let mut other = vec![0; MIB];
    put_entry(&mut other, 0, (0, 0x83, 10, 5000));
    put_ext(&mut other, 10 * 512);
    let found = discover(&[disk("/dev/sda", damaged), disk("/dev/nvme1n1", other), disk("/dev/sdc", vec![])]);
    assert_eq!(volumes(&found), [("/dev/sda", Contents::Unknown), ("/dev/nvme1n1p1", Contents::Ext), ("/dev/sdc", Contents::Blank)]);
    assert_eq!(problems(&found), [("/dev/sda", true), ("/dev/nvme1n1p1", true)]);
}

#[test]
fn a_mirror_is_read_from_its_newest_half() {
    let half = |events| {
        let mut bytes = vec![0; MIB];
        put_md(&mut bytes, 4096, (7, 1, events), (256, 512));
        put_physical(&mut bytes[256 * 512..], 'a', &group("vg", events, "a", &volume("root", 20, &linear("pva", 0))));
        put_ext(&mut bytes, 256 * 512 + FIRST_EXTENT);
        bytes
    };
    let found = discover(&[disk("/dev/sda", half(5)), disk("/dev/sdb", half(6)), disk("/dev/sdc", half(6))]);
    let other = Contents::Known("half of an md RAID1 that is read from another half");
    assert_eq!(volumes(&found), [("/dev/sda", other.clone()), ("/dev/sdc", other), ("/dev/mapper/vg-root", Contents::Ext)]);
    assert_eq!(found.volumes[2].drive, "/dev/sdb");
    assert_eq!(problems(&found), [("/dev/sdb", false)]);
}

#[test]
fn a_mirror_with_its_metadata_at_the_end_is_not_read_as_a_disk() {
    let mut bytes = vec![0; MIB];
    put_ext(&mut bytes, 0);
    put_md(&mut bytes, MIB - 8192, (7, 1, 5), (0, 1000));
    let found = discover(&[disk("/dev/sda", bytes)]);
    assert_eq!(volumes(&found), [("/dev/sda", Contents::Ext)]);
    assert_eq!(found.volumes[0].source.len(), 1000 * 512);
    assert_eq!(problems(&found), [("/dev/sda", false)]);
}

#[test]
fn a_part_of_a_larger_array_is_named_and_not_read() {
    let mut bytes = vec![0; MIB];
    put_ext(&mut bytes, 0);
    put_md(&mut bytes, MIB - 8192, (7, 5, 5), (0, 1000));
    let found = discover(&[disk("/dev/sda", bytes)]);
    assert_eq!(volumes(&found), [("/dev/sda", Contents::Member("md RAID5 member (metadata 1.0)".to_owned()))]);
}

/// Physical volumes in each other's logical volumes, `depth` of them, with ext in the innermost.
fn nested(depth: u32) -> Vec<u8> {
    let letter = char::from(b'a' + depth as u8);
    if depth == 0 {
        let mut bytes = vec![0; 8192];
        put_ext(&mut bytes, 0);
        return bytes;
    }
    let inner = nested(depth - 1);
    let mut bytes = vec![0; FIRST_EXTENT];
    let extents = (inner.len() / EXTENT) as u64;
    let logical = volume("lv", extents, &linear(&format!("pv{letter}"), 0));
    put_physical(&mut bytes, letter, &group(&format!("g{depth}"), 1, &letter.to_string(), &logical));
    bytes.extend(inner);
    bytes
}

#[test]
fn groups_within_groups_end_at_a_limit() {
    let found = discover(&[disk("/dev/sda", nested(VOLUME_NESTING_MAX as u32))]);
    assert_eq!(volumes(&found), [("/dev/mapper/g1-lv", Contents::Ext)]);
    let found = discover(&[disk("/dev/sda", nested(VOLUME_NESTING_MAX as u32 + 1))]);
    assert!(found.volumes.is_empty());
    assert!(matches!(found.problems[0].error, ReadError::Limit { .. }), "{:?}", found.problems);
    assert_eq!(found.problems[0].name, "/dev/mapper/g2-lv");
}

#[test]
fn a_volume_of_a_machine_within_another_has_a_name_of_its_own() {
    // The guest's group lies in a volume of the host's, and both are called the same.
    let guest = {
        let mut bytes = vec![0; FIRST_EXTENT];
        put_physical(&mut bytes, 'b', &group("vg", 1, "b", &volume("root", 2, &linear("pvb", 0))));
        bytes.extend(nested(0));
        bytes
    };
    let guest_extents = (guest.len() / EXTENT) as u64;
    let mut host = vec![0; FIRST_EXTENT + 2 * EXTENT];
    let logical = volume("root", 2, &linear("pva", 0)) + &volume("vm", guest_extents, &linear("pva", 2));
    put_physical(&mut host, 'a', &group("vg", 1, "a", &logical));
    put_ext(&mut host, FIRST_EXTENT);
    host.extend(guest);
    let found = discover(&[disk("/dev/sda", host)]);
    assert_eq!(volumes(&found), [("/dev/mapper/vg-root", Contents::Ext), ("/dev/mapper/vg-root (2)", Contents::Ext)]);
}

#[test]
fn volumes_and_problems_have_an_end() {
    let sound = vec![(LINUX, 40_u64, 41_u64); 128];
    let unsound = vec![(LINUX, 40_u64, 1_u64); 128];
    let with = |entries: &[_]| {
        let mut bytes = vec![0; 100 * 512];
        put_gpt(&mut bytes, 512, entries, |said| said);
        bytes
    };
    let found = discover(&vec![disk("/dev/sda", with(&sound)); 20]);
    assert!(found.volumes.len() < VOLUMES_MAX && found.volumes.len() > VOLUMES_MAX - 25);
    assert_eq!(found.problems.len(), 1);
    let found = discover(&vec![disk("/dev/sda", with(&unsound)); 20]);
    assert_eq!(found.problems.len(), VOLUME_PROBLEMS_MAX);
}

/// A machine's disk that cannot be read from some byte on.
struct Broken(Vec<u8>, u64);

impl BlockSource for Broken {
    fn len(&self) -> u64 {
        BlockSource::len(&self.0)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        if offset + buf.len() as u64 > self.1 {
            return Err(ReadError::Device { what: "disk".to_owned(), error: Arc::new(std::io::Error::from_raw_os_error(5)) });
        }
        self.0.read_at(offset, buf)
    }
}

#[test]
fn a_device_that_fails_hides_no_more_than_it_must() {
    let found = |good: usize| discover(&[Disk { name: "/dev/sda".to_owned(), source: Arc::new(Broken(machine(), good as u64)) }]);
    let nothing = found(0);
    assert!(nothing.volumes.is_empty() && problems(&nothing).contains(&("/dev/sda", true)));
    assert_eq!(found(2 * MIB - 512).volumes.len(), 3);
    let half = found(MIB / 2);
    assert_eq!(volumes(&half), [("/dev/sda1", Contents::Known("BIOS boot")), ("/dev/sda2", Contents::Ext)]);
    assert!(problems(&half).contains(&("/dev/sda3", true)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_disks_end_within_limits(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..60), cut in any::<usize>(), at_end in any::<bool>()) {
        let mut bytes = machine();
        put_md(&mut bytes, 2 * MIB - 8192, (7, 1, 5), (0, 1000));
        // Most changes hit where something is.
        let places = [0, 512, 1024, 100 * 512, 1024 * 512 + 512, 1024 * 512 + 4096, 1024 * 512 + 4608, 2 * MIB - 512, 2 * MIB - 8192];
        for (at, value) in changes {
            bytes[places[at % places.len()] + at / places.len() % 512] = value;
        }
        if at_end {
            bytes.truncate(cut % bytes.len());
        }
        let len = bytes.len() as u64;
        let source = Arc::new(Counted::new(Arc::new(bytes), "disk", Budget { bytes: 64 << 20, reads: 10_000 }));
        let found = discover(&[Disk { name: "/dev/sda".to_owned(), source: source.clone() }]);
        prop_assert!(found.volumes.iter().all(|volume| volume.source.len() <= len));
        let of_device = found.problems.iter().filter(|problem| matches!(problem.error, ReadError::Device { .. })).count();
        prop_assert_eq!(of_device, 0);
        prop_assert!(source.bytes() < 16 << 20);
    }
}
