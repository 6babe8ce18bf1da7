//! The doors of cloudigrade: where records come in.
//!
//! * [`aws`]: the accounts that are collected from: roles, permissions, trails, descriptions of instances and images, history
//! * [`doctor`]: checks of what the sources need from AWS, and what checks say
//! * [`source`]: objects from folders and buckets into the log
//! * [`completeness`]: how far the data reaches, its gaps, and whether it is what CloudTrail wrote
//! * `kafka`: the log on a Kafka cluster
//! * [`codec`]: one CloudTrail file's bytes into the records that can be EC2 power events

#[cfg(feature = "source")]
pub mod aws;
pub mod codec;
#[cfg(feature = "source")]
pub mod completeness;
#[cfg(any(feature = "source", feature = "kafka"))]
pub mod doctor;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod limits;
#[cfg(all(test, feature = "source"))]
mod sample;
#[cfg(feature = "source")]
pub mod source;
