//! Work that is divided among threads.

use super::SinkError;

/// Does each piece of work on a thread of its own; gives what came of them, in their order.
pub fn on_threads<T: Send>(table: &'static str, works: impl Iterator<Item = impl FnOnce() -> T + Send>) -> Result<Vec<T>, SinkError> {
    let no_thread = |error: std::io::Error| SinkError::Storage { doing: "starting a thread for", table, cause: error.to_string() };
    std::thread::scope(|scope| {
        let start = |work| std::thread::Builder::new().name("sink".to_owned()).spawn_scoped(scope, work);
        let threads: Vec<_> = works.map(start).collect::<Result<_, _>>().map_err(no_thread)?;
        Ok(threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect())
    })
}
