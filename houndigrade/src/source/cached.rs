//! Keeps what was read last: file systems read the same few blocks over and over, in small pieces.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{BlockSource, Source, checked_range};
use crate::error::Result;
use crate::limits::{CACHE_BYTES_MAX, CACHE_PAGE_BYTES, CACHED_READ_BYTES_MAX};

/// A source with a cache of pages, bounded by [`CACHE_BYTES_MAX`]. Reads longer than [`CACHED_READ_BYTES_MAX`] pass it by.
pub struct Cached {
    of: Source,
    pages: Mutex<Pages>,
}

impl Cached {
    /// An empty cache before `of`.
    pub fn new(of: Source) -> Self {
        Self { of, pages: Mutex::default() }
    }

    /// Fills `buf` from one page, of which it wants the bytes from `within` on.
    fn read_of_page(&self, page: u64, within: usize, buf: &mut [u8]) -> Result<()> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = pages.get(page).and_then(|bytes| bytes.get(within..within + buf.len())) {
            buf.copy_from_slice(bytes);
            return Ok(());
        }
        let start = page * CACHE_PAGE_BYTES as u64;
        let mut bytes = vec![0; (self.of.len() - start).min(CACHE_PAGE_BYTES as u64) as usize].into_boxed_slice();
        match self.of.read_at(start, &mut bytes) {
            Ok(()) => {
                buf.copy_from_slice(&bytes[within..within + buf.len()]);
                pages.put(page, bytes);
                Ok(())
            }
            // A bad sector must not hide the good ones in its page.
            Err(_) => self.of.read_at(start + within as u64, buf),
        }
    }
}

impl BlockSource for Cached {
    fn len(&self) -> u64 {
        self.of.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let mut at = checked_range(self.of.len(), offset, buf.len())?;
        if buf.len() > CACHED_READ_BYTES_MAX {
            return self.of.read_at(offset, buf);
        }
        let mut rest = buf;
        while !rest.is_empty() {
            let within = (at % CACHE_PAGE_BYTES as u64) as usize;
            let (now, later) = rest.split_at_mut(rest.len().min(CACHE_PAGE_BYTES - within));
            self.read_of_page(at / CACHE_PAGE_BYTES as u64, within, now)?;
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }
}

/// Pages by their number. When full, the hand goes round and evicts the first page that was not used since it last came by.
#[derive(Default)]
struct Pages {
    slot_of: HashMap<u64, usize>,
    slots: Vec<Slot>,
    hand: usize,
}

struct Slot {
    page: u64,
    bytes: Box<[u8]>,
    used: bool,
}

impl Pages {
    const SLOTS_MAX: usize = CACHE_BYTES_MAX / CACHE_PAGE_BYTES;

    fn get(&mut self, page: u64) -> Option<&[u8]> {
        let slot = self.slots.get_mut(*self.slot_of.get(&page)?)?;
        slot.used = true;
        Some(&slot.bytes)
    }

    fn put(&mut self, page: u64, bytes: Box<[u8]>) {
        let slot = Slot { page, bytes, used: false };
        if self.slots.len() < Self::SLOTS_MAX {
            self.slot_of.insert(page, self.slots.len());
            self.slots.push(slot);
            return;
        }
        while std::mem::take(&mut self.slots[self.hand].used) {
            self.hand = (self.hand + 1) % self.slots.len();
        }
        self.slot_of.remove(&self.slots[self.hand].page);
        self.slot_of.insert(page, self.hand);
        self.slots[self.hand] = slot;
        self.hand = (self.hand + 1) % self.slots.len();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::{Budget, Counted};
    use super::*;
    use crate::error::ReadError;

    const PAGE: u64 = CACHE_PAGE_BYTES as u64;

    fn counted(of: Source) -> Arc<Counted> {
        Arc::new(Counted::new(of, "disk", Budget { bytes: u64::MAX, reads: u64::MAX }))
    }

    /// Bytes that are told by their offset, without memory for them.
    struct Endless;

    impl BlockSource for Endless {
        fn len(&self) -> u64 {
            1 << 40
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            buf.iter_mut().zip(offset..).for_each(|(byte, at)| *byte = (at / PAGE) as u8);
            Ok(())
        }
    }

    /// Fails where byte 5 is asked for.
    struct BadSector;

    impl BlockSource for BadSector {
        fn len(&self) -> u64 {
            100
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
            buf.fill(1);
            if (offset..offset + buf.len() as u64).contains(&5) { Err(ReadError::not_found("byte 5")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_page_is_read_once() {
        let device = counted(Arc::new(Endless));
        let cached = Cached::new(device.clone());
        for at in 0..1000 {
            cached.read_at(at, &mut [0; 8]).unwrap();
        }
        assert_eq!((device.reads(), device.bytes()), (1, PAGE));
    }

    #[test]
    fn pages_in_use_outlive_a_scan_and_memory_stays_bounded() {
        let device = counted(Arc::new(Endless));
        let cached = Cached::new(device.clone());
        let mut byte = [0];
        for page in 0..2 * Pages::SLOTS_MAX as u64 {
            cached.read_at(page * PAGE, &mut byte).unwrap();
            assert_eq!(byte[0], page as u8);
            cached.read_at(0, &mut byte).unwrap();
        }
        assert_eq!(device.reads(), 2 * Pages::SLOTS_MAX as u64);
        let pages = cached.pages.lock().unwrap();
        assert_eq!((pages.slots.len(), pages.slot_of.len()), (Pages::SLOTS_MAX, Pages::SLOTS_MAX));
    }

    #[test]
    fn a_bad_sector_hides_only_itself() {
        let cached = Cached::new(Arc::new(BadSector));
        cached.read_at(0, &mut [0; 5]).unwrap();
        cached.read_at(6, &mut [0; 94]).unwrap();
        assert!(cached.read_at(5, &mut [0]).is_err());
    }

    proptest! {
        #[test]
        fn the_cache_changes_no_byte(reads in prop::collection::vec((0u64..70_000, 0usize..40_000), 1..20)) {
            let bytes: Vec<u8> = (0..70_000u32).map(|at| (at * 31 / 7) as u8).collect();
            let cached = Cached::new(Arc::new(bytes.clone()));
            for (offset, len) in reads {
                let (mut plain, mut through) = (vec![0; len], vec![0; len]);
                let expected = BlockSource::read_at(&bytes, offset, &mut plain).is_ok();
                prop_assert_eq!(cached.read_at(offset, &mut through).is_ok(), expected);
                prop_assert_eq!(plain, through);
            }
        }
    }
}
