//! No configuration of yum or dnf makes the reading of repositories panic or hang.
#![no_main]

use houndigrade::facts::{Unreadable, repositories};
use houndigrade_fuzz::files::Fixed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = Fixed(&[("/etc/yum.repos.d/a.repo", bytes), ("/etc/dnf/dnf.conf", bytes), ("/etc/yum.conf", b"[main]\n")]);
    let found = repositories::read(&files, "/dev/fuzz1", &mut Unreadable::default());
    assert!(found.rhel_found != found.rhel_enabled_repos.is_empty());
});
