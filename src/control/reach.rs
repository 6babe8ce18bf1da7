//! How a command reaches whoever has the log: the server of the data folder, or this process where none runs.

use cloudigrade_connectors::source::Committer;
use tokio_util::sync::CancellationToken;

use super::service::Service;
use super::wire::{Answer, Ask, LettersAnswer, LettersRequest, Refusal, Request, Told};
use super::{accounts, letters, socket};
use crate::aws;
use crate::config::Config;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::live::operators::Operators;
use crate::output::{message, tell};

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
    answered.map_err(|refusal| {
        let code = match refusal.code.as_str() {
            letters::UNKNOWN => Code::NoInput,
            letters::AMBIGUOUS => Code::Usage,
            _ => Code::Failed,
        };
        error(code, refusal.to_string())
    })
}

/// Opens the log, answers, folds what came of it, and brings the tables up to date. The log has what was done: tables that cannot be
/// written are told of, and are no reason to keep the answer back.
async fn answer_here(data: &DataFolder, config: &Config, asked: Ask) -> anyhow::Result<Result<Told, Refusal>> {
    if !data.has_log() {
        let answered = match &asked {
            Ask::Accounts(request) => accounts::answer_without_log(&request.operation).map(|answered| answered.map(Told::Accounts)),
            Ask::DeadLetters(request) => Some(letters::answer_without_log(request).map(Told::DeadLetters)),
        };
        if let Some(answered) = answered {
            return Ok(answered);
        }
    }
    let checker = match &config.accounts {
        Some(accounts) => Some(aws::checker(config, accounts).await?),
        None => None,
    };
    let log = data.open_log()?;
    let (committer, thread) = Committer::start(&log, now)?;
    let failed = CancellationToken::new();
    let operators = Operators::start(&log, &failed)?;
    let service = Service::new(log.clone(), committer, checker, None, config, now).await?;
    let answered = tokio::select! {
        answered = service.answer(asked) => answered,
        // Why is told below, by the operator.
        () = failed.cancelled() => Err(Refusal::failed(&"an operator has ended")),
    };
    // The committing thread ends when nobody can give it anything any more.
    drop(service);
    let ended = tokio::task::spawn_blocking(move || {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        operators.finish()
    });
    ended.await??;
    if let Err(error) = data.catch_up(&log).await {
        tell(format_args!("cloudigrade: the tables do not show this yet, and follow when next something is written: {}", message(&error)));
    }
    Ok(answered)
}
