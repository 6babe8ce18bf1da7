//! No fstab makes putting a system together from its volumes panic or hang.
#![no_main]

use std::sync::Arc;

use houndigrade::tree::assemble;
use houndigrade::volumes::{Contents, Volume};
use houndigrade_fuzz::disk::Base;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let volume = |name: &str, label: &str| Volume {
        drive: "/dev/fuzz".to_owned(),
        name: name.to_owned(),
        source: Arc::new(Base::load("ext").replaced(b"# replaced", bytes)),
        contents: Contents::Ext,
        partition_uuid: Some("1-1".to_owned()),
        partition_label: Some(label.to_owned()),
    };
    drop(assemble(&[volume("/dev/fuzz1", "a"), volume("/dev/mapper/rhel-usr", "b")]));
});
