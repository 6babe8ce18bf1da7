//! Work on a table that is divided among threads.

use super::SinkError;
use crate::threads;

/// Does all of it at once; gives what came of each piece, in their order.
pub fn on_threads<T: Send>(table: &'static str, works: impl Iterator<Item = impl FnOnce() -> T + Send>) -> Result<Vec<T>, SinkError> {
    let no_thread = |error: std::io::Error| SinkError::Storage { doing: "starting a thread for", table, cause: error.to_string() };
    threads::on_threads("sink", works).map_err(no_thread)
}
