//! `coverage`: how far the data of an account reaches in a region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// All that happened in this account and region up to this moment is in the log, but for its gaps. A message of `coverage`; the latest
/// moment holds, so it never falls.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The latest `eventTime` seen; or the moment up to which CloudTrail's digest files vouch that everything was read, if it is later: a
    /// quiet region is complete too.
    pub complete_through: UtcSecond,
}

impl Coverage {
    /// The key in topics and state: `account/region`.
    pub fn to_key(&self) -> String {
        format!("{}/{}", self.account_id, self.region)
    }
}
