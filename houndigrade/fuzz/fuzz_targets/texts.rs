//! No release file, os-release, system purpose, fstab or program makes a verdict panic or hang.
#![no_main]

use houndigrade::facts::{Unreadable, architecture, os_release, release, syspurpose};
use houndigrade_fuzz::files::Fixed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = Fixed(&[
        ("/etc/redhat-release", bytes),
        ("/etc/os-release", bytes),
        ("/usr/lib/os-release", bytes),
        ("/etc/rhsm/syspurpose/syspurpose.json", bytes),
        ("/usr/bin/true", bytes),
        ("/bin/sh", bytes),
    ]);
    let mut unread = Unreadable::default();
    drop(release::read(&files, "/dev/fuzz1", &mut unread));
    drop(os_release::read(&files, &mut unread));
    drop(syspurpose::read(&files, &mut unread));
    drop(architecture::read(&files));
});
