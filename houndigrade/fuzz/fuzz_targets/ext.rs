//! No change to a sound image of ext makes its reader panic, hang or read behind a file's end.
#![no_main]

use std::sync::Arc;

use houndigrade::filesystem::Ext;
use houndigrade_fuzz::disk::{Base, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: &[u8]| {
    if let Ok(filesystem) = Ext::open(Arc::new(Base::load("ext").patched(changes))) {
        walk(&filesystem);
    }
});
