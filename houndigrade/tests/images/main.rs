//! Claims about disks, each checked on an image that real tools have made: partition tables by sfdisk and sgdisk, file systems by mkfs,
//! volume groups by lvm2, databases by rpm, sqlite3 and db_load.
//!
//! A test whose tools are missing says `SKIPPED` and passes; where `CI` is `true` it fails. `scripts/need-image-tools` installs them.
#![allow(clippy::unwrap_used, reason = "a test that can not go on panics")]

mod build;
mod facts;
mod filesystems;
mod hostile;
mod inspection;
mod journals;
mod layout;
mod selfcheck;
mod tools;
mod trees;
mod verdicts;
mod volumes;
