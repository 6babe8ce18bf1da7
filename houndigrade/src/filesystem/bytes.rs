//! Numbers and names as disks state them.

/// The `N` bytes at `at`; zeros where there are none.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// A little-endian number of 16 bits; zero where there is none.
pub(super) fn u16_le(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(field(bytes, at))
}

/// A little-endian number of 32 bits; zero where there is none.
pub(super) fn u32_le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(field(bytes, at))
}

/// A little-endian number of 64 bits; zero where there is none.
pub(super) fn u64_le(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(field(bytes, at))
}

/// A big-endian number of 16 bits; zero where there is none.
pub(super) fn u16_be(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(field(bytes, at))
}

/// A big-endian number of 32 bits; zero where there is none.
pub(super) fn u32_be(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(field(bytes, at))
}

/// A big-endian number of 64 bits; zero where there is none.
pub(super) fn u64_be(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(field(bytes, at))
}

/// A UUID as fstab writes it, `None` if it is all zeros.
pub(super) fn uuid(bytes: [u8; 16]) -> Option<String> {
    if bytes == [0; 16] {
        return None;
    }
    let digit = |half: u8| char::from_digit(u32::from(half), 16);
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        text.extend(matches!(at, 4 | 6 | 8 | 10).then_some('-'));
        text.extend([digit(byte >> 4), digit(byte & 0xf)].into_iter().flatten());
    }
    Some(text)
}

/// A label that ends at its first zero byte, `None` if it is empty.
pub(super) fn label(bytes: &[u8]) -> Option<String> {
    let label = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    (!label.is_empty()).then(|| String::from_utf8_lossy(label).into_owned())
}

/// What each byte does to a CRC-32C.
const CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// CRC-32C of `bytes`, begun with `seed` and not inverted at the end, as ext4's journal uses it.
pub(super) fn crc32c(seed: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(seed, |crc, byte| (crc >> 8) ^ CRC32C[usize::from(crc as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_is_that_of_the_standard() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn fields_behind_the_end_are_zero() {
        assert_eq!((u32_le(&[1, 2], 0), u16_le(&[1, 2], 0), u64_be(&[], usize::MAX)), (0, 0x201, 0));
    }

    #[test]
    fn a_uuid_is_written_as_fstab_does() {
        let bytes = *b"\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef";
        assert_eq!(uuid(bytes).unwrap(), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(uuid([0; 16]), None);
    }
}
