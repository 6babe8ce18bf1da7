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
        }
    }
}

/// One thing that could not be used. A message of `dead.letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetter {
    /// Deterministic: the same failure of the same object is the same letter.
    pub id: String,
    /// The object: `s3://bucket/key` or a file's path.
    pub source: String,
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
}

impl DeadLetter {
    /// A letter with its deterministic id.
    pub fn new(source: String, index: Option<u64>, reason: DeadLetterReason, detail: String, content: &[u8], found_at: UtcSecond) -> Self {
        let place = index.map_or_else(String::new, |index| index.to_string());
        let id = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{source}\n{place}\n{reason:?}").as_bytes()));
        let first_bytes = String::from_utf8_lossy(&content[..content.len().min(FIRST_BYTES_MAX)]).into_owned();
        Self { id, source, index, reason, detail, first_bytes, found_at }
    }
}
