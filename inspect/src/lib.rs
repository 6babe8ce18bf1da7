//! The worker that finds out what is inside machine images.
//!
//! So far it knows what an inspection is called. Carrying inspections out comes on top of it.

use std::fmt;

pub use houndigrade::facts::os_release::Distribution;

/// The name of one attempt to inspect one image. It is a function of both, so that an attempt that is started twice is one attempt, and
/// what it left in the cloud is found again by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct CommandId(String);

impl CommandId {
    /// The name of an attempt, counted from 1.
    pub fn of(image_id: &str, attempt: u32) -> Self {
        Self(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("{image_id}/{attempt}").as_bytes())))
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
