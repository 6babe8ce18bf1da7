//! The text of an object, which is what hashes and signatures are of: digests and log files are compressed when they are stored.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

/// How many bytes are inflated at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Why an object has no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoText {
    /// The gzip stream is damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It inflates to more than the limit.
    #[error("it inflates to more than the limit of {0} bytes")]
    TooLarge(usize),
}

/// The text of an object, inflated if it is gzip.
pub(super) fn text_of(content: &[u8], limit: usize) -> Result<Vec<u8>, NoText> {
    let mut text = Vec::new();
    inflate(content, limit, |chunk| text.extend_from_slice(chunk))?;
    Ok(text)
}

/// SHA-256 of an object's text, in hexadecimal digits.
pub(super) fn hash_of_text(content: &[u8], limit: usize) -> Result<String, NoText> {
    let mut hash = Sha256::new();
    inflate(content, limit, |chunk| hash.update(chunk))?;
    Ok(hexadecimal(&hash.finalize()))
}

/// SHA-256, in hexadecimal digits.
pub(super) fn sha256(text: &[u8]) -> String {
    hexadecimal(&Sha256::digest(text))
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits as bytes.
pub(super) fn from_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.trim();
    let pairs = digits.as_bytes().chunks(2);
    (digits.len().is_multiple_of(2) && digits.is_ascii())
        .then(|| pairs.map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())).collect())
        .flatten()
}

fn inflate(content: &[u8], limit: usize, mut take: impl FnMut(&[u8])) -> Result<(), NoText> {
    if !content.starts_with(&[0x1f, 0x8b]) {
        if content.len() > limit {
            return Err(NoText::TooLarge(limit));
        }
        take(content);
        return Ok(());
    }
    let mut inflater = MultiGzDecoder::new(content);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut inflated = 0_usize;
    loop {
        match inflater.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                inflated += read;
                if inflated > limit {
                    return Err(NoText::TooLarge(limit));
                }
                take(&chunk[..read]);
            }
            Err(error) => return Err(NoText::Damaged(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_text_of_a_compressed_object_is_bounded_and_a_damaged_one_has_none() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&[b'x'; 100_000]).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(text_of(&gzip, 100_000).unwrap().len(), 100_000);
        assert_eq!(hash_of_text(&gzip, 100_000).unwrap(), sha256(&[b'x'; 100_000]));
        assert_eq!(text_of(&gzip, 99_999), Err(NoText::TooLarge(99_999)));
        assert_eq!(text_of(b"plain", 4), Err(NoText::TooLarge(4)));
        assert!(matches!(text_of(&gzip[..gzip.len() / 2], 100_000), Err(NoText::Damaged(_))));
    }

    #[test]
    fn hexadecimal_digits_are_read_as_they_are_written() {
        assert_eq!(from_hexadecimal(&hexadecimal(&[0, 255, 16])), Some(vec![0, 255, 16]));
        for not in ["0", "zz", "é0", "+1"] {
            assert_ne!(from_hexadecimal(not), Some(vec![0]), "{not}");
        }
        assert_eq!(from_hexadecimal("0g"), None);
    }
}
