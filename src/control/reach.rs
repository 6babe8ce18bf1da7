//! How a command reaches whoever has the log: the server of the data folder, or this process where none runs.

use cloudigrade_connectors::source::Committer;

use super::service::Service;
use super::socket;
use super::wire::{Answer, Ask, LettersAnswer, LettersRequest, Operation, Refusal, Request, Told};
use crate::aws;
use crate::config::Config;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::live::operators::Operators;

/// Who asks, as far as this process can tell.
pub fn by() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "command line".to_owned())
}

/// Asks about accounts.
///
/// # Errors
/// Those of reaching the server or opening the log, and what was refused.
pub async fn ask_about_accounts(data: &DataFolder, config: &Config, request: Request) -> anyhow::Result<Answer> {
    match ask(data, config, Ask::Accounts(request)).await? {
        Told::Accounts(answer) => Ok(answer),
        Told::DeadLetters(_) => Err(of_another_kind()),
    }
}

/// Asks about dead letters.
///
/// # Errors
/// Those of reaching the server or opening the log, and what was refused.
pub async fn ask_about_letters(data: &DataFolder, config: &Config, request: LettersRequest) -> anyhow::Result<LettersAnswer> {
    match ask(data, config, Ask::DeadLetters(request)).await? {
        Told::DeadLetters(answer) => Ok(answer),
        Told::Accounts(_) => Err(of_another_kind()),
    }
}

fn of_another_kind() -> anyhow::Error {
    error(Code::Failed, "the server answered something else than was asked; use the same version of the program as the server")
}

async fn ask(data: &DataFolder, config: &Config, asked: Ask) -> anyhow::Result<Told> {
    let answered = match socket::ask(data.folder(), &asked).await? {
        Some(answered) => answered,
        None => answer_here(data, config, asked).await?,
    };
    answered.map_err(|refusal| error(Code::Failed, refusal.to_string()))
}

/// Opens the log, answers, folds what came of it, and brings the tables up to date.
async fn answer_here(data: &DataFolder, config: &Config, asked: Ask) -> anyhow::Result<Result<Told, Refusal>> {
    if !data.has_log() && matches!(&asked, Ask::Accounts(Request { operation: Operation::List, .. })) {
        // Looking must not leave a data folder behind.
        return Ok(Ok(Told::Accounts(Answer::default())));
    }
    let checker = match &config.accounts {
        Some(accounts) => Some(aws::checker(config, accounts).await?),
        None => None,
    };
    let log = data.open_log()?;
    let (committer, thread) = Committer::start(&log, now)?;
    let operators = Operators::start(&log, |_| {})?;
    let service = Service::new(log.clone(), committer, checker, None, config, now).await?;
    let answered = service.answer(asked).await;
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
