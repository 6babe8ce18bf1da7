//! A part of another source: a partition, the data of a mirror's half.

use super::{BlockSource, Source, checked_range};
use crate::error::Result;

/// The bytes `start..start + len` of another source.
#[derive(Clone)]
pub struct Slice {
    of: Source,
    start: u64,
    len: u64,
}

impl Slice {
    /// Takes `len` bytes from byte `start` on.
    ///
    /// # Errors
    /// [`crate::ReadError::Corrupt`] if they do not all lie within `of`.
    pub fn new(of: Source, start: u64, len: u64) -> Result<Self> {
        match start.checked_add(len) {
            Some(end) if end <= of.len() => Ok(Self { of, start, len }),
            _ => Err(crate::ReadError::corrupt(
                format!("a reference to byte {start}"),
                format!("{len} bytes from there on end behind the {} that there are", of.len()),
            )),
        }
    }
}

impl BlockSource for Slice {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        // Within `len`, so that the sum is within `start + len`, which was checked.
        let offset = checked_range(self.len, offset, buf.len())?;
        self.of.read_at(self.start + offset, buf)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_part_neither_shows_nor_becomes_more_than_itself() {
        let whole: Source = Arc::new((0..100).collect::<Vec<u8>>());
        let part = Slice::new(whole.clone(), 10, 20).unwrap();
        let mut buf = [0; 2];
        part.read_at(18, &mut buf).unwrap();
        assert_eq!(buf, [28, 29]);
        assert!(part.read_at(19, &mut buf).is_err());
        assert!(part.read_at(u64::MAX, &mut buf).is_err());
        assert!(Slice::new(whole.clone(), 90, 11).is_err());
        assert!(Slice::new(whole, 1, u64::MAX).is_err());
    }
}
