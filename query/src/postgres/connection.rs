//! A connection that was let in: its messages, one after the other, and its statements.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::Statement;
use futures::StreamExt;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::cancel::Registered;
use super::catalogue::Who;
use super::extended::{Portal, Prepared, State};
use super::frontend::Frontend;
use super::question::Question;
use super::running::Running;
use super::server::Server;
use super::settings::Settings;
use super::statement::{self, Command, CopyFormat};
use super::wire::{Broken, Wire};
use super::wrong::{Wrong, code};
use crate::limits::PG_KNOWN_FOR;
use crate::rest::principal::Principal;
use crate::session::Limits;

/// A connection of a user.
pub(super) struct Connection<S> {
    pub(super) wire: Wire<S>,
    pub(super) server: Arc<Server>,
    principal: Principal,
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
    known_at: Instant,
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
    Idle,
    Expired,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn new(
        wire: Wire<S>,
        server: Arc<Server>,
        principal: Principal,
        settings: Settings,
        registered: Registered,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let ending = registered.begin();
        Self {
            wire,
            server,
            principal,
            settings,
            registered,
            _permit: permit,
            status: TransactionStatus::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            is_skipping: false,
            ending,
            known_at: Instant::now(),
        }
    }

    /// Answers until the client or the server ends it.
    pub(super) async fn serve(mut self) -> Result<(), Broken> {
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
                let running = Running::of(self.shown(name.as_deref())?, &[])?;
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

    /// Sends all rows of a question with a description of them.
    async fn send_whole(&mut self, mut running: Running, tag: &str) -> Result<(), Stop> {
        self.wire.put(&Message::RowDescription(running.description()))?;
        let (sent, _) = self.send(&mut running, usize::MAX).await?;
        self.complete(tag, Some(sent))
    }

    /// What must hold before a statement is run.
    pub(super) fn begin_statement(&mut self, command: &Command) -> Result<(), Wrong> {
        self.ending = self.registered.begin();
        if self.known_at.elapsed() > PG_KNOWN_FOR {
            let tenant = if self.principal.superuser { None } else { Some(&*self.principal.tenant) };
            let users = self.server.backend.users(tenant);
            let is_same = |user: &crate::rest::backend::UserInfo| {
                user.name == *self.principal.name && !user.disabled && user.superuser == self.principal.superuser
            };
            if !users.iter().any(is_same) {
                return Err(Wrong::fatal(code::STOPPING, "this user is let in no longer"));
            }
            self.known_at = Instant::now();
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
            user = &*self.principal.name,
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
            user: Arc::clone(&self.principal.name),
            is_superuser: self.principal.superuser,
            pid: self.registered.pid,
            settings: Arc::new(settings),
        };
        Question { statement, viewer: self.principal.viewer(), who, limits: self.limits() }
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

    /// Waits for something, unless the client wants it no longer, or has gone.
    pub(super) async fn unless_ended<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, Stop> {
        let ending = self.ending.clone();
        tokio::select! {
            biased;
            () = ending.cancelled() => Err(Wrong::cancelled().into()),
            done = waiting => Ok(done),
            () = self.wire.gone() => Err(Broken::Gone.into()),
        }
    }

    /// Sends rows, so many at most. Tells how many, and whether these were the last.
    pub(super) async fn send(&mut self, running: &mut Running, rows_max: usize) -> Result<(usize, bool), Stop> {
        let mut sent = 0;
        while sent < rows_max {
            if let Some(row) = running.next_row() {
                self.wire.put(&Message::DataRow(row?))?;
                sent += 1;
                self.flush_if_full().await?;
            } else if !self.more(running).await? {
                return Ok((sent, true));
            }
        }
        Ok((sent, false))
    }

    /// Waits for more rows; false if there are none.
    async fn more(&mut self, running: &mut Running) -> Result<bool, Stop> {
        let Some(rows) = &mut running.rows else { return Ok(false) };
        let Some(batch) = self.unless_ended(rows.next()).await?.transpose()? else {
            running.rows = None;
            return Ok(false);
        };
        running.add(batch);
        Ok(true)
    }

    async fn flush_if_full(&mut self) -> Result<(), Stop> {
        if !self.wire.is_full() {
            return Ok(());
        }
        let ending = self.ending.clone();
        tokio::select! {
            biased;
            () = ending.cancelled() => Err(Wrong::cancelled().into()),
            flushed = self.wire.flush() => Ok(flushed?),
        }
    }

    /// Sends rows as the lines of a file.
    pub(super) async fn copy_out(&mut self, mut running: Running, format: &CopyFormat) -> Result<(), Stop> {
        let columns = running.fields().len();
        let count = i16::try_from(columns).map_err(|_| Wrong::new(code::LIMIT, "there are too many columns"))?;
        self.wire.put(&Message::CopyOutResponse(CopyOutResponse::new(0, count, vec![0; columns])))?;
        if let Some(header) = format.header(running.fields()) {
            self.wire.put(&Message::CopyData(CopyData::new(header.into())))?;
        }
        let mut sent = 0;
        loop {
            if let Some(row) = running.next_row() {
                self.wire.put(&Message::CopyData(CopyData::new(format.row(row?).into())))?;
                sent += 1;
                self.flush_if_full().await?;
            } else if !self.more(&mut running).await? {
                break;
            }
        }
        self.wire.put(&Message::CopyDone(CopyDone::new()))?;
        self.complete("COPY", Some(sent))
    }

    /// Sends rows of a cursor.
    pub(super) async fn fetch(&mut self, cursor: &str, count: usize, formats: &[i16], is_described: bool) -> Result<(), Stop> {
        let mut portal = self.portals.remove(cursor).ok_or_else(|| no_such_cursor(cursor))?;
        let running = portal.running()?;
        if !formats.is_empty() {
            running.reformat(formats)?;
        }
        if is_described {
            self.wire.put(&Message::RowDescription(running.description()))?;
        }
        let (sent, _) = self.send(running, count).await?;
        self.portals.insert(cursor.to_owned(), portal);
        self.complete("FETCH", Some(sent))
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

    /// The value of a setting as rows, or of all.
    pub(super) fn shown(&self, name: Option<&str>) -> Result<RecordBatch, Wrong> {
        let columns: Vec<(&str, Vec<String>)> = match name {
            Some(name) => {
                let missing = || Wrong::new(code::NO_SUCH_SETTING, format!("unrecognized configuration parameter \"{name}\""));
                vec![(name, vec![self.settings.get(name).ok_or_else(missing)?.to_owned()])]
            }
            None => {
                let (names, values) = self.settings.all().map(|(name, value)| (name.to_owned(), value.to_owned())).unzip();
                vec![("name", names), ("setting", values)]
            }
        };
        let schema = Schema::new(columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>());
        let arrays = columns.into_iter().map(|(_, values)| Arc::new(StringArray::from(values)) as _).collect();
        RecordBatch::try_new(Arc::new(schema), arrays).map_err(Wrong::internal)
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

pub(super) fn no_such_cursor(name: &str) -> Wrong {
    Wrong::new(code::NO_SUCH_CURSOR, format!("cursor \"{name}\" does not exist"))
}
