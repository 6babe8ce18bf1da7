//! The doors of cloudigrade: where records come in.
//!
//! * [`aws`]: the accounts that are collected from: roles, permissions, trails, descriptions of instances and images, history
//! * [`source`]: objects from folders and buckets into the log
//! * [`codec`]: one CloudTrail file's bytes into the records that can be EC2 power events

#[cfg(feature = "source")]
pub mod aws;
pub mod codec;
pub mod limits;
#[cfg(feature = "source")]
pub mod source;
