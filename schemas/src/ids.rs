//! Names of things in AWS. All of them are text: an account id keeps its leading zeros.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The identity of one CloudTrail event, as CloudTrail's `eventID` gives it.
///
/// A record without an `eventID` gets [`EventId::of_content`], so that the same bytes are the same event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EventId(pub String);

/// What precedes the content hash in the id of a record without an `eventID`.
///
/// `~` sorts behind every hexadecimal digit, so such events come after those with an id wherever ids break a tie.
const CONTENT_PREFIX: &str = "~sha-";

impl EventId {
    /// An id for a record without an `eventID`: a 128-bit hash of its canonical text.
    pub fn of_content(canonical: &str) -> Self {
        Self(format!("{CONTENT_PREFIX}{:032x}", xxhash_rust::xxh3::xxh3_128(canonical.as_bytes())))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One instance: EC2 instance ids are unique only within an account and a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct InstanceKey {
    /// The account that owns the event, twelve digits as text; empty where CloudTrail did not say.
    pub account_id: String,
    /// The AWS region, `us-east-1`; empty where CloudTrail did not say.
    pub region: String,
    /// The instance id, `i-0123456789abcdef0`.
    pub instance_id: String,
}

/// Separates the parts of a key. No AWS identifier contains it.
const KEY_SEPARATOR: char = '/';

impl InstanceKey {
    /// The key of this instance in topics and state: `account/region/instance`.
    pub fn to_key(&self) -> String {
        format!("{}{KEY_SEPARATOR}{}{KEY_SEPARATOR}{}", self.account_id, self.region, self.instance_id)
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_key())
    }
}
