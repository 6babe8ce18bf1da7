//! Inflating gzip within bounds, at libdeflate's speed where an object is what CloudTrail writes: one sound member.
//!
//! libdeflate needs the output's size beforehand and does not say how much input it has read, so whatever is not one sound member of the
//! size that it claims goes through a streaming decoder, which knows what is wrong.

use std::io::{ErrorKind, Read};

use cloudigrade_schemas::DeadLetterReason;
use flate2::bufread::GzDecoder;
use libdeflater::Decompressor;
use memchr::memmem;

use super::CodecLimits;
use crate::limits::{INFLATE_BUFFER_KEPT_BYTES, RATIO_FREE_BYTES};

/// What a gzip member begins with.
const MAGIC: &[u8] = b"\x1f\x8b";
/// The magic number with the only compression method there is.
const MAGIC_DEFLATE: &[u8] = b"\x1f\x8b\x08";
/// Bits of the header's fourth byte, the flags, that are always 0.
const RESERVED_FLAGS: u8 = 0xE0;
/// A member's least size in bytes: 10 of header and 8 of trailer.
const MEMBER_BYTES_MIN: usize = 18;
/// Bytes by which the streaming decoder grows its output at first.
const STREAM_STEP_BYTES: usize = 64 << 10;

/// Whether an object is gzip, by its magic number.
pub(super) fn is_gzip(object: &[u8]) -> bool {
    object.starts_with(MAGIC)
}

/// What is wrong with an object, before any record is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: DeadLetterReason,
    pub detail: String,
}

impl Fault {
    /// The object is larger than the limit.
    pub(super) fn too_large(limit_bytes: usize) -> Self {
        let mib = limit_bytes as f64 / f64::from(1 << 20);
        let detail = format!("the object inflates to more than the limit of {mib} MiB, far beyond CloudTrail's files; check what wrote it");
        Self { reason: DeadLetterReason::TooLarge, detail }
    }

    fn bomb(ratio_limit: usize) -> Self {
        let detail = format!(
            "the gzip stream inflates to more than {ratio_limit} times its size, far beyond CloudTrail's files; check what wrote it"
        );
        Self { reason: DeadLetterReason::GzipBomb, detail }
    }

    fn truncated() -> Self {
        let detail = "the gzip stream ends too early: the object was not written or copied completely; fetch it from its origin again";
        Self { reason: DeadLetterReason::TruncatedGzip, detail: detail.to_owned() }
    }

    fn corrupt(what: &dyn std::fmt::Display) -> Self {
        let detail = format!("the gzip stream is damaged ({what}); fetch the object from its origin again");
        Self { reason: DeadLetterReason::CorruptGzip, detail }
    }
}

/// What came out of an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inflated<'a> {
    /// The text of the members whose checksum holds.
    pub text: &'a [u8],
    /// What is wrong with the member behind them, if anything is.
    pub fault: Option<Fault>,
}

/// Inflates objects into one buffer.
pub(super) struct Inflater {
    libdeflate: Decompressor,
    magic: memmem::Finder<'static>,
    /// As long as the largest text so far, so that it is not zeroed for each object.
    buffer: Vec<u8>,
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { libdeflate: Decompressor::new(), magic: memmem::Finder::new(MAGIC_DEFLATE), buffer: Vec::new() }
    }

    /// Inflates an object that [`is_gzip`]. The buffer never grows beyond what the limits allow to this object, by more than a byte.
    pub(super) fn inflate<'a>(&'a mut self, object: &[u8], limits: &CodecLimits) -> Inflated<'a> {
        let allowed = allowed_bytes(object.len(), limits);
        let claimed = object.last_chunk::<4>().map_or(usize::MAX, |size| u32::from_le_bytes(*size) as usize);
        if self.buffer.len() > INFLATE_BUFFER_KEPT_BYTES && claimed <= INFLATE_BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        if claimed <= allowed && !self.may_have_another_member(object) {
            if self.buffer.len() < claimed {
                // Room for somewhat larger ones too: sizes differ, and new memory is dear. What is large comes seldom.
                let spare = if claimed <= INFLATE_BUFFER_KEPT_BYTES / 2 { claimed / 2 } else { 0 };
                let length = (claimed + spare).min(allowed);
                self.buffer = Vec::new();
                self.buffer.reserve_exact(length);
                self.buffer.resize(length, 0);
            }
            if self.libdeflate.gzip_decompress(object, &mut self.buffer[..claimed]) == Ok(claimed) {
                return Inflated { text: &self.buffer[..claimed], fault: None };
            }
        }
        let (length, fault) = self.stream(object, limits);
        Inflated { text: &self.buffer[..length], fault }
    }

    /// Whether a member's header could stand somewhere behind the first one. By chance it does once in 100 MB.
    fn may_have_another_member(&self, object: &[u8]) -> bool {
        let behind = object.get(MEMBER_BYTES_MIN..).unwrap_or_default();
        self.magic.find_iter(behind).any(|at| behind.get(at + MAGIC_DEFLATE.len()).is_some_and(|flags| flags & RESERVED_FLAGS == 0))
    }

    /// Inflates member after member; returns the length of the sound ones' text, and what is wrong with the next.
    fn stream(&mut self, object: &[u8], limits: &CodecLimits) -> (usize, Option<Fault>) {
        let allowed = allowed_bytes(object.len(), limits);
        let mut rest = object;
        let mut sound = 0;
        while is_gzip(rest) {
            let mut length = sound;
            let mut member = GzDecoder::new(rest);
            loop {
                if length > allowed {
                    let consumed = object.len() - member.get_ref().len();
                    return (sound, Some(over_limit(length, consumed, allowed, limits)));
                }
                if length == self.buffer.len() {
                    let more = length.max(STREAM_STEP_BYTES).min(allowed + 1 - length);
                    self.buffer.reserve_exact(more);
                    self.buffer.resize(length + more, 0);
                }
                let room = self.buffer.len().min(allowed + 1);
                match member.read(&mut self.buffer[length..room]) {
                    Ok(0) => break,
                    Ok(n) => length += n,
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return (sound, Some(Fault::truncated())),
                    Err(error) => return (sound, Some(Fault::corrupt(&error))),
                }
            }
            sound = length;
            rest = member.into_inner();
        }
        // Some writers pad with zeros.
        let padding = rest.iter().all(|byte| *byte == 0);
        (sound, (!padding).then(|| Fault::corrupt(&"something else than gzip follows the stream's end")))
    }
}

/// How much an object of this size may inflate to.
fn allowed_bytes(object_bytes: usize, limits: &CodecLimits) -> usize {
    object_bytes.saturating_mul(limits.inflate_ratio_max).max(RATIO_FREE_BYTES).min(limits.inflated_bytes_max)
}

/// Names the limit that an object has passed: a bomb may reach the limit of size before its ratio to the whole object does.
fn over_limit(inflated: usize, consumed: usize, allowed: usize, limits: &CodecLimits) -> Fault {
    let bomb = inflated > RATIO_FREE_BYTES && inflated > consumed.saturating_mul(limits.inflate_ratio_max);
    if bomb || allowed < limits.inflated_bytes_max {
        Fault::bomb(limits.inflate_ratio_max)
    } else {
        Fault::too_large(limits.inflated_bytes_max)
    }
}

#[cfg(test)]
impl Inflater {
    /// How much memory the buffer takes, in bytes.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}
