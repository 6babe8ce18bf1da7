//! No file of ndb makes the package database panic or hang.
#![no_main]

use houndigrade::rpmdb;
use houndigrade_fuzz::files::Fixed;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| drop(rpmdb::find(&Fixed(&[("/var/lib/rpm/Packages.db", bytes)]))));
