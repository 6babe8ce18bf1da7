//! No label and no metadata of a volume group makes the search for volumes panic or hang; what is found can be read or is an error.
#![no_main]

use houndigrade::volumes::discover;
use houndigrade_fuzz::checksums::fix_lvm;
use houndigrade_fuzz::disk::{Prefix, disk};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    fix_lvm(&mut bytes);
    for volume in discover(&[disk(Prefix { bytes, len: 64 << 20 })]).volumes {
        let (len, mut part) = (volume.source.len(), vec![0; 100_000]);
        for at in [0, len / 2, len.saturating_sub(part.len() as u64)] {
            drop(volume.source.read_at(at, &mut part));
        }
        assert!(volume.source.read_at(len, &mut [0]).is_err());
    }
});
