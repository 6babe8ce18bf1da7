//! No change to a sound image of xfs makes its reader panic, hang or read behind a file's end. The first byte chooses the image: version 5 as
//! mkfs makes it, or version 4 as a snapshot of a running machine has it, with its log to be replayed.
#![no_main]

use std::sync::Arc;

use houndigrade::filesystem::Xfs;
use houndigrade_fuzz::disk::{Base, walk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, changes)) = input.split_first() else { return };
    let base = if choice % 2 == 0 { "xfs" } else { "xfs-v4" };
    if let Ok(filesystem) = Xfs::open(Arc::new(Base::load(base).patched(changes))) {
        walk(&filesystem);
    }
});
