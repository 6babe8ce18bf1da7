//! System tests of the program as its users run it, one family of claims a file.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can not go on panics")]

mod accounts;
mod arrows;
mod bad_input;
mod command_line;
mod crash;
mod reference;
mod reports;
mod serve;
mod support;
mod users;
