//! What is asked of whoever has the log, and how it gets there.
//!
//! Accounts, users, overrides, inspections, dead letters and what was read are changed by records in the log, and one process has the log for itself. So a
//! command is answered by the server of the data folder where one runs, over a socket, and else by the process that was asked, in the same
//! way.

mod accounts;
mod images;
mod inspections;
mod letters;
mod objects;
pub mod reach;
pub mod records;
pub mod registration;
pub mod service;
pub mod socket;
mod users;
pub mod wire;
