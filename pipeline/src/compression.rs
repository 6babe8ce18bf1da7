//! Compression within the log and the state, with one context a thread: to make one costs more than to use it once.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

/// Faster than the first of the usual levels by half, in both directions; JSON is much alike inside, so that little is lost.
const LEVEL: i32 = -1;

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses some bytes.
pub(crate) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| match compressor {
        Some(compressor) => compressor.compress(bytes),
        none => none.insert(Compressor::new(LEVEL)?).compress(bytes),
    })
}

/// Undoes [`compress`]; an error for what it did not make, or what was more than `bytes_max` bytes.
pub(crate) fn decompress(compressed: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        // The frame says how much comes out; the limit is for a frame that is damaged.
        let size = zstd::zstd_safe::get_frame_content_size(compressed).ok().flatten();
        let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= bytes_max);
        let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a frame of compressed bytes, or too large a one"))?;
        match decompressor {
            Some(decompressor) => decompressor.decompress(compressed, size),
            none => none.insert(Decompressor::new()?).decompress(compressed, size),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_damage_or_excess_is_refused() {
        for bytes in [b"".as_slice(), b"a", &[7; 100_000]] {
            let compressed = compress(bytes).unwrap();
            assert_eq!(decompress(&compressed, 100_000).unwrap(), bytes);
            assert!(decompress(&compressed[..compressed.len() - 1], 100_000).is_err());
        }
        assert!(decompress(&compress(&[7; 100_001]).unwrap(), 100_000).is_err());
        assert!(decompress(b"no frame", 100_000).is_err());
    }
}
