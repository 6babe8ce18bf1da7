//! Databases made in memory, sound and hostile.

mod bdb;
mod build;
mod find;
mod header;
mod mutation;
mod ndb;
mod signature;
mod sqlite;

use super::{Backend, Packages, read_file};

/// What a database says that must be readable.
fn read(backend: Backend, database: &Vec<u8>) -> Packages {
    read_file(backend, database, None).unwrap_or_else(|error| panic!("{error}"))
}
