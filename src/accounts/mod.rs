//! Accounts from the outside: what can be asked, who answers, and how a command reaches whoever has the log.

pub mod control;
pub mod reach;
pub mod service;
pub mod wire;
