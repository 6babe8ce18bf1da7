//! How a command reaches whoever has the log: the server of the data folder, or this process where none runs.

use std::path::PathBuf;
use std::thread::JoinHandle;

use crate::log::{DataLog, Process};
use cloudigrade_connectors::completeness::{Rules, look};
use cloudigrade_connectors::source::Committer;
use cloudigrade_connectors::source::batch::{Done, Named};
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_schemas::Inspection;
use tokio_util::sync::CancellationToken;

use super::service::{Collecting, Service};
use super::wire::{
    Answer, Ask, InspectionsOperation, InspectionsRequest, LettersAnswer, LettersRequest, ObjectsAction, ObjectsRequest, OverrideRequest,
    Refusal, Request, Told, UsersAnswer, UsersOperation, UsersRequest,
};
use super::{accounts, inspections, letters, socket};
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

/// Asks about inspections of images.
///
/// # Errors
/// Those of reaching the server or opening the log, and what was refused.
pub async fn ask_about_inspections(data: &DataFolder, config: &Config, operation: InspectionsOperation) -> anyhow::Result<Vec<Inspection>> {
    match ask(data, config, Ask::Inspections(InspectionsRequest { by: by(), operation })).await? {
        Told::Inspections(inspections) => Ok(inspections),
        _ => Err(of_another_kind()),
    }
}

fn of_another_kind() -> anyhow::Error {
    error(Code::Failed, "the server answered something else than was asked; use the same version of the program as the server")
}

fn refused(refusal: Refusal) -> anyhow::Error {
    let code = match refusal.code.as_str() {
        letters::UNKNOWN | inspections::UNKNOWN => Code::NoInput,
        letters::AMBIGUOUS | inspections::AMBIGUOUS => Code::Usage,
        _ => Code::Failed,
    };
    error(code, refusal.to_string())
}

async fn ask(data: &DataFolder, config: &Config, asked: Ask) -> anyhow::Result<Told> {
    let answered = match socket::ask(data.folder(), &asked).await? {
        Some(answered) => answered,
        None => answer_here(data, config, asked).await?,
    };
    answered.map_err(refused)
}

/// Opens the log, answers, folds what came of it, and brings the tables up to date.
async fn answer_here(data: &DataFolder, config: &Config, asked: Ask) -> anyhow::Result<Result<Told, Refusal>> {
    if !data.has_log() {
        let answered = match &asked {
            Ask::Accounts(request) => accounts::answer_without_log(&request.operation).map(|answered| answered.map(Told::Accounts)),
            Ask::DeadLetters(request) => Some(letters::answer_without_log(request).map(Told::DeadLetters)),
            Ask::Users(UsersRequest { operation: UsersOperation::List, .. }) => Some(Ok(Told::Users(UsersAnswer::default()))),
            Ask::Inspections(request) => inspections::answer_without_log(request).map(|answered| answered.map(Told::Inspections)),
            Ask::Users(_) | Ask::Override(_) | Ask::Objects(_) | Ask::Records(_) => None,
        };
        if let Some(answered) = answered {
            return Ok(answered);
        }
    }
    // What changes no table needs none: a folder that nothing was read into must go on saying so.
    let changes_tables = !matches!(asked, Ask::Users(_));
    let here = Here::open(data, config).await?;
    let answered = here.answer(asked).await;
    here.close(data, changes_tables).await?;
    Ok(answered)
}

/// Whoever has the log, for as many questions about objects as there are.
pub enum Holder {
    /// The server of this data folder.
    Server(PathBuf),
    /// This process, until it is closed.
    Here(Box<Here>),
    /// There is no log, and none is to be made.
    Nobody,
}

impl Holder {
    /// Finds whoever has the log, and opens it where nobody does. One that is not there is made only to `write` into it.
    ///
    /// # Errors
    /// Those of reaching the server or opening the log.
    pub async fn find(data: &DataFolder, config: &Config, write: bool) -> anyhow::Result<Self> {
        let nothing = ObjectsRequest { objects: Vec::new(), action: ObjectsAction::Look };
        match socket::ask(data.folder(), &Ask::Objects(nothing)).await? {
            Some(answered) => answered.map(|_| Self::Server(data.folder().to_owned())).map_err(refused),
            None if write || data.has_log() => Ok(Self::Here(Box::new(Here::open(data, config).await?))),
            None => Ok(Self::Nobody),
        }
    }

    /// Asks about objects.
    ///
    /// # Errors
    /// Those of reaching the server, and what was refused.
    pub async fn ask(&self, objects: Vec<Named>, action: ObjectsAction) -> anyhow::Result<Done> {
        let asked = Ask::Objects(ObjectsRequest { objects, action });
        let answered = match self {
            Self::Nobody => return Ok(Done::default()),
            Self::Here(here) => here.answer(asked).await,
            Self::Server(folder) => socket::ask(folder, &asked)
                .await?
                .ok_or_else(|| error(Code::Data, "the server has ended; what was read until then stays: run the command again to go on"))?,
        };
        match answered.map_err(refused)? {
            Told::Objects(done) => Ok(done),
            _ => Err(of_another_kind()),
        }
    }

    /// Lets the log go. Where this process had it and `wrote` into it, all is folded and shown before.
    ///
    /// # Errors
    /// Of the log and the tables.
    pub async fn close(self, data: &DataFolder, wrote: bool) -> anyhow::Result<()> {
        match self {
            Self::Here(here) => {
                if wrote {
                    here.look_for_gaps().await?;
                }
                here.close(data, true).await
            }
            Self::Server(_) | Self::Nobody => Ok(()),
        }
    }
}

/// A log that this process has, with what answers.
pub struct Here {
    log: DataLog,
    committer: Committer,
    service: Service,
    thread: JoinHandle<Result<(), LogError>>,
    /// Absent where others fold: a command that came between would only take partitions from them for a moment.
    operators: Option<Operators>,
    /// Cancelled when an operator has ended.
    failed: CancellationToken,
}

impl Here {
    async fn open(data: &DataFolder, config: &Config) -> anyhow::Result<Self> {
        let aws = match &config.accounts {
            Some(accounts) => Some(aws::checker(config, accounts).await?),
            None => None,
        };
        let log = data.open_log(&Process::Command)?;
        let (committer, thread) = Committer::start(&log, now)?;
        let failed = CancellationToken::new();
        let operators = (!log.is_shared()).then(|| Operators::start(&log, &failed)).transpose()?;
        let service = Service::new(log.clone(), committer.clone(), Collecting { aws, overview: None }, None, config, now).await?;
        Ok(Self { log, committer, service, thread, operators, failed })
    }

    async fn answer(&self, asked: Ask) -> Result<Told, Refusal> {
        tokio::select! {
            answered = self.service.answer(asked) => answered,
            // Why is told by the operator when this is closed.
            () = self.failed.cancelled() => Err(Refusal::failed(&"an operator has ended")),
        }
    }

    /// Says what is missing by the digests that were read. A server looks at intervals; here it is done at the end.
    async fn look_for_gaps(&self) -> anyhow::Result<()> {
        for partition in 0..self.log.partitions() {
            let log = self.log.clone();
            let looked = tokio::task::spawn_blocking(move || look(&log, log.partitions(), partition, &Rules::at_the_end(), now()));
            for entry in looked.await?? {
                self.committer.commit(entry).await?;
            }
        }
        Ok(())
    }

    /// Folds what came of the answers, and brings the tables up to date. The log has what was done: tables that cannot be written are told
    /// of, and are no reason to keep an answer back.
    async fn close(self, data: &DataFolder, changes_tables: bool) -> anyhow::Result<()> {
        let Self { log, committer, service, thread, operators, .. } = self;
        // The committing thread ends when nobody can give it anything any more.
        drop((service, committer));
        let ended = tokio::task::spawn_blocking(move || {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            operators.map_or(Ok(()), Operators::finish)
        });
        ended.await??;
        if changes_tables
            && !log.is_shared()
            && let Err(error) = data.catch_up(&log).await
        {
            tell(format_args!(
                "cloudigrade: the tables do not show this yet, and follow when next something is written: {}",
                message(&error)
            ));
        }
        Ok(())
    }
}
