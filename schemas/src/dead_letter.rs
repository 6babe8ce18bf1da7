//! `dead.letters`: what could not be used, why, and where it came from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// How many bytes of what could not be used are kept, at most.
pub const FIRST_BYTES_MAX: usize = 1024;

/// Why something could not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// The object could not be opened or read.
    Unreadable,
    /// The gzip stream is damaged.
    CorruptGzip,
    /// The gzip stream ends too early.
    TruncatedGzip,
    /// The object, or a record in it, is larger than the limit.
    TooLarge,
    /// The gzip stream inflates to more than the ratio limit.
    GzipBomb,
    /// The object is not JSON.
    NotJson,
    /// The object is JSON, but nothing that CloudTrail writes.
    NotCloudTrail,
    /// The JSON ends too early; the records before the break were used.
    TruncatedJson,
    /// The record is not UTF-8.
    NotUtf8,
    /// The record is not well-formed JSON.
    BadRecord,
    /// A power event whose `eventTime` is absent or no time.
    BadEventTime,
    /// A power event with a field of a kind that CloudTrail does not write.
    BadField,
    /// The object was gone, or its version, when it was to be read.
    Gone,
    /// A message of a queue that is none of the known forms.
    Unrecognized,
    /// A message that names a bucket which is not among those to be read.
    BucketNotAllowed,
}

impl DeadLetterReason {
    /// The stable word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::CorruptGzip => "corrupt_gzip",
            Self::TruncatedGzip => "truncated_gzip",
            Self::TooLarge => "too_large",
            Self::GzipBomb => "gzip_bomb",
            Self::NotJson => "not_json",
            Self::NotCloudTrail => "not_cloud_trail",
            Self::TruncatedJson => "truncated_json",
            Self::NotUtf8 => "not_utf8",
            Self::BadRecord => "bad_record",
            Self::BadEventTime => "bad_event_time",
            Self::BadField => "bad_field",
            Self::Gone => "gone",
            Self::Unrecognized => "unrecognized",
            Self::BucketNotAllowed => "bucket_not_allowed",
        }
    }
}

/// What became of a letter that is no longer open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// What it is about was read again, and could be used.
    Replayed,
    /// Somebody decided that it is not needed.
    Dropped,
}

impl Resolution {
    /// The stable word for it, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Dropped => "dropped",
        }
    }
}

/// One thing that could not be used. A message of `dead.letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Deterministic: the same failure of the same object is the same letter.
    pub id: String,
    /// The object: `s3://bucket/key` or a file's path; of a message that names none, `sqs://queue/message`.
    pub source: String,
    /// The object's version, where the bucket is versioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The record's place in the object, from 0; absent when the object as a whole could not be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Why.
    pub reason: DeadLetterReason,
    /// Why, in words, with what to do.
    pub detail: String,
    /// Its beginning, at most [`FIRST_BYTES_MAX`] bytes, with what is not UTF-8 replaced.
    pub first_bytes: String,
    /// When it was found.
    pub found_at: UtcSecond,
    /// When it was resolved; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<UtcSecond>,
    /// How it was resolved; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Who resolved it; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
}

impl DeadLetter {
    /// An open letter with its deterministic id.
    pub fn new(source: String, index: Option<u64>, reason: DeadLetterReason, detail: String, content: &[u8], found_at: UtcSecond) -> Self {
        let first_bytes = String::from_utf8_lossy(&content[..content.len().min(FIRST_BYTES_MAX)]).into_owned();
        let id = id_of(&source, None, index, reason);
        Self {
            id,
            source,
            version: None,
            index,
            reason,
            detail,
            first_bytes,
            found_at,
            resolved_at: None,
            resolution: None,
            resolved_by: None,
        }
    }

    /// The letter about this version of the object. The same failure of another version is another letter.
    pub fn with_version(mut self, version: Option<String>) -> Self {
        self.id = id_of(&self.source, version.as_deref(), self.index, self.reason);
        self.version = version;
        self
    }

    /// The letter, resolved.
    pub fn resolved(mut self, how: Resolution, by: String, at: UtcSecond) -> Self {
        self.resolution = Some(how);
        self.resolved_by = Some(by);
        self.resolved_at = Some(at);
        self
    }

    /// Whether nobody has resolved it yet.
    pub fn is_open(&self) -> bool {
        self.resolution.is_none()
    }
}

fn id_of(source: &str, version: Option<&str>, index: Option<u64>, reason: DeadLetterReason) -> String {
    let place = index.map_or_else(String::new, |index| index.to_string());
    let version = version.map_or_else(String::new, |version| format!("\n{version}"));
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{source}\n{place}\n{reason:?}{version}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(version: Option<&str>) -> DeadLetter {
        let letter = DeadLetter::new("s3://b/k".into(), Some(1), DeadLetterReason::BadRecord, String::new(), b"x", UtcSecond(0));
        letter.with_version(version.map(str::to_owned))
    }

    #[test]
    fn each_version_of_an_object_has_a_letter_of_its_own() {
        let plain = DeadLetter::new("s3://b/k".into(), Some(1), DeadLetterReason::BadRecord, "other words".into(), b"", UtcSecond(9));
        assert_eq!(letter(None).id, plain.id);
        assert_eq!(letter(Some("v1")).id, letter(Some("v1")).id);
        assert_ne!(letter(Some("v1")).id, letter(Some("v2")).id);
        assert_ne!(letter(Some("v1")).id, plain.id);
    }

    #[test]
    fn a_resolved_letter_keeps_its_id() {
        let resolved = letter(None).resolved(Resolution::Dropped, "ann".into(), UtcSecond(5));
        assert_eq!((resolved.id.clone(), resolved.is_open()), (letter(None).id, false));
        assert_eq!(serde_json::from_slice::<DeadLetter>(&serde_json::to_vec(&resolved).unwrap()).unwrap(), resolved);
    }
}
