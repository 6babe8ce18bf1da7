//! The doors of cloudigrade: where records come in.
//!
//! * [`codec`]: one CloudTrail file's bytes into the records that can be EC2 power events

pub mod codec;
pub mod limits;
pub mod source;
