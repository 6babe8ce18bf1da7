//! The scanner as its users start it: arguments, report, exit codes.
#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use cloudigrade_schemas::Findings;
use cloudigrade_schemas::findings::Inspected;
use tempfile::NamedTempFile;

const DISK_BYTES: u64 = 1 << 20;

fn houndigrade(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_houndigrade")).args(arguments).output().unwrap()
}

fn report(arguments: &[&str]) -> Findings {
    let output = houndigrade(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A disk that begins with these bytes.
fn disk(begin: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(begin).unwrap();
    file.as_file().set_len(DISK_BYTES).unwrap();
    file
}

fn ntfs() -> NamedTempFile {
    disk(b"\xeb\x52\x90NTFS    ")
}

fn luks() -> NamedTempFile {
    disk(b"LUKS\xba\xbe\0\x02")
}

fn name(file: &(impl AsRef<Path> + ?Sized)) -> &str {
    file.as_ref().to_str().unwrap()
}

#[test]
fn without_a_target_or_with_half_of_one_the_usage_is_wrong() {
    for arguments in [&[][..], &["--target", "ami-1"], &["--target", "ami-1", "/dev/none", "--cloud", "moon"]] {
        let output = houndigrade(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn the_help_tells_the_exit_codes_and_nothing_of_the_child() {
    let output = houndigrade(&["--help"]);
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(help.contains("Exit codes: 0 the report was written"), "{help}");
    assert!(!help.contains("as-child"), "{help}");
}

#[test]
fn a_missing_device_is_told_in_both_lists_and_the_next_target_is_inspected() {
    let ntfs = ntfs();
    let findings = report(&["--cloud", "gcp", "--target", "ami-1", "/dev/none", "--target", "ami-2", name(&ntfs)]);
    let error = ["Nothing found at path /dev/none for ami-1".to_owned()];
    assert_eq!((findings.cloud.as_str(), findings.errors.as_slice()), ("gcp", error.as_slice()));
    let missing = &findings.images["ami-1"];
    assert_eq!((missing.errors.as_slice(), missing.rhel_found), (error.as_slice(), false));
    assert_eq!((missing.is_rhel, missing.inspected), (None, Inspected::Corrupt));
    let ntfs = &findings.images["ami-2"];
    assert_eq!((ntfs.is_rhel, ntfs.inspected, ntfs.errors.len()), (Some(false), Inspected::Complete, 0));
}

#[test]
fn targets_of_one_image_are_its_disks() {
    let (ntfs, luks) = (ntfs(), luks());
    let findings = report(&["-t", "ami-1", name(&ntfs), "-t", "ami-1", name(&luks)]);
    let image = &findings.images["ami-1"];
    assert_eq!((findings.images.len(), image.drives.len(), image.inspected), (1, 2, Inspected::Encrypted));
}

#[test]
fn what_is_no_disk_is_told_and_nothing_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let findings = report(&["--target", "a", name(folder.path()), "--target", "b", "/dev/zero"]);
    assert!(findings.images["a"].errors[0].ends_with("is a directory, which is not read"));
    assert!(findings.images["b"].errors[0].ends_with("is a character device, which is not read"));
}

#[test]
fn a_table_is_for_people_and_ends_well_too() {
    let luks = luks();
    let output = houndigrade(&["--format", "table", "--target", "ami-1", name(&luks)]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("ami-1") && text.contains("encrypted") && text.contains("unknown"), "{text}");
}

#[test]
fn a_disk_is_the_same_before_and_after() {
    let luks = luks();
    let state = || (std::fs::read(luks.path()).unwrap(), luks.as_file().metadata().unwrap().modified().unwrap());
    let before = state();
    report(&["--target", "ami-1", name(&luks)]);
    assert!(state() == before);
}

#[test]
fn the_same_disks_give_the_same_text() {
    let luks = luks();
    let text = || houndigrade(&["--target", "ami-1", name(&luks)]).stdout;
    assert_eq!(text(), text());
}

#[test]
fn a_child_without_a_request_says_so_and_ends() {
    let output = houndigrade(&["__inspect-as-child"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}
