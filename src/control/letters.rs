//! Answers what is asked about dead letters.

use cloudigrade_connectors::codec::CodecLimits;
use cloudigrade_connectors::source::letters::{Letters, Replayed, discard, open_letters, replay};

use super::service::Service;
use super::wire::{LettersAction, LettersAnswer, LettersRequest, Refusal};

/// Replays or drops open letters.
///
/// # Errors
/// [`Refusal`] where the log fails; what was done until then stays done.
pub(super) async fn answer(service: &Service, request: LettersRequest) -> Result<LettersAnswer, Refusal> {
    let LettersRequest { ids, by, action } = request;
    let log = service.log.clone();
    let found = tokio::task::spawn_blocking(move || {
        open_letters(&log, |letter| ids.is_empty() || ids.iter().any(|id| letter.id.starts_with(id.as_str())))
    });
    let found = found.await.map_err(|error| Refusal::failed(&error))?.map_err(|error| Refusal::failed(&error))?;
    let Letters { letters, more } = found;
    let mut answer = LettersAnswer { found: letters.len(), more, ..LettersAnswer::default() };
    let now = (service.now)();
    match action {
        LettersAction::Replay => {
            let replayed = replay(&service.committer, letters, &service.places, CodecLimits::default(), &by, now).await;
            let Replayed { resolved, open, records } = replayed.map_err(|error| Refusal::failed(&error))?;
            (answer.resolved, answer.open, answer.records) = (resolved, open, records);
        }
        LettersAction::Drop => {
            discard(&service.committer, &letters, &by, now).await.map_err(|error| Refusal::failed(&error))?;
            answer.resolved = letters.into_iter().map(|letter| letter.id).collect();
        }
    }
    Ok(answer)
}
