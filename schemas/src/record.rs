//! `cloudtrail.records`: the relevant CloudTrail records, verbatim, with where each was read.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a record was read: the object and the record's place in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SourceRef<'a> {
    /// The object: `s3://bucket/key` or a file's path.
    #[serde(borrow)]
    pub uri: Cow<'a, str>,
    /// The object's version, where the bucket is versioned.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::text::maybe")]
    pub version: Option<Cow<'a, str>>,
    /// The record's place in the object, from 0.
    pub index: u64,
}

impl SourceRef<'_> {
    /// The same place, without a copy of its text.
    pub fn borrowed(&self) -> SourceRef<'_> {
        SourceRef { uri: Cow::Borrowed(&self.uri), version: self.version.as_deref().map(Cow::Borrowed), index: self.index }
    }
}

impl std::fmt::Display for SourceRef<'_> {
    /// `uri#index`, as the tables' `start_source` and `end_source` show it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.uri, self.index)
    }
}

/// A message of `cloudtrail.records`, read without copying the record.
///
/// Its topic key is the record's `eventID`: all deliveries of one event meet in one partition, where `extract` dedupes them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrailRecord<'a> {
    /// Where it was read.
    #[serde(borrow)]
    pub source: SourceRef<'a>,
    /// The record, byte for byte as CloudTrail wrote it.
    #[serde(borrow)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub record: &'a RawValue,
}

impl TrailRecord<'_> {
    /// The message for a record whose text is known to be JSON: it is not looked at again.
    ///
    /// # Errors
    /// None but those of a JSON writer into memory.
    pub fn message(source: &SourceRef<'_>, record: &str) -> serde_json::Result<Vec<u8>> {
        let mut message = Vec::with_capacity(record.len() + source.uri.len() + 64);
        message.extend_from_slice(b"{\"source\":");
        serde_json::to_writer(&mut message, source)?;
        message.extend_from_slice(b",\"record\":");
        message.extend_from_slice(record.as_bytes());
        message.push(b'}');
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_written_without_looking_is_the_one_that_is_read() {
        let source = SourceRef { uri: "s3://b/\"k\"".into(), version: Some("v".into()), index: 7 };
        let message = TrailRecord::message(&source, "{\"a\": [1, \"é\"]}").unwrap();
        let read: TrailRecord<'_> = serde_json::from_slice(&message).unwrap();
        assert_eq!((&read.source, read.record.get()), (&source, "{\"a\": [1, \"é\"]}"));
        assert_eq!(serde_json::to_vec(&read).unwrap(), message);
    }
}
