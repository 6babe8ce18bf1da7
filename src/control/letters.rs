//! Answers what is asked about dead letters.

use cloudigrade_connectors::codec::CodecLimits;
use cloudigrade_connectors::source::letters::{Letters, Replayed, discard, open_letters, replay};

use super::service::Service;
use super::wire::{LettersAction, LettersAnswer, LettersRequest, Refusal};

/// The code of a refusal: there is no such letter.
pub(super) const UNKNOWN: &str = "letter_unknown";
/// The code of a refusal: there is more than one such letter.
pub(super) const AMBIGUOUS: &str = "letter_ambiguous";

/// Replays or drops open letters.
///
/// # Errors
/// [`Refusal`] where the log fails; what was done until then stays done.
pub(super) async fn answer(service: &Service, request: LettersRequest) -> Result<LettersAnswer, Refusal> {
    let LettersRequest { ids, by, action } = request;
    let (log, wanted) = (service.log.clone(), ids.clone());
    let found = tokio::task::spawn_blocking(move || {
        open_letters(&log, |letter| wanted.is_empty() || wanted.iter().any(|id| letter.id.starts_with(id.as_str())))
    });
    let found = found.await.map_err(|error| Refusal::failed(&error))?.map_err(|error| Refusal::failed(&error))?;
    let Letters { letters, more } = found;
    let known: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    each_names_one(&ids, &known)?;
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

/// What is answered where there is no log yet: there are no letters.
pub(super) fn answer_without_log(request: &LettersRequest) -> Result<LettersAnswer, Refusal> {
    each_names_one(&request.ids, &[]).map(|()| LettersAnswer::default())
}

/// Holds only where each beginning is that of one letter: a short one must not drop what nobody meant, nor a mistyped one go unnoticed
/// among others.
fn each_names_one(beginnings: &[String], known: &[&str]) -> Result<(), Refusal> {
    const HELP: &str = "`cloudigrade dead-letters list` shows those that are open; nothing was done";
    for beginning in beginnings {
        match known.iter().filter(|id| id.starts_with(beginning.as_str())).count() {
            0 => return Err(Refusal::new(UNKNOWN, format!("there is no open dead letter {beginning}"), HELP)),
            1 => {}
            several => {
                let detail = format!("{beginning} is the beginning of {several} open dead letters; write more of it");
                return Err(Refusal::new(AMBIGUOUS, detail, HELP));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_that_is_of_none_or_of_several_letters_is_refused() {
        let code = |beginnings: &[&str]| {
            let beginnings: Vec<String> = beginnings.iter().map(ToString::to_string).collect();
            each_names_one(&beginnings, &["ab12", "ab34", "cd56"]).map_err(|refusal| refusal.code)
        };
        assert_eq!(code(&["ab1", "cd56"]), Ok(()));
        assert_eq!(code(&[]), Ok(()));
        assert_eq!(code(&["ab1", "ff"]), Err(UNKNOWN.to_owned()));
        assert_eq!(code(&["ab"]), Err(AMBIGUOUS.to_owned()));
    }
}
