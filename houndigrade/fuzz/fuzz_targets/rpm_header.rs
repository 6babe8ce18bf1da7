//! No header of a package, and no signature in one, makes the package database panic or hang; one header is at most one package.
#![no_main]

use houndigrade::rpmdb;
use houndigrade_fuzz::checksums::adler32;
use houndigrade_fuzz::files::Fixed;
use libfuzzer_sys::fuzz_target;

const PAGE_BYTES: usize = 4096;
const BLOCK_BYTES: usize = 16;

/// A database of ndb, the simplest of the forms, with one header.
fn database(header: &[u8]) -> Vec<u8> {
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let word = u32::from_le_bytes;
    let mut blob = [words(&[word(*b"BlbS"), 1, 1, header.len() as u32]), header.to_vec()].concat();
    blob.resize((blob.len() + 12).next_multiple_of(BLOCK_BYTES) - 12, 0);
    blob.extend(words(&[adler32(&blob), header.len() as u32, word(*b"BlbE")]));
    let mut file = words(&[word(*b"RpmP"), 0, 1, 1, 2, 0, 0, 0]);
    file.extend(words(&[word(*b"Slot"), 1, (PAGE_BYTES / BLOCK_BYTES) as u32, (blob.len() / BLOCK_BYTES) as u32]));
    while file.len() < PAGE_BYTES {
        file.extend(words(&[word(*b"Slot"), 0, 0, 0]));
    }
    [file, blob].concat()
}

fuzz_target!(|header: &[u8]| {
    let file = database(header);
    for place in rpmdb::find(&Fixed(&[("/var/lib/rpm/Packages.db", &file)])) {
        if let Ok(Some(packages)) = place.packages {
            assert!(packages.package_count <= 1 && packages.red_hat_signed <= packages.package_count);
        }
    }
});
