//! What a statement is, of those that may be run. All that is not listed here is refused: the list is what makes the tables read-only,
//! before DataFusion sees anything.

use datafusion::sql::sqlparser::ast::{
    CloseCursor, CopySource, CopyTarget, DeclareType, DiscardObject, FetchDirection, FetchPosition, Ident, Query, Reset, SetExpr,
    Statement, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::copy::{CopyFormat, copy_format, selection};
use super::rewrite::{read_about_catalogue, rewritten};
use super::set::{lowered, setting};
use super::wrong::{Wrong, code};
use crate::limits::PG_STATEMENTS_AT_ONCE_MAX;
use crate::nesting;

/// A statement that may be run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// It only asks: SELECT, EXPLAIN, SHOW TABLES.
    Ask(Box<Statement>),
    /// Rows to the client, as CSV or text.
    CopyOut {
        query: Box<Statement>,
        format: CopyFormat,
    },
    /// The value of a setting, or of all.
    Show(Option<String>),
    /// A setting; `None` sets it back.
    Set {
        name: String,
        value: Option<String>,
        is_local: bool,
    },
    /// All settings back.
    ResetAll,
    /// As a new connection.
    DiscardAll,
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Release,
    RollbackTo,
    Declare {
        name: String,
        query: Box<Statement>,
        is_binary: bool,
        is_held: bool,
    },
    Fetch {
        cursor: String,
        count: usize,
    },
    /// A cursor, or all.
    CloseCursor(Option<String>),
    /// A prepared statement, or all.
    Deallocate(Option<String>),
    /// Done by doing nothing; its tag.
    Nothing(&'static str),
}

impl Command {
    /// What tells the client that it was done.
    pub(super) fn tag(&self) -> &'static str {
        match self {
            Self::Ask(statement) => match **statement {
                Statement::Query(_) => "SELECT",
                Statement::Explain { .. } | Statement::ExplainTable { .. } => "EXPLAIN",
                _ => "SHOW",
            },
            Self::CopyOut { .. } => "COPY",
            Self::Show(_) => "SHOW",
            Self::Set { .. } => "SET",
            Self::ResetAll => "RESET",
            Self::DiscardAll => "DISCARD ALL",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback | Self::RollbackTo => "ROLLBACK",
            Self::Savepoint => "SAVEPOINT",
            Self::Release => "RELEASE",
            Self::Declare { .. } => "DECLARE CURSOR",
            Self::Fetch { .. } => "FETCH",
            Self::CloseCursor(_) => "CLOSE CURSOR",
            Self::Deallocate(_) => "DEALLOCATE",
            Self::Nothing(tag) => tag,
        }
    }

    /// The question in it that takes parameters.
    pub(super) fn question(&self) -> Option<&Statement> {
        match self {
            Self::Ask(query) | Self::CopyOut { query, .. } | Self::Declare { query, .. } => Some(query),
            _ => None,
        }
    }

    /// The same with its question in words that DataFusion knows.
    fn rewritten(self, text: Option<&str>) -> Self {
        match self {
            Self::Ask(query) => Self::Ask(Box::new(rewritten(*query, text))),
            Self::CopyOut { query, format } => Self::CopyOut { query: Box::new(rewritten(*query, None)), format },
            Self::Declare { name, query, is_binary, is_held } => {
                Self::Declare { name, query: Box::new(rewritten(*query, None)), is_binary, is_held }
            }
            other => other,
        }
    }

    /// Whether it may be run in a transaction that has failed.
    pub(super) fn ends_failure(&self) -> bool {
        matches!(self, Self::Commit | Self::Rollback | Self::RollbackTo)
    }
}

/// Reads statements.
///
/// # Errors
/// What is no SQL, and what may not be run.
pub(super) fn parse(sql: &str) -> Result<Vec<Command>, Wrong> {
    if sql.trim().trim_end_matches(';').eq_ignore_ascii_case("abort") {
        return Ok(vec![Command::Rollback]);
    }
    nesting::check(sql)?;
    let read = Parser::parse_sql(&PostgreSqlDialect {}, sql);
    let read = read.or_else(|error| read_about_catalogue(sql).ok_or(error));
    let statements = read.map_err(|error| {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => "nested too deeply".to_owned(),
        };
        // What the parser does not know may still be a word that begins a statement of Postgres that changes something.
        let first = first_word(sql);
        let known = ["DO", "VACUUM", "REINDEX", "CLUSTER", "CALL", "SECURITY", "REASSIGN", "REFRESH", "IMPORT", "LISTEN", "NOTIFY", "COPY"];
        if known.contains(&first.as_str()) { refused(&first) } else { Wrong::new("42601", format!("SQL syntax: {message}")) }
    })?;
    if statements.len() > PG_STATEMENTS_AT_ONCE_MAX {
        return Err(Wrong::new(code::LIMIT, format!("there are more than {PG_STATEMENTS_AT_ONCE_MAX} statements in one query")));
    }
    let text = (statements.len() == 1).then_some(sql);
    let commands = statements.into_iter().map(command).collect::<Result<Vec<_>, _>>()?;
    Ok(commands.into_iter().map(|command| command.rewritten(text)).collect())
}

fn first_word(sql: &str) -> String {
    sql.split(|character: char| !character.is_ascii_alphanumeric()).find(|word| !word.is_empty()).unwrap_or_default().to_ascii_uppercase()
}

fn refused(what: &str) -> Wrong {
    let message = format!("{what} is refused: only SELECT, EXPLAIN and SHOW can be run here, as the tables are read-only");
    Wrong::new(code::READ_ONLY, message)
}

pub(super) fn not_supported(what: impl std::fmt::Display) -> Wrong {
    Wrong::new(code::NOT_SUPPORTED, format!("{what} is not supported"))
}

fn command(statement: Statement) -> Result<Command, Wrong> {
    Ok(match statement {
        Statement::Query(query) => ask(query)?,
        Statement::Explain { statement: ref explained, .. } => match **explained {
            Statement::Query(ref query) if only_asks(query) => Command::Ask(Box::new(statement)),
            ref other => return Err(refused(&first_word(&other.to_string()))),
        },
        Statement::ShowTables { .. } | Statement::ShowColumns { .. } | Statement::ExplainTable { .. } => Command::Ask(Box::new(statement)),
        Statement::ShowVariable { variable } => {
            let words: Vec<String> = variable.into_iter().map(|word| word.value.to_lowercase()).collect();
            match words.join(" ").as_str() {
                "all" => Command::Show(None),
                "transaction isolation level" => Command::Show(Some("transaction_isolation".to_owned())),
                "time zone" => Command::Show(Some("timezone".to_owned())),
                "session authorization" => Command::Show(Some("session_authorization".to_owned())),
                _ => Command::Show(Some(words.join("."))),
            }
        }
        Statement::Set(set) => setting(set)?,
        Statement::Reset(reset) => match reset.reset {
            Reset::ALL => Command::ResetAll,
            Reset::ConfigurationParameter(name) => Command::Set { name: lowered(&name), value: None, is_local: false },
        },
        Statement::Discard { object_type: DiscardObject::ALL } => Command::DiscardAll,
        Statement::Discard { .. } => Command::Nothing("DISCARD"),
        Statement::StartTransaction { .. } => Command::Begin,
        Statement::Commit { .. } => Command::Commit,
        Statement::Rollback { savepoint: None, .. } => Command::Rollback,
        Statement::Rollback { savepoint: Some(_), .. } => Command::RollbackTo,
        Statement::Savepoint { .. } => Command::Savepoint,
        Statement::ReleaseSavepoint { .. } => Command::Release,
        Statement::Declare { mut stmts } => {
            let Some(mut declared) = stmts.pop().filter(|_| stmts.is_empty()) else { return Err(not_supported("DECLARE of several")) };
            let cursor = (declared.names.pop(), declared.for_query.take());
            let (Some(name), Some(query), Some(DeclareType::Cursor)) = (cursor.0, cursor.1, &declared.declare_type) else {
                return Err(not_supported("DECLARE of anything but a cursor"));
            };
            if declared.scroll == Some(true) {
                return Err(not_supported("a cursor that goes back (SCROLL)"));
            }
            let Command::Ask(query) = ask(query)? else { return Err(refused("DECLARE")) };
            let (is_binary, is_held) = (declared.binary == Some(true), declared.hold == Some(true));
            Command::Declare { name: folded(name), query, is_binary, is_held }
        }
        Statement::Fetch { name, direction, position: FetchPosition::From | FetchPosition::In, into: None } => {
            Command::Fetch { cursor: folded(name), count: rows_of(&direction)? }
        }
        Statement::Close { cursor: CloseCursor::All } => Command::CloseCursor(None),
        Statement::Close { cursor: CloseCursor::Specific { name } } => Command::CloseCursor(Some(folded(name))),
        Statement::Deallocate { name, .. } if name.value.eq_ignore_ascii_case("all") => Command::Deallocate(None),
        Statement::Deallocate { name, .. } => Command::Deallocate(Some(folded(name))),
        Statement::UNLISTEN { .. } => Command::Nothing("UNLISTEN"),
        Statement::Copy { source, to: true, target: CopyTarget::Stdout, options, legacy_options, .. } => {
            let query = match source {
                CopySource::Query(query) => query,
                CopySource::Table { table_name, columns } => selection(&table_name, &columns)?,
            };
            let Command::Ask(query) = ask(query)? else { return Err(refused("COPY")) };
            if !legacy_options.is_empty() {
                return Err(not_supported("COPY with options outside parentheses; write WITH (FORMAT csv, HEADER true)"));
            }
            Command::CopyOut { query, format: copy_format(options)? }
        }
        Statement::Copy { .. } => {
            return Err(Wrong::new(code::READ_ONLY, "COPY is refused, but for COPY ... TO STDOUT: this server reads and writes no files"));
        }
        Statement::Prepare { .. } | Statement::Execute { .. } => {
            return Err(not_supported("PREPARE and EXECUTE in SQL; prepare statements by the protocol"));
        }
        other => return Err(refused(&first_word(&other.to_string()))),
    })
}

/// A name as Postgres keeps it: without quotes in small letters.
fn folded(name: Ident) -> String {
    if name.quote_style.is_some() { name.value } else { name.value.to_lowercase() }
}

fn ask(query: Box<Query>) -> Result<Command, Wrong> {
    if only_asks(&query) { Ok(Command::Ask(Box::new(Statement::Query(query)))) } else { Err(refused("a query that changes something")) }
}

/// Whether a query has neither INSERT nor UPDATE nor DELETE in it, nor INTO, nor locks. DataFusion's plan is looked at too.
fn only_asks(query: &Query) -> bool {
    fn body(set: &SetExpr) -> bool {
        match set {
            SetExpr::Select(select) => select.into.is_none(),
            SetExpr::Query(query) => only_asks(query),
            SetExpr::SetOperation { left, right, .. } => body(left) && body(right),
            SetExpr::Values(_) | SetExpr::Table(_) => true,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
        }
    }
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    query.locks.is_empty() && body(&query.body) && with.into_iter().all(|table| only_asks(&table.query))
}

fn rows_of(direction: &FetchDirection) -> Result<usize, Wrong> {
    let number = |limit: &ValueWithSpan| match &limit.value {
        Value::Number(number, _) => number.parse::<usize>().map_err(|_| not_supported("FETCH backwards")),
        _ => Err(not_supported("FETCH of this")),
    };
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(1),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => number(limit),
        FetchDirection::All | FetchDirection::ForwardAll => Ok(usize::MAX),
        _ => Err(not_supported("FETCH other than forwards")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(sql: &str) -> Result<Command, Wrong> {
        let mut commands = parse(sql)?;
        assert_eq!(commands.len(), 1, "{sql}");
        Ok(commands.remove(0))
    }

    #[test]
    fn what_changes_or_reaches_anything_is_refused() {
        for sql in [
            "COPY (SELECT 1) TO '/tmp/x'",
            "COPY (SELECT 1) TO PROGRAM 'sh'",
            "COPY t FROM STDIN",
            "COPY t FROM '/etc/passwd'",
            "CREATE TABLE t (a int)",
            "CREATE VIEW v AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            "CREATE TEMP TABLE t AS SELECT 1",
            "DROP TABLE instance_intervals",
            "INSERT INTO accounts VALUES (1)",
            "UPDATE accounts SET tenant = 'x'",
            "DELETE FROM accounts",
            "TRUNCATE accounts",
            "ALTER TABLE accounts ADD COLUMN a int",
            "GRANT ALL ON accounts TO ann",
            "DO $$ BEGIN END $$",
            "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'",
            "EXPLAIN INSERT INTO accounts VALUES (1)",
            "SELECT 1 INTO t",
            "WITH x AS (INSERT INTO accounts VALUES (1) RETURNING *) SELECT * FROM x",
            "SELECT 1 FOR UPDATE",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION postgres",
            "LOAD 'x'",
            "VACUUM",
            "LISTEN x",
            "PREPARE p AS SELECT 1",
            "DECLARE c SCROLL CURSOR FOR SELECT 1",
            "CALL f()",
        ] {
            assert!(one(sql).is_err(), "{sql} is not refused");
        }
    }

    #[test]
    fn what_only_asks_is_let_through() {
        for sql in ["SELECT 1", "VALUES (1)", "WITH x AS (SELECT 1) SELECT * FROM x", "EXPLAIN SELECT 1", "SHOW TABLES"] {
            assert!(matches!(one(sql), Ok(Command::Ask(_))), "{sql}: {:?}", one(sql));
        }
        assert_eq!(parse(" ; ;").unwrap(), vec![]);
        assert_eq!(parse("BEGIN; SELECT 1; COMMIT").unwrap().len(), 3);
    }

    #[test]
    fn transactions_are_understood() {
        let known = [
            ("BEGIN", Command::Begin),
            ("begin transaction isolation level repeatable read, read only", Command::Begin),
            ("START TRANSACTION READ ONLY", Command::Begin),
            ("COMMIT", Command::Commit),
            ("END", Command::Commit),
            ("ROLLBACK", Command::Rollback),
            ("abort;", Command::Rollback),
            ("SAVEPOINT a", Command::Savepoint),
            ("ROLLBACK TO SAVEPOINT a", Command::RollbackTo),
            ("RELEASE SAVEPOINT a", Command::Release),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Command::Nothing("SET")),
        ];
        for (sql, expected) in known {
            assert_eq!(one(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn cursors_are_read() {
        let Command::Declare { name, is_held, is_binary, .. } = one("DECLARE \"c\" NO SCROLL CURSOR WITH HOLD FOR SELECT 1").unwrap()
        else {
            panic!("not a cursor")
        };
        assert_eq!((name.as_str(), is_held, is_binary), ("c", true, false));
        assert_eq!(one("FETCH FORWARD 10 FROM c").unwrap(), Command::Fetch { cursor: "c".into(), count: 10 });
        assert_eq!(one("FETCH ALL IN c").unwrap(), Command::Fetch { cursor: "c".into(), count: usize::MAX });
        assert_eq!(one("CLOSE ALL").unwrap(), Command::CloseCursor(None));
        assert!(one("FETCH BACKWARD 1 FROM c").is_err());
    }

    #[test]
    fn copy_to_the_client_is_a_query() {
        let Command::CopyOut { format, .. } = one("COPY (SELECT 1) TO STDOUT WITH (FORMAT csv, HEADER true)").unwrap() else {
            panic!("not a copy")
        };
        assert_eq!(format, CopyFormat { is_csv: true, has_header: true, delimiter: ',', null: String::new() });
        assert!(matches!(one("COPY accounts TO STDOUT"), Ok(Command::CopyOut { .. })));
    }
}
