//! A connection that was let in: its messages, one after the other, and its statements.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::Statement;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cancel::Registered;
use super::catalogue::Who;
use super::extended::{Portal, Prepared, State};
use super::frontend::Frontend;
use super::question::Question;
use super::running::Running;
use super::server::Server;
use super::settings::Settings;
use super::statement::{self, Command};
use super::wire::{Broken, Wire};
use super::wrong::{Wrong, code};
use crate::limits::PG_LET_IN_LOOK_EVERY;
use crate::rest::principal::Login;
use crate::session::Limits;

/// A connection of a user.
pub(super) struct Connection<S> {
    pub(super) wire: Wire<S>,
    pub(super) server: Arc<Server>,
    login: Login,
    pub(super) settings: Settings,
    registered: Registered,
    _permit: OwnedSemaphorePermit,
    pub(super) status: TransactionStatus,
    pub(super) statements: HashMap<String, Prepared>,
    /// Portals and cursors.
    pub(super) portals: HashMap<String, Portal>,
    /// Whether messages are passed over until the client asks where it is.
    pub(super) is_skipping: bool,
    /// Tells that the statement that runs is to end.
    pub(super) ending: CancellationToken,
}

/// Why a statement was not answered.
#[derive(Debug)]
pub(super) enum Stop {
    /// What the client is told.
    Wrong(Wrong),
    /// The connection ends.
    Broken(Broken),
}

impl<T: Into<Wrong>> From<T> for Stop {
    fn from(wrong: T) -> Self {
        Self::Wrong(wrong.into())
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// What a connection waits for.
enum Next {
    Message(Option<Frontend>),
    Stop,
    ShutOut,
    Idle,
    Expired,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn new(
        wire: Wire<S>,
        server: Arc<Server>,
        login: Login,
        settings: Settings,
        registered: Registered,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let ending = registered.begin();
        Self {
            wire,
            server,
            login,
            settings,
            registered,
            _permit: permit,
            status: TransactionStatus::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            is_skipping: false,
            ending,
        }
    }

    /// Answers until the client or the server ends it, or its user is let in no longer.
    pub(super) async fn serve(self) -> Result<(), Broken> {
        let (server, login, shut_out) = (Arc::clone(&self.server), self.login.clone(), self.registered.shut_out.clone());
        let mut answered = Box::pin(self.answer_until_told());
        tokio::select! {
            biased;
            answered = &mut answered => answered,
            () = until_shut_out(&server, &login) => {
                shut_out.cancel();
                answered.await
            }
        }
    }

    async fn answer_until_told(mut self) -> Result<(), Broken> {
        let served = self.answer_all().await;
        let told = match &served {
            Ok(None) | Err(Broken::Gone | Broken::Io(_) | Broken::Stalled) => return served.map(|_| ()),
            Ok(Some(wrong)) => wrong.clone(),
            Err(broken) => Wrong::fatal(code::PROTOCOL, broken.to_string()),
        };
        self.wire.put(&told.told())?;
        self.wire.flush().await?;
        self.wire.close().await;
        served.map(|_| ())
    }

    /// Answers; gives what the client is told at the end, if the server ends it.
    async fn answer_all(&mut self) -> Result<Option<Wrong>, Broken> {
        let mut since = Instant::now();
        loop {
            match self.next(since).await? {
                Next::Expired => {
                    self.give_up_expired();
                    continue;
                }
                Next::Stop => return Ok(Some(Wrong::fatal(code::STOPPING, "the server stops"))),
                Next::ShutOut => return Ok(Some(Wrong::shut_out())),
                Next::Idle => return Ok(Some(Wrong::fatal(code::IDLE, "the connection was idle for too long"))),
                Next::Message(None | Some(Frontend::Terminate)) => return Ok(None),
                Next::Message(Some(message)) => match Box::pin(self.answer(message)).await {
                    Ok(()) => {}
                    Err(Stop::Wrong(wrong)) => return Ok(Some(wrong)),
                    Err(Stop::Broken(broken)) => return Err(broken),
                },
            }
            since = Instant::now();
        }
    }

    async fn next(&mut self, since: Instant) -> Result<Next, Broken> {
        let in_transaction = self.settings.time("idle_in_transaction_session_timeout").filter(|_| self.status != TransactionStatus::Idle);
        let idle = in_transaction.map_or(self.server.options.idle, |limit| limit.min(self.server.options.idle));
        let expiry = self.portals.values().filter_map(Portal::expires).min();
        tokio::select! {
            biased;
            () = self.server.stop.cancelled() => Ok(Next::Stop),
            () = self.registered.shut_out.cancelled() => Ok(Next::ShutOut),
            message = self.wire.next() => Ok(Next::Message(message?)),
            () = sleep_until(since + idle) => Ok(Next::Idle),
            () = sleep_until(expiry.unwrap_or(since)), if expiry.is_some() => Ok(Next::Expired),
        }
    }

    /// What nobody fetched in its time holds others up no longer.
    fn give_up_expired(&mut self) {
        let now = Instant::now();
        for portal in self.portals.values_mut().filter(|portal| portal.expires().is_some_and(|at| at <= now)) {
            portal.state = State::Expired;
        }
    }

    /// Answers a query of the simple kind: any number of statements in one text.
    pub(super) async fn query(&mut self, sql: &str) -> Result<(), Stop> {
        self.portals.remove("");
        match self.run_all(sql).await {
            Ok(()) => {}
            Err(Stop::Wrong(wrong)) if wrong.is_fatal => return Err(wrong.into()),
            Err(Stop::Wrong(wrong)) => self.fail(wrong)?,
            Err(broken) => return Err(broken),
        }
        self.ready().await
    }

    async fn run_all(&mut self, sql: &str) -> Result<(), Stop> {
        let commands = statement::parse(sql)?;
        if commands.is_empty() {
            self.wire.put(&Message::EmptyQueryResponse(EmptyQueryResponse::new()))?;
        }
        for command in commands {
            self.begin_statement(&command)?;
            let (started, tag) = (Instant::now(), command.tag());
            let ran = Box::pin(self.run(command)).await;
            self.observe(tag, started, &ran);
            ran?;
        }
        Ok(())
    }

    async fn run(&mut self, command: Command) -> Result<(), Stop> {
        let tag = command.tag();
        match command {
            Command::Ask(statement) => {
                let running = self.start(*statement, &[]).await?;
                self.send_whole(running, tag).await
            }
            Command::Show(name) => {
                let running = Running::of(self.settings.shown(name.as_deref())?, &[])?;
                self.send_whole(running, tag).await
            }
            Command::CopyOut { query, format } => {
                let running = self.start(*query, &[]).await?;
                self.copy_out(running, &format).await
            }
            Command::Fetch { cursor, count } => self.fetch(&cursor, count, &[], true).await,
            command => self.do_it(command).await,
        }
    }

    /// What must hold before a statement is run.
    pub(super) fn begin_statement(&mut self, command: &Command) -> Result<(), Wrong> {
        self.ending = self.registered.begin();
        if !self.server.backend.is_let_in(&self.login) {
            return Err(Wrong::shut_out());
        }
        if self.status == TransactionStatus::Error && !command.ends_failure() {
            let message = "current transaction is aborted, commands ignored until end of transaction block";
            return Err(Wrong::new(code::FAILED_TRANSACTION, message));
        }
        Ok(())
    }

    /// Counts and logs a statement. Its text is told to nobody.
    pub(super) fn observe<T>(&self, tag: &'static str, started: Instant, ran: &Result<T, Stop>) {
        let outcome = match ran {
            Ok(_) => "ok",
            Err(Stop::Wrong(wrong)) => wrong.code,
            Err(Stop::Broken(_)) => "gone",
        };
        let elapsed = started.elapsed();
        metrics::counter!("cloudigrade_postgres_statements_total", "kind" => tag, "outcome" => outcome).increment(1);
        metrics::histogram!("cloudigrade_postgres_statement_seconds", "kind" => tag).record(elapsed.as_secs_f64());
        tracing::info!(
            target: "cloudigrade::access",
            user = &*self.login.principal.name,
            pid = self.registered.pid,
            kind = tag,
            outcome,
            elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            "postgres statement"
        );
    }

    /// A question of this user.
    pub(super) fn question(&self, statement: Statement) -> Question {
        let settings: BTreeMap<String, String> = self.settings.all().map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let who = Who {
            user: Arc::clone(&self.login.principal.name),
            is_superuser: self.login.principal.superuser,
            pid: self.registered.pid,
            settings: Arc::new(settings),
        };
        Question { statement, viewer: self.login.principal.viewer(), who, limits: self.limits() }
    }

    fn limits(&self) -> Limits {
        let limits = self.server.options.limits.clone();
        let time = self.settings.time("statement_timeout").map_or(limits.time, |time| time.min(limits.time));
        Limits { time, ..limits }
    }

    /// Asks a question.
    pub(super) async fn start(&mut self, statement: Statement, formats: &[i16]) -> Result<Running, Stop> {
        let question = self.question(statement);
        let expires = Instant::now() + question.limits.time;
        let asking = self.server.asker.rows(question);
        let rows = self.unless_ended(asking).await??;
        Ok(Running::new(rows, formats, expires)?)
    }

    /// What was ended is told as.
    pub(super) fn ended(&self) -> Wrong {
        if self.registered.shut_out.is_cancelled() { Wrong::shut_out() } else { Wrong::cancelled() }
    }

    /// Waits for something, unless the client wants it no longer, or has gone.
    pub(super) async fn unless_ended<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, Stop> {
        let ending = self.ending.clone();
        tokio::select! {
            biased;
            () = ending.cancelled() => Err(self.ended().into()),
            done = waiting => Ok(done),
            () = self.wire.gone() => Err(Broken::Gone.into()),
        }
    }

    /// Does what gives no rows.
    pub(super) async fn do_it(&mut self, command: Command) -> Result<(), Stop> {
        let mut tag = command.tag();
        let in_transaction = self.status != TransactionStatus::Idle;
        let outside = || Wrong::new(code::NO_TRANSACTION, format!("{} can only be used in transaction blocks", command.tag()));
        match &command {
            Command::Begin if !in_transaction => {
                self.status = TransactionStatus::Transaction;
                self.settings.begin();
            }
            Command::Commit | Command::Rollback if in_transaction => {
                let is_kept = matches!(command, Command::Commit) && self.status == TransactionStatus::Transaction;
                tag = if is_kept { "COMMIT" } else { "ROLLBACK" };
                self.status = TransactionStatus::Idle;
                self.settings.end(is_kept);
                self.portals.retain(|_, portal| portal.is_held && is_kept);
                self.report_settings()?;
            }
            Command::Savepoint | Command::Release | Command::RollbackTo if !in_transaction => return Err(outside().into()),
            Command::RollbackTo => self.status = TransactionStatus::Transaction,
            Command::Set { name, value, is_local } => {
                self.settings.set(name, value.as_deref(), *is_local)?;
                self.report_settings()?;
            }
            Command::ResetAll => {
                self.settings.reset();
                self.report_settings()?;
            }
            Command::DiscardAll => {
                if in_transaction {
                    return Err(Wrong::new("25001", "DISCARD ALL cannot run inside a transaction block").into());
                }
                self.settings.reset();
                self.statements.clear();
                self.portals.clear();
                self.report_settings()?;
            }
            Command::Declare { is_held: false, .. } if !in_transaction => return Err(outside().into()),
            Command::Declare { name, query, is_binary, is_held } => self.declare(name, query, *is_binary, *is_held).await?,
            Command::CloseCursor(None) => self.portals.clear(),
            Command::CloseCursor(Some(name)) => _ = self.portals.remove(name).ok_or_else(|| no_such_cursor(name))?,
            Command::Deallocate(None) => self.statements.clear(),
            Command::Deallocate(Some(name)) => {
                let missing = || Wrong::new(code::NO_SUCH_STATEMENT, format!("prepared statement \"{name}\" does not exist"));
                self.statements.remove(name).ok_or_else(missing)?;
            }
            _ => {}
        }
        self.complete(tag, None)
    }

    /// Tells the client of settings that it keeps track of.
    fn report_settings(&mut self) -> Result<(), Broken> {
        for (name, value) in self.settings.reported() {
            self.wire.put(&Message::ParameterStatus(ParameterStatus::new(name.to_owned(), value)))?;
        }
        Ok(())
    }

    /// Tells that a statement is done.
    pub(super) fn complete(&mut self, tag: &str, rows: Option<usize>) -> Result<(), Stop> {
        let tag = match (tag, rows) {
            ("SELECT" | "FETCH" | "COPY", Some(rows)) => format!("{tag} {rows}"),
            _ => tag.to_owned(),
        };
        Ok(self.wire.put(&Message::CommandComplete(CommandComplete::new(tag)))?)
    }

    /// Tells that a statement failed, and with it the transaction that it is in.
    pub(super) fn fail(&mut self, wrong: Wrong) -> Result<(), Broken> {
        if self.status == TransactionStatus::Transaction {
            self.status = TransactionStatus::Error;
            self.portals.retain(|_, portal| portal.is_held);
        }
        self.wire.put(&wrong.told())
    }

    /// Tells that the client may ask on.
    pub(super) async fn ready(&mut self) -> Result<(), Stop> {
        if self.status == TransactionStatus::Idle {
            self.portals.retain(|_, portal| portal.is_held);
        }
        self.wire.put(&Message::ReadyForQuery(ReadyForQuery::new(self.status)))?;
        Ok(self.wire.flush().await?)
    }
}

/// Waits until somebody is let in no longer.
async fn until_shut_out(server: &Server, login: &Login) {
    while server.backend.is_let_in(login) {
        sleep(PG_LET_IN_LOOK_EVERY).await;
    }
}

pub(super) fn no_such_cursor(name: &str) -> Wrong {
    Wrong::new(code::NO_SUCH_CURSOR, format!("cursor \"{name}\" does not exist"))
}
