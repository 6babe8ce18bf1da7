//! No change to a sound image of xfs makes its reader panic, hang or read behind a file's end.
#![no_main]

use std::sync::Arc;

use houndigrade::filesystem::Xfs;
use houndigrade_fuzz::disk::{Base, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: &[u8]| {
    if let Ok(filesystem) = Xfs::open(Arc::new(Base::load("xfs").patched(changes))) {
        walk(&filesystem);
    }
});
