//! What comes of an object's records, gathered one by one, in their order, and what the object is in the light of all of them.

use cloudigrade_schemas::DeadLetterReason;
use cloudigrade_schemas::dead_letter::FIRST_BYTES_MAX;
use serde::de::IgnoredAny;

use super::head::Sketch;
use super::words::{begins_as_record, without_byte_order_mark};
use super::{Decoded, ObjectKind, Rejected, RelevantRecord};
use crate::limits::REJECTED_PER_OBJECT_MAX;

/// What one record is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// It can be a power event, or tag an image.
    Relevant(RelevantRecord<'a>),
    /// It cannot.
    Irrelevant,
    /// It cannot be read.
    Rejected(DeadLetterReason, String),
}

/// Gathers [`Decoded`] from a text's records.
pub(super) struct Collector<'a> {
    text: &'a [u8],
    record_bytes_max: usize,
    records: u64,
    relevant: Vec<RelevantRecord<'a>>,
    rejected: Vec<Rejected>,
    rejected_more: u64,
    /// The first and the last record that were not rejected.
    ends: Option<(&'a [u8], &'a [u8])>,
    /// Something was found that only CloudTrail writes.
    is_cloudtrail: bool,
    is_digest: bool,
    /// The first value that is nothing of CloudTrail's, and how many there are.
    other: Option<(&'a [u8], u64)>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(text: &'a [u8], record_bytes_max: usize) -> Self {
        Self {
            text,
            record_bytes_max,
            records: 0,
            relevant: Vec::new(),
            rejected: Vec::new(),
            rejected_more: 0,
            ends: None,
            is_cloudtrail: false,
            is_digest: false,
            other: None,
        }
    }

    /// The next record's place in the object.
    pub(super) fn index(&self) -> u64 {
        self.records
    }

    /// Takes the next record.
    pub(super) fn record(&mut self, item: &'a [u8], verdict: Verdict<'a>) {
        match verdict {
            Verdict::Rejected(reason, detail) => return self.reject(item, reason, detail),
            Verdict::Relevant(record) => self.relevant.push(record),
            Verdict::Irrelevant => {}
        }
        let first = self.ends.map_or(item, |(first, _)| first);
        self.ends = Some((first, item));
        self.records += 1;
    }

    /// Why a record of this size is not looked at, if it is not.
    pub(super) fn oversize(&self, item: &[u8]) -> Option<Verdict<'a>> {
        (item.len() > self.record_bytes_max).then(|| {
            let detail = format!(
                "the record has {} bytes, more than the limit of {}; CloudTrail's have 262144 at most: check what wrote the object",
                item.len(),
                self.record_bytes_max
            );
            Verdict::Rejected(DeadLetterReason::TooLarge, detail)
        })
    }

    /// Counts the next record, which cannot be used.
    pub(super) fn reject(&mut self, item: &[u8], reason: DeadLetterReason, detail: String) {
        self.is_cloudtrail |= begins_as_record(item);
        if self.rejected.len() < REJECTED_PER_OBJECT_MAX {
            self.rejected.push(rejected(Some(self.records), reason, detail, item));
        } else {
            self.rejected_more += 1;
        }
        self.records += 1;
    }

    /// Notes that the text ends where more should come.
    pub(super) fn truncated(&mut self) {
        let detail = "the object ends where more records should come; those before were used: fetch it from its origin again".to_owned();
        self.rejected.push(rejected(None, DeadLetterReason::TruncatedJson, detail, &[]));
    }

    /// Notes a `Records` array.
    pub(super) fn container(&mut self) {
        self.is_cloudtrail = true;
    }

    /// Notes a CloudTrail digest.
    pub(super) fn digest(&mut self) {
        self.is_digest = true;
    }

    /// Notes a value that is nothing of CloudTrail's.
    pub(super) fn other(&mut self, value: &'a [u8]) {
        self.other.get_or_insert((value, 0)).1 += 1;
    }

    /// The whole.
    pub(super) fn finish(mut self) -> Decoded<'a> {
        let inflated_bytes = self.text.len() as u64;
        let (first, last) = self.ends.map_or((None, None), |(first, last)| {
            let one = std::ptr::eq(first, last);
            (Some(Sketch::of(first)), (!one).then(|| Sketch::of(last)))
        });
        let ends: Vec<Sketch> = first.into_iter().chain(last).collect();
        let is_cloudtrail =
            if ends.is_empty() { self.is_cloudtrail } else { !self.relevant.is_empty() || ends.iter().any(|end| end.is_cloudtrail) };
        if !is_cloudtrail {
            return match self.is_digest {
                true => Decoded { digest: Some(self.text), ..empty(ObjectKind::Digest, inflated_bytes) },
                false => not_cloudtrail(self.text),
            };
        }
        let is_insight = !ends.is_empty() && self.relevant.is_empty() && ends.iter().all(|end| end.is_insight);
        self.tell_of_the_rest();
        Decoded {
            kind: if is_insight { ObjectKind::Insight } else { ObjectKind::CloudTrail },
            records: if is_insight { 0 } else { self.records },
            inflated_bytes,
            relevant: self.relevant,
            rejected: self.rejected,
            coverage: ends.into_iter().filter_map(|end| end.coverage).collect(),
            digest: None,
        }
    }

    fn tell_of_the_rest(&mut self) {
        if self.rejected_more > 0 {
            let detail = format!(
                "{} more records cannot be used; those before them say why: fetch the object from its origin again",
                self.rejected_more
            );
            self.rejected.push(rejected(None, DeadLetterReason::BadRecord, detail, &[]));
        }
        if let Some((value, count)) = self.other {
            let detail = format!("{count} values beside the records are not CloudTrail's; check what wrote the object");
            self.rejected.push(rejected(None, DeadLetterReason::NotCloudTrail, detail, value));
        }
    }
}

/// A rejection with the beginning of what it is about.
pub(super) fn rejected(index: Option<u64>, reason: DeadLetterReason, detail: String, content: &[u8]) -> Rejected {
    Rejected { index, reason, detail, first_bytes: content[..content.len().min(FIRST_BYTES_MAX)].to_vec() }
}

/// An object of which nothing can be used.
pub(super) fn unusable<'a>(inflated_bytes: u64, reason: DeadLetterReason, detail: String, content: &[u8]) -> Decoded<'a> {
    Decoded { rejected: vec![rejected(None, reason, detail, content)], ..empty(ObjectKind::Unusable, inflated_bytes) }
}

fn empty<'a>(kind: ObjectKind, inflated_bytes: u64) -> Decoded<'a> {
    Decoded { kind, records: 0, inflated_bytes, relevant: Vec::new(), rejected: Vec::new(), coverage: Vec::new(), digest: None }
}

/// Says why a text without anything of CloudTrail's is that.
fn not_cloudtrail<'a>(text: &[u8]) -> Decoded<'a> {
    let json = without_byte_order_mark(text);
    let mut values = serde_json::Deserializer::from_slice(json).into_iter::<IgnoredAny>();
    let (reason, detail) = match values.find_map(Result::err) {
        _ if json.trim_ascii().is_empty() => {
            (DeadLetterReason::NotJson, "the object is empty; if it is a folder's marker, exclude it".to_owned())
        }
        None => (DeadLetterReason::NotCloudTrail, "the object is JSON, but holds no CloudTrail records; exclude its path".to_owned()),
        Some(error) if error.is_eof() => {
            (DeadLetterReason::TruncatedJson, "the JSON ends before any record does; fetch the object from its origin again".to_owned())
        }
        Some(error) => {
            (DeadLetterReason::NotJson, format!("the object is neither gzip nor JSON ({error}); check that it is a CloudTrail log file"))
        }
    };
    unusable(text.len() as u64, reason, detail, text)
}
