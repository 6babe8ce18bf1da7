//! How a command reaches whoever has the log: the server of the data folder, or this process where none runs.

use cloudigrade_connectors::source::Committer;

use super::control;
use super::service::{Aws, Service};
use super::wire::{Answer, Refusal, Request};
use crate::data::{DataFolder, now};
use crate::live::operators::Operators;

/// Asks the server of the data folder, or opens the log and answers here. `aws` is made only in the second case.
///
/// # Errors
/// Those of reaching the server or opening the log; what was refused is the inner result.
pub async fn ask(
    data: &DataFolder,
    aws: impl AsyncFnOnce() -> anyhow::Result<Aws>,
    request: Request,
) -> anyhow::Result<Result<Answer, Refusal>> {
    if let Some(answered) = control::ask(data.folder(), &request).await? {
        return Ok(answered);
    }
    let log = data.open_log()?;
    let aws = aws().await?;
    let (committer, thread) = Committer::start(&log, now)?;
    let operators = Operators::start(&log, |_| {})?;
    let service = Service::new(log.clone(), committer, aws, now);
    let answered = service.answer(request).await;
    // The committing thread ends when nobody can give it anything any more.
    drop(service);
    let ended = tokio::task::spawn_blocking(move || {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        operators.finish()
    });
    ended.await??;
    data.catch_up(&log).await?;
    Ok(answered)
}
