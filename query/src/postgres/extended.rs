//! The extended kind of query: statements that are prepared, given values, described and fetched in pieces.

use std::collections::hash_map::Entry;

use arrow_pg::datatypes::into_pg_type;
use datafusion::sql::sqlparser::ast::Statement;
use pgwire::api::Type;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::{Connection, Stop, no_such_cursor};
use super::frontend::{Bind, Frontend, Named};
use super::question::Described;
use super::rewrite::arrays_of_texts;
use super::running::{Running, description, fields};
use super::statement::{self, Command};
use super::value;
use super::wrong::{Wrong, code};
use crate::limits::{PG_PORTALS_MAX, PG_PREPARED_MAX, SQL_PARAMETERS_MAX};
use crate::parameters;

/// A statement that is prepared.
pub(super) struct Prepared {
    /// None where the text is empty.
    command: Option<Command>,
    /// The types of its parameters that the client told.
    types: Vec<Option<Type>>,
    /// What is known of it, once it was asked for.
    described: Option<Described>,
}

/// A statement with values, or a cursor.
pub(super) struct Portal {
    /// None where the text is empty.
    command: Option<Command>,
    formats: Vec<i16>,
    pub(super) state: State,
    /// Whether it stays when its transaction ends.
    pub(super) is_held: bool,
    /// The types of the columns that the client was told before.
    told: Option<Vec<Type>>,
}

/// How far a portal is.
pub(super) enum State {
    New,
    Running(Box<Running>),
    /// All that there was was sent.
    Over,
    /// Nobody fetched its rows in time.
    Expired,
}

impl Portal {
    /// When it is given up, if somebody waits for it to be fetched.
    pub(super) fn expires(&self) -> Option<Instant> {
        match &self.state {
            State::Running(running) if running.rows.is_some() => Some(running.expires),
            _ => None,
        }
    }

    /// The rows of a cursor.
    pub(super) fn running(&mut self) -> Result<&mut Running, Wrong> {
        match &mut self.state {
            State::Running(running) => Ok(running),
            State::New | State::Over => Err(Wrong::new(code::NO_SUCH_CURSOR, "this portal is no cursor that has begun")),
            State::Expired => Err(Wrong::new(code::CANCELLED, "the rows were not fetched within the time that a query may take")),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Answers a message. What goes wrong with a statement is told; an error ends the connection.
    pub(super) async fn answer(&mut self, message: Frontend) -> Result<(), Stop> {
        let answered = match message {
            Frontend::Query(sql) if !self.is_skipping => return self.query(&sql).await,
            Frontend::Sync => {
                self.is_skipping = false;
                return self.ready().await;
            }
            Frontend::Password(_) => return Err(Wrong::fatal(code::PROTOCOL, "a password is not asked for").into()),
            // What belongs to a COPY that failed is passed over, as in Postgres.
            Frontend::Copy | Frontend::Terminate => return Ok(()),
            _ if self.is_skipping => return Ok(()),
            Frontend::Flush => return Ok(self.wire.flush().await?),
            Frontend::Parse { name, sql, types } => self.prepare(name, &sql, &types),
            Frontend::Bind(bind) => self.bind(bind).await,
            Frontend::Describe(Named::Statement, name) => self.describe_statement(&name).await,
            Frontend::Describe(Named::Portal, name) => self.describe_portal(&name).await,
            Frontend::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Frontend::Close(named, name) => {
                match named {
                    Named::Statement => _ = self.statements.remove(&name),
                    Named::Portal => _ = self.portals.remove(&name),
                }
                Ok(self.wire.put(&Message::CloseComplete(CloseComplete::new()))?)
            }
            Frontend::Query(_) => Ok(()),
        };
        match answered {
            Err(Stop::Wrong(wrong)) if !wrong.is_fatal => {
                self.is_skipping = true;
                self.fail(wrong)?;
                Ok(self.wire.flush().await?)
            }
            answered => answered,
        }
    }

    fn prepare(&mut self, name: String, sql: &str, types: &[u32]) -> Result<(), Stop> {
        let mut commands = statement::parse(sql)?;
        if commands.len() > 1 {
            return Err(Wrong::new("42601", "cannot insert multiple commands into a prepared statement").into());
        }
        let command = commands.pop();
        let count = command.as_ref().and_then(Command::question).map_or(0, parameters::count);
        if count > SQL_PARAMETERS_MAX {
            return Err(Wrong::new(code::LIMIT, format!("a statement may take {SQL_PARAMETERS_MAX} parameters, not {count}")).into());
        }
        let mut types: Vec<Option<Type>> = types.iter().map(|oid| Type::from_oid(*oid).filter(|kind| *kind != Type::UNKNOWN)).collect();
        types.resize(count, None);
        let is_full = self.statements.len() >= PG_PREPARED_MAX;
        let prepared = Prepared { command, types, described: None };
        match self.statements.entry(name) {
            Entry::Occupied(mut known) if known.key().is_empty() => _ = known.insert(prepared),
            Entry::Occupied(known) => {
                return Err(Wrong::new("42P05", format!("prepared statement \"{}\" already exists", known.key())).into());
            }
            Entry::Vacant(_) if is_full => {
                let message = format!("a connection keeps {PG_PREPARED_MAX} prepared statements; close some");
                return Err(Wrong::new(code::TOO_MANY, message).into());
            }
            Entry::Vacant(free) => _ = free.insert(prepared),
        }
        Ok(self.wire.put(&Message::ParseComplete(ParseComplete::new()))?)
    }

    fn prepared(&self, name: &str) -> Result<&Prepared, Wrong> {
        let missing = || Wrong::new(code::NO_SUCH_STATEMENT, format!("prepared statement \"{name}\" does not exist"));
        self.statements.get(name).ok_or_else(missing)
    }

    /// What is known of a statement, found out where it is not known yet; `None` where it is no question.
    async fn described(&mut self, name: &str) -> Result<Option<Described>, Stop> {
        let prepared = self.prepared(name)?;
        if prepared.described.is_some() {
            return Ok(prepared.described.clone());
        }
        let Some(command) = prepared.command.clone() else { return Ok(None) };
        let Some(question) = command.question() else { return Ok(None) };
        self.begin_statement(&command)?;
        let describing = self.server.asker.describe(self.question(question.clone()));
        let described = self.unless_ended(describing).await??;
        if let Some(prepared) = self.statements.get_mut(name) {
            prepared.described = Some(described.clone());
        }
        Ok(Some(described))
    }

    /// The type of each parameter: what the client told, else what follows from the statement, else text.
    fn parameter_types(&self, name: &str, described: Option<&Described>) -> Result<Vec<Type>, Wrong> {
        let told = self.prepared(name)?.types.iter().enumerate();
        let follows = |at: usize| described?.parameters.get(at)?.as_ref().and_then(|kind| into_pg_type(kind).ok());
        let of = |(at, told): (usize, &Option<Type>)| told.clone().or_else(|| follows(at)).filter(|kind| *kind != Type::UNKNOWN);
        Ok(told.map(|told| of(told).unwrap_or(Type::TEXT)).collect())
    }

    async fn bind(&mut self, bind: Bind) -> Result<(), Stop> {
        let Prepared { command, types, described } = self.prepared(&bind.statement)?;
        let (mut command, count) = (command.clone(), types.len());
        if bind.values.len() != count || bind.formats.len() > 1 && bind.formats.len() != count {
            let message =
                format!("{} values and {} formats are given to a statement of {count} parameters", bind.values.len(), bind.formats.len());
            return Err(Wrong::new(code::PROTOCOL, message).into());
        }
        let told = described.as_ref().map(|described| described.schema.clone());
        let is_binary = |at: usize| *bind.formats.get(at).or(bind.formats.first()).unwrap_or(&0) == 1;
        // Text finds its type where it stands; bytes need to be known before.
        let needs_types = (0..count).any(|at| is_binary(at) && types[at].is_none());
        let mut known = described.clone();
        if needs_types && known.is_none() {
            known = self.described(&bind.statement).await?;
        }
        let types = self.parameter_types(&bind.statement, known.as_ref())?;
        let values = bind.values.iter().zip(&types).enumerate();
        let constants =
            values.map(|(at, (value, kind))| value::constant(kind, is_binary(at), value.as_ref())).collect::<Result<Vec<_>, _>>()?;
        if let Some(question) = command.as_mut().and_then(question_of) {
            parameters::bind(question, &constants)?;
            arrays_of_texts(question);
        }
        if self.portals.len() >= PG_PORTALS_MAX {
            return Err(Wrong::new(code::TOO_MANY, format!("a connection keeps {PG_PORTALS_MAX} portals and cursors; close some")).into());
        }
        let told = match told {
            Some(schema) => Some(fields(&schema, &[])?.iter().map(|field| field.datatype().clone()).collect()),
            None => None,
        };
        let portal = Portal { command, formats: bind.result_formats, state: State::New, is_held: false, told };
        match self.portals.entry(bind.portal) {
            Entry::Occupied(known) if !known.key().is_empty() => {
                return Err(Wrong::new("42P03", format!("cursor \"{}\" already exists", known.key())).into());
            }
            Entry::Occupied(mut known) => _ = known.insert(portal),
            Entry::Vacant(free) => _ = free.insert(portal),
        }
        Ok(self.wire.put(&Message::BindComplete(BindComplete::new()))?)
    }

    async fn describe_statement(&mut self, name: &str) -> Result<(), Stop> {
        let described = self.described(name).await?;
        let types = self.parameter_types(name, described.as_ref())?;
        self.wire.put(&Message::ParameterDescription(ParameterDescription::new(types.iter().map(Type::oid).collect())))?;
        let rows = match (self.prepared(name)?.command.as_ref(), described) {
            (Some(Command::Ask(_)), Some(described)) => Some(description(&fields(&described.schema, &[])?)),
            (Some(Command::Show(name)), _) => Some(Running::of(self.settings.shown(name.as_deref())?, &[])?.description()),
            (Some(Command::Fetch { cursor, .. }), _) => {
                let portal = self.portals.get(cursor).ok_or_else(|| no_such_cursor(cursor))?;
                match &portal.state {
                    State::Running(running) => Some(running.description()),
                    _ => None,
                }
            }
            _ => None,
        };
        Ok(self.wire.put(&rows.map_or(Message::NoData(NoData::new()), Message::RowDescription))?)
    }

    async fn describe_portal(&mut self, name: &str) -> Result<(), Stop> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_such_cursor(name))?;
        self.begin(&mut portal).await?;
        let rows = match (&mut portal.state, &portal.command) {
            (State::Running(running), _) => Some(running.description()),
            (_, Some(Command::Fetch { cursor, .. })) => {
                let cursor = self.portals.get_mut(cursor).ok_or_else(|| no_such_cursor(cursor))?;
                let running = cursor.running()?;
                if !portal.formats.is_empty() {
                    running.reformat(&portal.formats)?;
                }
                Some(running.description())
            }
            _ => None,
        };
        self.portals.insert(name.to_owned(), portal);
        Ok(self.wire.put(&rows.map_or(Message::NoData(NoData::new()), Message::RowDescription))?)
    }

    /// Begins to answer a portal that gives rows.
    async fn begin(&mut self, portal: &mut Portal) -> Result<(), Stop> {
        let (State::New, Some(command)) = (&portal.state, &portal.command) else { return Ok(()) };
        let running = match command {
            Command::Ask(statement) => {
                self.begin_statement(command)?;
                self.start((**statement).clone(), &portal.formats).await?
            }
            Command::Show(name) => Running::of(self.settings.shown(name.as_deref())?, &portal.formats)?,
            _ => return Ok(()),
        };
        let is_as_told = |told: &Vec<Type>| told.iter().eq(running.fields().iter().map(|field| field.datatype()));
        if portal.told.as_ref().is_some_and(|told| !is_as_told(told)) {
            let message = "cached plan must not change result type: give the parameters types, as in $1::bigint";
            return Err(Wrong::new(code::NOT_SUPPORTED, message).into());
        }
        portal.state = State::Running(Box::new(running));
        Ok(())
    }

    async fn execute(&mut self, name: &str, rows_max: usize) -> Result<(), Stop> {
        let mut portal = self.portals.remove(name).ok_or_else(|| no_such_cursor(name))?;
        let Some(command) = portal.command.clone() else {
            self.portals.insert(name.to_owned(), portal);
            return Ok(self.wire.put(&Message::EmptyQueryResponse(EmptyQueryResponse::new()))?);
        };
        let started = Instant::now();
        let ran = Box::pin(self.execute_portal(&command, &mut portal, rows_max)).await;
        self.observe(command.tag(), started, &ran);
        ran?;
        // The end of a transaction closes its portals.
        if !matches!(command, Command::Commit | Command::Rollback | Command::CloseCursor(_) | Command::DiscardAll) {
            self.portals.insert(name.to_owned(), portal);
        }
        Ok(())
    }

    async fn execute_portal(&mut self, command: &Command, portal: &mut Portal, rows_max: usize) -> Result<(), Stop> {
        self.begin_statement(command)?;
        self.begin(portal).await?;
        match (&mut portal.state, command) {
            (State::Running(running), _) => {
                let limit = if rows_max == 0 { usize::MAX } else { rows_max };
                let (sent, are_all) = self.send(running, limit).await?;
                if !are_all {
                    return Ok(self.wire.put(&Message::PortalSuspended(PortalSuspended::new()))?);
                }
                portal.state = State::Over;
                self.complete(command.tag(), Some(sent))
            }
            (State::Over, _) => self.complete(command.tag(), Some(0)),
            (State::Expired, _) => Ok(_ = portal.running()?),
            (State::New, Command::CopyOut { query, format }) => {
                let running = self.start((**query).clone(), &[]).await?;
                portal.state = State::Over;
                self.copy_out(running, format).await
            }
            (State::New, Command::Fetch { cursor, count }) => {
                let count = if rows_max == 0 { *count } else { rows_max.min(*count) };
                let formats = portal.formats.clone();
                portal.state = State::Over;
                self.fetch(cursor, count, &formats, false).await
            }
            (State::New, command) => {
                portal.state = State::Over;
                self.do_it(command.clone()).await
            }
        }
    }

    /// Makes a cursor.
    pub(super) async fn declare(&mut self, name: &str, query: &Statement, is_binary: bool, is_held: bool) -> Result<(), Stop> {
        if self.portals.contains_key(name) {
            return Err(Wrong::new("42P03", format!("cursor \"{name}\" already exists")).into());
        }
        if self.portals.len() >= PG_PORTALS_MAX {
            return Err(Wrong::new(code::TOO_MANY, format!("a connection keeps {PG_PORTALS_MAX} portals and cursors; close some")).into());
        }
        let formats: &[i16] = if is_binary { &[1] } else { &[] };
        let running = self.start(query.clone(), formats).await?;
        let command = Some(Command::Ask(Box::new(query.clone())));
        let portal = Portal { command, formats: formats.to_vec(), state: State::Running(Box::new(running)), is_held, told: None };
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }
}

/// The question in a command, to put values in.
fn question_of(command: &mut Command) -> Option<&mut Statement> {
    match command {
        Command::Ask(query) | Command::CopyOut { query, .. } | Command::Declare { query, .. } => Some(query),
        _ => None,
    }
}
