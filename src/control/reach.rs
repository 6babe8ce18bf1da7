//! How a command reaches whoever has the log: the server of the data folder, or this process where none runs.

use cloudigrade_connectors::source::Committer;

use super::service::{Collecting, Service};
use super::socket;
use super::wire::{
    Answer, Ask, LettersAnswer, LettersRequest, Operation, OverrideRequest, Refusal, Request, Told, UsersAnswer, UsersOperation,
    UsersRequest,
};
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
        _ => Err(of_another_kind()),
    }
}

/// Asks about dead letters.
///
/// # Errors
/// Those of reaching the server or opening the log, and what was refused.
pub async fn ask_about_letters(data: &DataFolder, config: &Config, request: LettersRequest) -> anyhow::Result<LettersAnswer> {
    match ask(data, config, Ask::DeadLetters(request)).await? {
        Told::DeadLetters(answer) => Ok(answer),
        _ => Err(of_another_kind()),
    }
}

/// Asks about users.
///
/// # Errors
/// Those of reaching the server or opening the log, and what was refused.
pub async fn ask_about_users(data: &DataFolder, config: &Config, request: UsersRequest) -> anyhow::Result<UsersAnswer> {
    match ask(data, config, Ask::Users(request)).await? {
        Told::Users(answer) => Ok(answer),
        _ => Err(of_another_kind()),
    }
}

/// Says what is in an image.
///
/// # Errors
/// Those of reaching the server or opening the log, and what was refused.
pub async fn say_of_image(data: &DataFolder, config: &Config, request: OverrideRequest) -> anyhow::Result<()> {
    match ask(data, config, Ask::Override(request)).await? {
        Told::Override => Ok(()),
        _ => Err(of_another_kind()),
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
    // Looking must not leave a data folder behind.
    if !data.has_log()
        && let Some(nothing) = nothing(&asked)
    {
        return Ok(Ok(nothing));
    }
    // What changes no table needs none: a folder that nothing was read into must go on saying so.
    let changes_tables = !matches!(asked, Ask::Users(_));
    let aws = match &config.accounts {
        Some(accounts) if matches!(asked, Ask::Accounts(_)) => Some(aws::checker(config, accounts).await?),
        _ => None,
    };
    let log = data.open_log()?;
    let (committer, thread) = Committer::start(&log, now)?;
    let operators = Operators::start(&log, |_| {})?;
    let service = Service::new(log.clone(), committer, Collecting { aws, overview: None }, None, config, now).await?;
    let answered = service.answer(asked).await;
    // The committing thread ends when nobody can give it anything any more.
    drop(service);
    let ended = tokio::task::spawn_blocking(move || {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        operators.finish()
    });
    ended.await??;
    if changes_tables {
        data.catch_up(&log).await?;
    }
    Ok(answered)
}

/// What there is to list where there is no log; `None` for what is no list.
fn nothing(asked: &Ask) -> Option<Told> {
    match asked {
        Ask::Accounts(Request { operation: Operation::List, .. }) => Some(Told::Accounts(Answer::default())),
        Ask::Users(UsersRequest { operation: UsersOperation::List, .. }) => Some(Told::Users(UsersAnswer::default())),
        _ => None,
    }
}
