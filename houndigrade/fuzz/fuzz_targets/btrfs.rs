//! No change to a sound image of btrfs makes its reader panic, hang or read behind a file's end.
#![no_main]

use std::sync::Arc;

use houndigrade::filesystem::{Btrfs, Subvolume};
use houndigrade_fuzz::disk::{Base, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|changes: &[u8]| {
    let source = Arc::new(Base::load("btrfs").patched(changes).with_btrfs_checksums());
    if let Ok(filesystem) = Btrfs::open(source, &Subvolume::Default) {
        walk(&filesystem);
    }
});
