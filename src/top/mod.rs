//! What a server is doing, from its metrics: for `cloudigrade top`.

mod fetch;
mod samples;
mod view;

pub use self::fetch::{Fetched, Server};
pub use self::view::{Look, lines};
