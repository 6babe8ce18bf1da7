//! Builders of disk images. Nothing here knows what is claimed of them.

pub mod certificates;
pub mod corrupt;
pub mod files;
pub mod filesystems;
pub mod image;
pub mod loops;
pub mod lvm;
pub mod partitions;
pub mod roots;
pub mod rpm_header;
pub mod rpmdb;
