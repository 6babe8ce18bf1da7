//! `coverage`: how far the data of an account reaches in a region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;

/// CloudTrail was heard of this account and region up to this moment. A message of `coverage`; the latest moment holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The latest `eventTime` seen.
    pub complete_through: UtcSecond,
}

impl Coverage {
    /// The key in topics and state: `account/region`.
    pub fn to_key(&self) -> String {
        format!("{}/{}", self.account_id, self.region)
    }
}
