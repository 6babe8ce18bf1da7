//! The doors of cloudigrade: where records come in.
//!
//! * [`source`]: objects from folders and buckets into the log
//! * [`codec`]: one CloudTrail file's bytes into the records that can be EC2 power events

pub mod codec;
pub mod limits;
#[cfg(feature = "source")]
pub mod source;
