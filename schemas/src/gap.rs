//! `gaps`: where the data of an account and region is known to be incomplete.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// Why data is missing, or thought to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapKind {
    /// A digest file names log files that were never read.
    LogFilesMissing,
    /// The chain of digest files has a hole: what was written in that time is not known.
    DigestMissing,
    /// Nothing was heard for longer than CloudTrail takes.
    Silence,
}

impl GapKind {
    /// Its stable word, as in JSON and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LogFilesMissing => "log_files_missing",
            Self::DigestMissing => "digest_missing",
            Self::Silence => "silence",
        }
    }
}

/// A time for which an account's data in a region is incomplete, half-open. A message of `gaps`; the latest of each key holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// Why.
    pub kind: GapKind,
    /// From, inclusive.
    pub from: UtcSecond,
    /// Until, exclusive; `None` for a silence that lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UtcSecond>,
    /// The objects to read: `s3://bucket/key`, or paths of files where files were read.
    #[serde(default)]
    pub missing: Vec<String>,
    /// What is known, and what to do.
    pub detail: String,
    /// When it was found.
    pub found_at: UtcSecond,
    /// When it was found to be filled; `None` while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<UtcSecond>,
}

impl Gap {
    /// The key in topics and state: `account/region/kind/from`.
    pub fn to_key(&self) -> String {
        format!("{}/{}/{}/{}", self.account_id, self.region, self.kind.word(), self.from)
    }

    /// What decides its partition: account and region.
    pub fn partition_key(&self) -> String {
        format!("{}/{}", self.account_id, self.region)
    }
}
