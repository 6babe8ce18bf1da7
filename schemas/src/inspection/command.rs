//! What the worker is told to do.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::UtcSecond;
use crate::image::ImageUse;
use crate::image_fact::ImageMetadata;

/// The name of one attempt to inspect one image. It is a function of both, so that an attempt that is started twice is one attempt, and
/// what it left in the cloud is found again by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct CommandId(String);

impl CommandId {
    /// The name of an attempt, counted from 1: 32 hexadecimal digits.
    pub fn of(image_id: &str, attempt: u32) -> Self {
        Self(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{image_id}/{attempt}").as_bytes())))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is to be done about an attempt. A message of `inspection.commands`, keyed by the image.
///
/// The first of each attempt is [`InspectionOrder::Inspect`], and its predecessor ended before. A later one names the accounts that can be asked by
/// then. Messages that say the same again, or that are about an attempt that is over, change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InspectionCommand {
    /// The attempt.
    pub command_id: CommandId,
    /// The image.
    pub image_id: String,
    /// The region that it is in.
    pub region: String,
    /// Which attempt it is, counted from 1.
    pub attempt: u32,
    /// What is to be done.
    pub order: InspectionOrder,
    /// Who asked for it; `None` where the rules did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What EC2 said of the image, when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<ImageMetadata>,
    /// Who used it first: whom to ask for its disks.
    #[serde(default)]
    pub used_by: Vec<ImageUse>,
    /// The moment of the latest fact about earlier attempts. What this one tells is later than that.
    pub after: UtcSecond,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionOrder {
    /// Begin it.
    Inspect,
    /// Go on with it where it waits for somebody's consent: they gave it.
    Agree,
    /// Give it up, and remove what it made.
    Abort,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_attempt_has_one_name_and_two_have_two() {
        assert_eq!(CommandId::of("ami-1", 1), CommandId::of("ami-1", 1));
        assert_ne!(CommandId::of("ami-1", 1), CommandId::of("ami-1", 2));
        assert_ne!(CommandId::of("ami-1", 1), CommandId::of("ami-11", 1));
    }
}
