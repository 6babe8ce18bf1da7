//! No partition table makes the search for volumes panic, hang or find volumes outside of the disk.
#![no_main]

use houndigrade::volumes::discover;
use houndigrade_fuzz::checksums::fix_gpt;
use houndigrade_fuzz::disk::{Prefix, disk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    fix_gpt(&mut bytes);
    for volume in discover(&[disk(Prefix { bytes, len: 64 << 20 })]).volumes {
        let (len, mut end) = (volume.source.len(), [0; 512]);
        if len >= 512 {
            drop(volume.source.read_at(len - 512, &mut end));
        }
    }
});
