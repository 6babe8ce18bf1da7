//! No change to a sound image of btrfs makes its reader panic, hang or read behind a file's end.
#![no_main]

use std::sync::Arc;

use houndigrade::filesystem::{Btrfs, Subvolume};
use houndigrade_fuzz::disk::{Base, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: &[u8]| {
    if let Ok(filesystem) = Btrfs::open(Arc::new(Base::load("btrfs").patched(changes)), &Subvolume::Default) {
        walk(&filesystem);
    }
});
