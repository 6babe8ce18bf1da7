//! A metadata area: a ring of texts, of which its header names the one that holds.

use super::super::bytes::{has, le_u32, le_u64, sums_agree};
use super::checksum;
use super::label::Area;
use crate::error::{ReadError, Result};
use crate::limits::LVM_METADATA_BYTES_MAX;
use crate::source::BlockSource;

const HEADER_BYTES: u64 = 512;
/// The area is there but not kept up to date.
const FLAG_IGNORED: u32 = 1;

/// The text that describes the volume group; `None` if the area holds none.
///
/// # Errors
/// `Corrupt`, `Limit` if the text is too long, `Device`.
pub(super) fn read(volume: &dyn BlockSource, area: Area) -> Result<Option<Vec<u8>>> {
    let what = || format!("the LVM metadata area at byte {}", area.start);
    let damaged = |why: &str| ReadError::corrupt(what(), why);
    if area.len < HEADER_BYTES || area.start.checked_add(area.len).is_none_or(|end| end > volume.len()) {
        return Err(damaged("it does not fit on its physical volume"));
    }
    let mut header = [0; HEADER_BYTES as usize];
    volume.read_at(area.start, &mut header)?;
    let located = (|| {
        let is_sound =
            has(&header, 4, b" LVM2 x[5A%r0N*>") && le_u32(&header, 20)? == 1 && sums_agree(checksum(&header[4..]), le_u32(&header, 0)?);
        is_sound.then_some((le_u64(&header, 40)?, le_u64(&header, 48)?, le_u32(&header, 56)?, le_u32(&header, 60)?))
    })();
    let (offset, size, crc, flags) = located.ok_or_else(|| damaged("its header is not sound"))?;
    if offset == 0 || size == 0 || flags & FLAG_IGNORED != 0 {
        return Ok(None);
    }
    if size > LVM_METADATA_BYTES_MAX {
        return Err(ReadError::Limit { what: what(), limit: LVM_METADATA_BYTES_MAX, unit: "bytes" });
    }
    if offset < HEADER_BYTES || offset >= area.len || size > area.len - HEADER_BYTES {
        return Err(damaged("its text is not within it"));
    }
    // A text that reaches the area's end goes on behind the header.
    let mut text = vec![0; size as usize];
    let (first, wrapped) = text.split_at_mut(size.min(area.len - offset) as usize);
    volume.read_at(area.start + offset, first)?;
    volume.read_at(area.start + HEADER_BYTES, wrapped)?;
    if !sums_agree(checksum(&text), crc) {
        return Err(damaged("the checksum of its text is wrong"));
    }
    Ok(Some(text))
}

#[cfg(test)]
pub(in crate::volumes) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes an area whose text begins at byte `offset` of it.
    pub(in crate::volumes) fn put_area(volume: &mut [u8], (start, len): (usize, usize), offset: usize, text: &[u8]) {
        for (index, byte) in text.iter().enumerate() {
            let at = offset + index;
            volume[start + if at < len { at } else { at - len + 512 }] = *byte;
        }
        put_header(&mut volume[start..start + 512], (offset as u64, text.len() as u64, checksum(text), 0));
    }

    fn put_header(header: &mut [u8], (offset, size, crc, flags): (u64, u64, u32, u32)) {
        header.fill(0);
        header[4..20].copy_from_slice(b" LVM2 x[5A%r0N*>");
        header[20] = 1;
        header[40..48].copy_from_slice(&offset.to_le_bytes());
        header[48..56].copy_from_slice(&size.to_le_bytes());
        header[56..60].copy_from_slice(&crc.to_le_bytes());
        header[60..64].copy_from_slice(&flags.to_le_bytes());
        let crc = checksum(&header[4..]);
        header[..4].copy_from_slice(&crc.to_le_bytes());
    }

    const AREA: Area = Area { start: 4096, len: 4096 };

    fn with_header(header: (u64, u64, u32, u32)) -> Result<Option<Vec<u8>>> {
        let mut volume = vec![0; 16384];
        put_header(&mut volume[4096..4608], header);
        read(&volume, AREA)
    }

    #[test]
    fn a_text_is_read_also_where_it_wraps() {
        for offset in [512, 4000] {
            let mut volume = vec![0; 16384];
            let text: Vec<u8> = (0..300_u32).map(|n| n as u8).collect();
            put_area(&mut volume, (4096, 4096), offset, &text);
            assert_eq!(read(&volume, AREA).unwrap(), Some(text));
        }
    }

    #[test]
    fn an_empty_or_ignored_area_holds_no_text() {
        assert_eq!(with_header((0, 0, 0, 0)).unwrap(), None);
        assert_eq!(with_header((512, 100, 0, 1)).unwrap(), None);
    }

    #[test]
    fn a_ring_that_runs_into_itself_or_away_is_damage() {
        for (offset, size) in [(512, 3585), (4000, u64::from(u32::MAX)), (u64::MAX, 1), (u64::MAX, u64::MAX), (4096, 1), (8, 8), (512, 10)]
        {
            assert!(
                matches!(with_header((offset, size, 0, 0)), Err(ReadError::Corrupt { .. } | ReadError::Limit { .. })),
                "{offset} {size}"
            );
        }
        let volume = vec![0; 16384];
        for (start, len) in [(u64::MAX, 4096), (16384, 512), (4096, u64::MAX), (0, 0)] {
            assert!(matches!(read(&volume, Area { start, len }), Err(ReadError::Corrupt { .. })));
        }
    }

    proptest! {
        #[test]
        fn headers_that_say_anything_do_no_harm(offset in 0u64..6000, size in 0u64..6000, far in any::<u64>(), which in 0usize..4) {
            let (offset, size) = [(offset, size), (far, size), (offset, far), (far, far)][which];
            let _ = with_header((offset, size, 0, 0));
        }
    }
}
