//! `cloudtrail.records`: the relevant CloudTrail records, verbatim, with where each was read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a record was read: the object and the record's place in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct SourceRef {
    /// The object: `s3://bucket/key` or a file's path.
    pub uri: String,
    /// The object's version, where the bucket is versioned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The record's place in the object, from 0.
    pub index: u64,
}

impl std::fmt::Display for SourceRef {
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
    pub source: SourceRef,
    /// The record, byte for byte as CloudTrail wrote it.
    #[serde(borrow)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub record: &'a RawValue,
}
