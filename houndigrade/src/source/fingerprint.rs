//! A fingerprint of what was read: disks with the same contents have the same, whoever's and wherever they are.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::{BlockSource, Source};
use crate::error::Result;

/// How a fingerprint begins.
const ALGORITHM: &str = "sha256:";

/// A source whose reads are hashed in their order, each with its place. What an inspection reads follows from what it has read, so that the same
/// contents are read in the same way; by the same version of this program.
pub struct Fingerprinted {
    of: Source,
    read: Mutex<Read>,
}

struct Read {
    hash: Sha256,
    /// Whether something could not be read: then it is not known what is there.
    has_failed: bool,
}

impl Fingerprinted {
    /// Nothing of `of` was read yet.
    pub fn new(of: Source) -> Self {
        let mut hash = Sha256::new();
        hash.update(of.len().to_le_bytes());
        Self { of, read: Mutex::new(Read { hash, has_failed: false }) }
    }

    /// The hash of all that was read so far; `None` where something could not be.
    fn digest(&self) -> Option<[u8; 32]> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        (!read.has_failed).then(|| read.hash.clone().finalize().into())
    }
}

impl BlockSource for Fingerprinted {
    fn len(&self) -> u64 {
        self.of.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let told = self.of.read_at(offset, buf);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Ok(()) => {
                read.hash.update(offset.to_le_bytes());
                read.hash.update((buf.len() as u64).to_le_bytes());
                read.hash.update(buf);
            }
            Err(_) => read.has_failed = true,
        }
        told
    }
}

/// The fingerprint of an image's disks, in their order; `None` where something of them could not be read.
pub fn fingerprint<'d>(disks: impl IntoIterator<Item = &'d Fingerprinted>) -> Option<String> {
    let mut all = Sha256::new();
    for disk in disks {
        all.update(disk.digest()?);
    }
    let digits: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{ALGORITHM}{digits}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn disk(bytes: &[u8]) -> Fingerprinted {
        Fingerprinted::new(Arc::new(bytes.to_vec()))
    }

    fn of(bytes: &[u8], reads: &[(u64, usize)]) -> Option<String> {
        let disk = disk(bytes);
        for (offset, count) in reads {
            let _ = disk.read_at(*offset, &mut vec![0; *count]);
        }
        fingerprint([&disk])
    }

    #[test]
    fn it_is_that_of_the_bytes_that_were_read_and_of_where_they_are() {
        let fingerprint = of(b"abcd", &[(0, 1), (2, 2)]);
        assert_eq!(fingerprint.as_ref().map(|told| (told.len(), told.starts_with("sha256:"))), Some((71, true)));
        assert_eq!(of(b"aXcd", &[(0, 1), (2, 2)]), fingerprint, "what was not read does not matter");
        for (bytes, reads) in
            [(b"abcX".as_slice(), [(0, 1), (2, 2)]), (b"abcd", [(0, 1), (3, 1)]), (b"abcd", [(2, 2), (0, 1)]), (b"abcde", [(0, 1), (2, 2)])]
        {
            assert_ne!(of(bytes, &reads), fingerprint);
        }
    }

    #[test]
    fn there_is_none_of_what_could_not_be_read() {
        assert_eq!(of(b"abcd", &[(0, 1), (3, 2)]), None);
    }

    #[test]
    fn the_disks_of_an_image_have_one_together() {
        let (a, b) = (disk(b"a"), disk(b"bb"));
        assert_ne!(fingerprint([&a, &b]), fingerprint([&b, &a]));
        assert_ne!(fingerprint([&a, &b]), fingerprint([&a]));
    }
}
