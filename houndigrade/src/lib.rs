//! houndigrade: what is on a disk, without mounting it.
//!
//! A library without AWS and without `async`. Every byte of a disk is treated as hostile, and nothing is ever written to it.

pub mod batch;
pub mod error;
pub mod evidence;
pub mod facts;
pub mod filesystem;
pub mod inspect;
pub mod limits;
pub mod rpmdb;
pub mod sandbox;
pub mod source;
pub mod table;
pub mod tree;
pub mod verdict;
pub mod volumes;

pub use error::{ReadError, Result};
pub use inspect::inspect;
