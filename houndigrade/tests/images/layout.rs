//! The bytes of each volume are those that were put there, whatever way the disk is divided.

use std::sync::Arc;

use houndigrade::source::FileSource;
use houndigrade::volumes::{Discovery, Disk, discover};

use crate::build::image::{Image, MIB};
use crate::build::lvm;
use crate::build::partitions::{self, gpt_type, mbr_type};
use crate::tools::have;

fn discovered(disks: &[&Image]) -> Discovery {
    let disk = |(number, image): (usize, &&Image)| Disk {
        name: format!("/dev/sd{}", char::from(b'a' + number as u8)),
        source: Arc::new(FileSource::open(image.path()).unwrap()),
    };
    discover(&disks.iter().enumerate().map(disk).collect::<Vec<_>>())
}

/// An image without any pattern that is a multiple of an extent or a stripe.
fn noise(bytes: u64, seed: u64) -> Image {
    let image = Image::blank(bytes);
    let content: Vec<u8> = (0..bytes / 8).flat_map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed).to_le_bytes()).collect();
    image.write(0, &content);
    image
}

#[track_caller]
fn assert_holds(found: &Discovery, name: &str, content: &Image) {
    let volume = found.volumes.iter().find(|volume| volume.name == name).unwrap_or_else(|| {
        let names: Vec<_> = found.volumes.iter().map(|volume| &volume.name).collect();
        panic!("{name} is not among {names:?}; {:?}", found.problems)
    });
    assert!(volume.source.len() >= content.len(), "{name} has {} bytes", volume.source.len());
    let mut bytes = vec![0; content.len() as usize];
    volume.source.read_at(0, &mut bytes).unwrap();
    assert!(bytes == content.read(0, bytes.len()), "{name} holds something else");
    // And at places that are no multiples of anything.
    for at in (4093..content.len() - 70_001).step_by(1_000_003) {
        let mut part = vec![0; 70_001];
        volume.source.read_at(at, &mut part).unwrap();
        assert!(part == content.read(at, part.len()), "{name} holds something else at {at}");
    }
}

#[test]
fn each_partition_holds_what_was_put_there() {
    if !have(&["sfdisk", "sgdisk"]) {
        return;
    }
    let [a, b, c] = [1, 2, 3].map(|seed| noise(3 * MIB + 4096 * seed, seed));
    let tables = [
        ("mbr", partitions::mbr(&[(mbr_type::LINUX, &a), (mbr_type::LINUX, &b), (mbr_type::SWAP, &c)]), [1, 2, 3]),
        ("extended", partitions::mbr_extended(&[(mbr_type::LINUX, &a), (mbr_type::LINUX, &b), (mbr_type::LINUX, &c)]), [1, 5, 6]),
        ("gpt", partitions::gpt(&[(gpt_type::LINUX, &a), (gpt_type::LINUX, &b), (gpt_type::LINUX, &c)]), [1, 2, 3]),
        ("gpt_4k", partitions::gpt_4k(&[(gpt_type::LINUX, &a), (gpt_type::LINUX, &b), (gpt_type::LINUX, &c)]), [1, 2, 3]),
    ];
    for (name, disk, numbers) in tables {
        let found = discovered(&[&disk]);
        assert_eq!(found.problems.len(), 0, "{name} {:?}", found.problems);
        assert_eq!(found.volumes.iter().filter(|volume| volume.source.len() >= MIB * 3).count(), 3, "{name}");
        for (number, content) in numbers.iter().zip([&a, &b, &c]) {
            assert_holds(&found, &format!("/dev/sda{number}"), content);
        }
    }
}

#[test]
fn each_logical_volume_holds_what_was_put_there() {
    if !have(&["lvm", "losetup"]) {
        return;
    }
    let [linear, striped, thirds, long] = [(16, 1), (32, 2), (24, 3), (56, 4)].map(|(mib, seed)| noise(mib * MIB, seed));
    let logical = [
        lvm::Logical { name: "linear", options: &[], content: &linear },
        lvm::Logical { name: "striped", options: &["--stripes", "2", "--stripesize", "64k"], content: &striped },
        lvm::Logical { name: "thirds-of-it", options: &["--stripes", "3", "--stripesize", "4k"], content: &thirds },
        lvm::Logical { name: "long", options: &["--alloc", "anywhere"], content: &long },
    ];
    let Some(disks) = lvm::group("group-1", &[64 * MIB, 52 * MIB, 40 * MIB], &logical) else { return };
    // The disks' order is none of the volume group's business.
    let found = discovered(&[&disks[2], &disks[0], &disks[1]]);
    assert_eq!(found.problems.len(), 0, "{:?}", found.problems);
    for (name, content) in [("linear", &linear), ("striped", &striped), ("thirds--of--it", &thirds), ("long", &long)] {
        assert_holds(&found, &format!("/dev/mapper/group--1-{name}"), content);
    }
}
