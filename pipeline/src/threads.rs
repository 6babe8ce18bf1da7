//! Work that is divided among threads.

use std::io;
use std::thread::{Builder, scope};

/// Does each piece of work on a thread of its own, so that it may block; gives what came of them, in their order.
///
/// # Errors
/// Where the system starts no thread.
pub fn on_threads<T: Send>(name: &str, works: impl Iterator<Item = impl FnOnce() -> T + Send>) -> io::Result<Vec<T>> {
    scope(|scope| {
        let start = |work| Builder::new().name(name.to_owned()).spawn_scoped(scope, work);
        let threads: Vec<_> = works.map(start).collect::<Result<_, _>>()?;
        Ok(threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect())
    })
}
