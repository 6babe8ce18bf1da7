//! houndigrade: what is on a disk.
//!
//! A library without AWS and without `async`. So far it reads what a system says of itself in `os-release`; reading disks comes on top
//! of it.

pub mod os_release;
