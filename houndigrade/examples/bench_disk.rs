//! Measures an inspection of a 10 GiB look-alike of a RHEL 9 machine, once on XFS and once on ext4, with an RPM database of 100 MB: how long
//! it takes, how much memory it holds and how much of the disk it reads.
//!
//!     cargo build --release -p houndigrade && cargo run --release -p houndigrade --example bench_disk
//!
//! `HOUNDIGRADE` names the program, where it is not beside this one.
#![allow(clippy::unwrap_used, reason = "a measurement that fails has no result")]

#[path = "../tests/images/build/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod build;
#[path = "../tests/images/tools.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod tools;

use std::path::PathBuf;
use std::process::Command;

use build::files::Files;
use build::image::{Image, MIB};
use build::rpm_header::{Package, RED_HAT_RELEASE_KEY_2, Signature};
use build::{filesystems, partitions, roots, rpmdb};
use cloudigrade_schemas::findings::Findings;

const DISK_BYTES: u64 = 10 << 30;
const BOOT_BYTES: u64 = 1 << 30;
const PACKAGES: usize = 1500;
/// Inspections of each disk; the slowest counts.
const ROUNDS: usize = 5;
/// What is to be reached, of which the first is a share of the disk's bytes.
const READ_SHARE_MAX: f64 = 0.02;
const SECONDS_MAX: f64 = 2.0;
const PEAK_MAX: u64 = 256 * MIB;

/// Packages with headers of sizes as real ones: most have few files, some have thousands.
fn packages() -> Vec<Package> {
    let package = |number: usize| {
        let files = match number % 20 {
            0 => 4000,
            1..=4 => 800,
            _ => 120,
        };
        Package { files, padding: 12_000, ..Package::new(&format!("package-{number}")) }
            .of("Red Hat, Inc.")
            .signed(Signature::RsaV4(RED_HAT_RELEASE_KEY_2))
    };
    (0..PACKAGES).map(package).collect()
}

/// A root file system with the folders in which something is looked for as full as real ones are.
fn root(database: Vec<u8>) -> Files {
    let mut files = roots::rhel(9);
    for number in 0..1500 {
        files.file(format!("usr/bin/program-{number}"), "#!/bin/sh\n");
    }
    for number in 0..250 {
        files.file(format!("etc/service-{number}.conf"), "[main]\n");
    }
    files.file("var/lib/rpm/rpmdb.sqlite", database);
    files
}

/// Inspects a disk; whether all goals were reached.
fn measure(program: &PathBuf, name: &str, disk: &Image) -> bool {
    let (mut seconds, mut peak, mut read): (f64, u64, u64) = (0.0, 0, 0);
    for _ in 0..ROUNDS {
        let (printed, weight) = tools::weigh(Command::new(program).args(["--format", "json", "--target", "ami-1"]).arg(disk.path()));
        let findings: Findings = serde_json::from_slice(&printed).unwrap();
        let image = &findings.images["ami-1"];
        assert_eq!(image.is_rhel, Some(true));
        assert!(image.rhel_signed_packages_found);
        seconds = seconds.max(weight.time.as_secs_f64());
        peak = peak.max(weight.peak);
        read = read.max(image.bytes_read);
    }
    let share = read as f64 / disk.len() as f64;
    println!("{name}: {seconds:.3} s, {} MiB at most, {} MiB read, {:.2} % of the disk", peak / MIB, read / MIB, share * 100.0);
    share < READ_SHARE_MAX && seconds < SECONDS_MAX && peak < PEAK_MAX
}

fn main() {
    if !tools::have(&["sgdisk", "mke2fs", "mkfs.xfs"]) || !tools::have(&roots::TOOLS) {
        std::process::exit(1);
    }
    let beside = || std::env::current_exe().unwrap().parent().unwrap().with_file_name("houndigrade");
    let program = std::env::var_os("HOUNDIGRADE").map_or_else(beside, PathBuf::from);
    let database = rpmdb::sqlite(&packages());
    println!("{} packages in a database of {} MB, on a disk of {} GiB", PACKAGES, database.len() / 1_000_000, DISK_BYTES >> 30);
    let (root, boot) = (root(database), filesystems::xfs(&Files::new(), BOOT_BYTES, &[]));
    let root_bytes = DISK_BYTES - BOOT_BYTES - 2 * MIB;
    let mut reached = true;
    for name in ["XFS", "ext4"] {
        let root = match name {
            "XFS" => filesystems::xfs(&root, root_bytes, &filesystems::XFS_OF_EL9),
            _ => filesystems::ext(&root, root_bytes, &["-t", "ext4"]),
        };
        reached &= measure(&program, name, &partitions::gpt(&[("8300", &boot), ("8300", &root)]));
    }
    println!("goals: under {} s, {} MiB, {} % of the disk", SECONDS_MAX, PEAK_MAX / MIB, READ_SHARE_MAX * 100.0);
    if !reached {
        println!("NOT REACHED");
        std::process::exit(1);
    }
}
