//! Claims about who sees what, and about what numbers are made of: viewers, labels of images, explanations, earlier moments, lanes.
#![allow(clippy::unwrap_used, reason = "a test fails where its data do not read")]

#[path = "../common/mod.rs"]
mod common;

mod as_of;
mod doors;
mod explained;
mod labels;
mod lanes;
mod world;
