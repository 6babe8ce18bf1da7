//! Claim: clients of the first and of the second API get what they know, in the words that they know; what they are told agrees with itself
//! and with the other reports, and of others' things they are told nothing.
#![allow(clippy::unwrap_used, reason = "a test fails where its data do not read")]

#[path = "../common/backend.rs"]
mod backend;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/server.rs"]
mod server;

mod accounts;
mod concurrent;
mod image_table;
mod images;
mod lists;
mod reports;
mod second;
mod world;
