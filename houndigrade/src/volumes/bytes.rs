//! Numbers out of bytes of the disk. `None` where the bytes end before the number does.

pub(super) fn le_u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn le_u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Whether a checksum is the one that the disk states. A fuzzer goes on where it is not: it would never guess one.
#[allow(unexpected_cfgs, reason = "cargo-fuzz sets `fuzzing`")]
pub(super) fn sums_agree(calculated: u32, stated: u32) -> bool {
    calculated == stated || cfg!(fuzzing)
}

/// Whether `what` stands at byte `at`.
pub(super) fn has(bytes: &[u8], at: usize, what: &[u8]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(what))
}
