//! A disk with what replaying a log writes laid over it, in memory. It must not know what is written.

use std::collections::BTreeMap;

use crate::error::{ReadError, Result};
use crate::limits::XFS_REPLAYED_BYTES_MAX;
use crate::source::{BlockSource, Source, checked_range};

/// Bytes of the pieces that are kept: the smallest that XFS writes.
const SECTOR_BYTES: usize = 512;

/// A disk, and the sectors of it that are newer in memory.
pub(super) struct Overlay {
    disk: Source,
    /// By number.
    sectors: BTreeMap<u64, Box<[u8; SECTOR_BYTES]>>,
}

impl Overlay {
    /// The disk as it is.
    pub(super) fn over(disk: Source) -> Self {
        Self { disk, sectors: BTreeMap::new() }
    }

    /// Writes bytes from `offset` on. The disk is not written.
    ///
    /// # Errors
    /// `Corrupt` behind the disk's end, `Limit` if there is too much to keep, `Device` if the rest of a sector cannot be read.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        checked_range(self.disk.len(), offset, bytes.len())?;
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (number, within) = (at / SECTOR_BYTES as u64, (at % SECTOR_BYTES as u64) as usize);
            let count = (SECTOR_BYTES - within).min(bytes.len() - done);
            self.sector(number)?[within..within + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        Ok(())
    }

    /// A sector to be changed. The last one of a disk may be cut off by its end.
    fn sector(&mut self, number: u64) -> Result<&mut [u8; SECTOR_BYTES]> {
        if !self.sectors.contains_key(&number) && (self.sectors.len() + 1) * SECTOR_BYTES > XFS_REPLAYED_BYTES_MAX {
            return Err(ReadError::Limit { what: "what the log writes".to_owned(), limit: XFS_REPLAYED_BYTES_MAX as u64, unit: "bytes" });
        }
        let disk = &self.disk;
        Ok(match self.sectors.entry(number) {
            std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                let mut sector = Box::new([0; SECTOR_BYTES]);
                let from = number * SECTOR_BYTES as u64;
                let there = disk.len().saturating_sub(from).min(SECTOR_BYTES as u64) as usize;
                disk.read_at(from, &mut sector[..there])?;
                free.insert(sector)
            }
        })
    }
}

impl BlockSource for Overlay {
    fn len(&self) -> u64 {
        self.disk.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        self.disk.read_at(offset, buf)?;
        let end = offset + buf.len() as u64;
        for (number, sector) in self.sectors.range(offset / SECTOR_BYTES as u64..end.div_ceil(SECTOR_BYTES as u64)) {
            let begin = number * SECTOR_BYTES as u64;
            let (from, to) = (begin.max(offset), (begin + SECTOR_BYTES as u64).min(end));
            if from < to {
                buf[(from - offset) as usize..(to - offset) as usize]
                    .copy_from_slice(&sector[(from - begin) as usize..(to - begin) as usize]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_give_what_was_written_last(writes in prop::collection::vec((0_u64..3000, prop::collection::vec(any::<u8>(), 0..700)), 0..20)) {
            let mut expected: Vec<u8> = (0..3333_u32).map(|at| at as u8).collect();
            let mut overlay = Overlay::over(Arc::new(expected.clone()));
            for (offset, bytes) in writes {
                let place = offset as usize..offset as usize + bytes.len();
                let fits = place.end <= expected.len();
                prop_assert_eq!(overlay.write(offset, &bytes).is_ok(), fits);
                if fits {
                    expected[place].copy_from_slice(&bytes);
                }
            }
            for (from, count) in [(0, 3333), (511, 2), (512, 512), (1000, 777), (3332, 1), (3333, 0)] {
                let mut read = vec![0; count];
                overlay.read_at(from as u64, &mut read).unwrap();
                prop_assert_eq!(&read, &expected[from..from + count]);
            }
        }
    }

    /// A disk of that many zeros.
    struct Zeros(u64);

    impl BlockSource for Zeros {
        fn len(&self) -> u64 {
            self.0
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            checked_range(self.0, offset, buf.len())?;
            buf.fill(0);
            Ok(())
        }
    }

    #[test]
    fn more_than_is_kept_is_refused() {
        let mut overlay = Overlay::over(Arc::new(Zeros(u64::MAX)));
        for number in 0..(XFS_REPLAYED_BYTES_MAX / SECTOR_BYTES) as u64 {
            overlay.write(number << 30, &[1]).unwrap();
        }
        overlay.write(5, &[1]).unwrap();
        assert!(matches!(overlay.write(1000, &[1]), Err(ReadError::Limit { .. })));
    }
}
