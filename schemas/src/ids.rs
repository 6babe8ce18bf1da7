//! Names of things in AWS. All of them are text: an account id keeps its leading zeros.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The identity of one CloudTrail event, as CloudTrail's `eventID` gives it.
///
/// A record without an `eventID` gets [`EventId::of_content`], so that the same bytes are the same event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct EventId<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// What precedes the content hash in the id of a record without an `eventID`.
///
/// `~` sorts behind every hexadecimal digit, so such events come after those with an id wherever ids break a tie.
const CONTENT_PREFIX: &str = "~sha-";

impl EventId<'_> {
    /// An id for a record without an `eventID`: a 128-bit hash of its canonical text.
    pub fn of_content(canonical: &str) -> Self {
        Self(Cow::Owned(format!("{CONTENT_PREFIX}{:032x}", xxhash_rust::xxh3::xxh3_128(canonical.as_bytes()))))
    }

    /// The same id, without a copy of its text.
    pub fn borrowed(&self) -> EventId<'_> {
        EventId(Cow::Borrowed(&self.0))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One instance: EC2 instance ids are unique only within an account and a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct InstanceKey<'a> {
    /// The account that owns the event, twelve digits as text; empty where CloudTrail did not say.
    #[serde(borrow)]
    pub account_id: Cow<'a, str>,
    /// The AWS region, `us-east-1`; empty where CloudTrail did not say.
    #[serde(borrow)]
    pub region: Cow<'a, str>,
    /// The instance id, `i-0123456789abcdef0`.
    #[serde(borrow)]
    pub instance_id: Cow<'a, str>,
}

/// Separates the parts of a key. No AWS identifier contains it.
const KEY_SEPARATOR: &str = "/";

impl InstanceKey<'_> {
    /// The key of this instance in topics and state: `account/region/instance`.
    pub fn to_key(&self) -> String {
        [&*self.account_id, KEY_SEPARATOR, &*self.region, KEY_SEPARATOR, &*self.instance_id].concat()
    }
}

impl fmt::Display for InstanceKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_key())
    }
}
