//! Fixed VHD images, as Azure has them: a raw disk with a footer behind it.

use std::sync::Arc;

use super::bytes::{array, has};
use crate::error::Result;
use crate::source::{Slice, Source};

const FOOTER_BYTES: u64 = 512;
const FIXED: u32 = 2;

/// The disk without the footer, if it has one.
///
/// # Errors
/// `Device`.
pub(super) fn without_footer(disk: &Source) -> Result<Source> {
    let Some(len) = disk.len().checked_sub(FOOTER_BYTES) else { return Ok(disk.clone()) };
    let mut footer = [0; FOOTER_BYTES as usize];
    disk.read_at(len, &mut footer)?;
    if has(&footer, 0, b"conectix") && array(&footer, 60).map(u32::from_be_bytes) == Some(FIXED) {
        return Ok(Arc::new(Slice::new(disk.clone(), 0, len)?));
    }
    Ok(disk.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_footer_of_a_fixed_image_is_taken_off() {
        for (kind, expected) in [(2, 512), (3, 1024)] {
            let mut disk = vec![0; 1024];
            disk[512..520].copy_from_slice(b"conectix");
            disk[512 + 63] = kind;
            assert_eq!(without_footer(&(Arc::new(disk) as Source)).unwrap().len(), expected);
        }
        assert_eq!(without_footer(&(Arc::new(vec![0_u8; 9]) as Source)).unwrap().len(), 9);
    }
}
