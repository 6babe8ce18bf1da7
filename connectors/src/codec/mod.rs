//! The CloudTrail codec: one object's bytes into the records that can be EC2 power events, or calls that tag an image.
//!
//! This module knows no place where objects lie, no clock and no I/O: bytes in, [`Decoded`] out.
//!
//! # What it reads
//! Gzip (told by its magic number, one member or several) or plain text, with or without a byte order mark, holding any mix of
//! * `{"Records":[...]}` files, with other keys around `Records` or without;
//! * records on their own: one a line, or simply one behind the other;
//! * a JSON array of records;
//! * records in an EventBridge envelope, `{"detail-type":..., "detail":{record}}`, wherever a record may stand.
//!
//! Digest and Insight files are recognised and hold no records; a digest is given as it is. Anything else is one rejection of the object.
//!
//! # How it reads
//! More than 99 of 100 records are of no interest, so they are not parsed. One pass over the text (the private modules `marks` and `fast`)
//! finds where each record begins and ends, and whether it holds a string that is a relevant event's name, an escape that could hide one, or a
//! byte that is not ASCII. Only such records are validated and parsed. [`slow`] is the definition of what comes out: a
//! plain implementation, and the one that takes over where a text is damaged. Both give equal results on any bytes.
//!
//! # Damage
//! A record that is not UTF-8, not JSON or too large is rejected with its place in the object, and its neighbours are used. So is a record
//! that was torn: the next sound record is found behind it. What stands *between* records (commas, white space) is not judged,
//! nor is a record that could not be relevant anyway. Of a gzip object the members whose checksum holds are used.

mod collect;
mod fast;
mod head;
mod inflate;
mod marks;
pub mod slow;
#[cfg(test)]
mod tests;
mod words;

use std::borrow::Cow;

use cloudigrade_schemas::{DeadLetterReason, UtcSecond};

use self::collect::Collector;
use self::inflate::{Fault, Inflated, Inflater};
use self::marks::Isa;
use crate::limits;

/// What one object may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecLimits {
    /// Bytes of the object once inflated.
    pub inflated_bytes_max: usize,
    /// Inflated bytes for each compressed byte, once the object has grown beyond [`limits::RATIO_FREE_BYTES`].
    pub inflate_ratio_max: usize,
    /// Bytes of one record.
    pub record_bytes_max: usize,
}

impl Default for CodecLimits {
    fn default() -> Self {
        Self {
            inflated_bytes_max: limits::INFLATED_BYTES_MAX,
            inflate_ratio_max: limits::INFLATE_RATIO_MAX,
            record_bytes_max: limits::RECORD_BYTES_MAX,
        }
    }
}

/// What an object turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ObjectKind {
    /// CloudTrail records, perhaps none.
    CloudTrail,
    /// A CloudTrail digest file: checksums of other files.
    Digest,
    /// CloudTrail Insights events: statistics, no records.
    Insight,
    /// None of these; [`Decoded::rejected`] says why.
    Unusable,
}

/// A record that is relevant: from EC2, without an error, with the name of a [`PowerAction`](cloudigrade_schemas::PowerAction), or a call that
/// sets or takes away tags and could name an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelevantRecord<'a> {
    /// Its place among the object's records, from 0.
    pub index: u64,
    /// Its `eventID`, where it has one.
    pub event_id: Option<Cow<'a, str>>,
    /// The record as it stands in the object: one JSON object, known to be well-formed; of an envelope the `detail`.
    pub json: &'a str,
}

/// Something in the object that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The record's place in the object, from 0; `None` where it is not one record.
    pub index: Option<u64>,
    /// Why.
    pub reason: DeadLetterReason,
    /// Why, in words, with what to do.
    pub detail: String,
    /// Its beginning, at most [`FIRST_BYTES_MAX`](cloudigrade_schemas::dead_letter::FIRST_BYTES_MAX) bytes.
    pub first_bytes: Vec<u8>,
}

/// A record of this account and region was logged at this moment. Taken from an object's first and last record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageSample {
    /// The account, as text.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The record's `eventTime`.
    pub event_time: UtcSecond,
}

/// What an object held. It borrows from the object's bytes or from the decoder's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// What the object is.
    pub kind: ObjectKind,
    /// How many records it holds, relevant or not, with those that were rejected.
    pub records: u64,
    /// The text's length in bytes.
    pub inflated_bytes: u64,
    /// The relevant records, in their order.
    pub relevant: Vec<RelevantRecord<'a>>,
    /// What could not be used, in its order; at most [`limits::REJECTED_PER_OBJECT_MAX`] records, then one count of the rest.
    pub rejected: Vec<Rejected>,
    /// How far the data reaches: none, one or two samples.
    pub coverage: Vec<CoverageSample>,
    /// The whole text, if it is a [`ObjectKind::Digest`].
    pub digest: Option<&'a [u8]>,
}

/// Decodes one object after the other. It holds the inflate buffer: have one for each thread.
pub struct Decoder {
    limits: CodecLimits,
    inflater: Inflater,
    isa: Isa,
}

impl Decoder {
    /// A decoder with these limits.
    pub fn new(limits: CodecLimits) -> Self {
        Self { limits, inflater: Inflater::new(), isa: Isa::detect() }
    }

    /// Decodes an object's bytes, as they were fetched.
    ///
    /// It never fails as a whole: of an object that cannot be used, the kind is [`ObjectKind::Unusable`] and one rejection says why.
    pub fn decode<'a>(&'a mut self, object: &'a [u8]) -> Decoded<'a> {
        if inflate::is_gzip(object) {
            let Inflated { text, fault } = self.inflater.inflate(object, &self.limits);
            decode_text(text, fault.map(|fault| (fault, object)), &self.limits, self.isa)
        } else if object.len() > self.limits.inflated_bytes_max {
            decode_text(&[], Some((Fault::too_large(self.limits.inflated_bytes_max), object)), &self.limits, self.isa)
        } else {
            decode_text(object, None, &self.limits, self.isa)
        }
    }
}

/// Decodes a text, and tells of what befell the object (the fault and the object's bytes) before it was one.
fn decode_text<'a>(text: &'a [u8], fault: Option<(Fault, &[u8])>, limits: &CodecLimits, isa: Isa) -> Decoded<'a> {
    if let Some((fault, object)) = &fault
        && text.is_empty()
    {
        return collect::unusable(0, fault.reason, fault.detail.clone(), object);
    }
    let mut collector = Collector::new(text, limits.record_bytes_max);
    fast::split(text, isa, &mut collector);
    let mut decoded = collector.finish();
    if let Some((fault, object)) = fault {
        decoded.rejected.push(collect::rejected(None, fault.reason, fault.detail, object));
    }
    decoded
}
