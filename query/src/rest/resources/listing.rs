//! Lists of rows of the tables: a page in JSON, or all of them as a stream in the other formats.

use std::fmt::Write as _;

use cloudigrade_schemas::table::Table;
use serde_json::{Value, json};
use warp::http::Method;
use warp::reply::Response;

use cloudigrade_schemas::TokenScope;

use super::page::next;
use crate::format::Format;
use crate::limits::{PAGE_ROWS, PAGE_ROWS_MAX};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::ask::Stamp;
use crate::rest::call::Call;
use crate::rest::describe::{self, image_statuses, integer, integer_between, list, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Answering, Dialect, Endpoint, Operation, Parameter};
use crate::rest::params::items;
use crate::rest::rows::{self, negotiate};

/// A list of rows of one table.
pub(super) struct Listing {
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) access: Access,
    /// The table, and what it is called in SQL.
    pub(super) table: Table,
    pub(super) from: &'static str,
    /// The columns that are shown.
    pub(super) columns: &'static [&'static str],
    /// In which order: the same rows are always in the same one.
    pub(super) order: &'static str,
    /// Parameters that cut the list.
    pub(super) filters: Vec<Filter>,
}

/// What cuts a list.
pub(super) struct Filter {
    pub(super) parameter: Parameter,
    pub(super) by: By,
}

/// How a parameter cuts a list.
pub(super) enum By {
    /// The column is among the values, which are written with commas.
    Column(&'static str),
    /// One condition if it is true, another if it is false; the third if it is not given.
    Flag(&'static str, &'static str, &'static str),
}

impl Filter {
    /// The column is among the values that are given.
    pub(super) fn column(name: &'static str, column: &'static str, meaning: &'static str, example: &str) -> Self {
        Self { parameter: Parameter::query(name, meaning, list(text()), json!([example])), by: By::Column(column) }
    }

    /// Images are of a status.
    pub(super) fn image_status(example: &str) -> Self {
        let parameter = Parameter::query("status", "Only images of this status.", one_of(&image_statuses()), example);
        Self { parameter, by: By::Column("status") }
    }
}

impl Listing {
    /// The endpoint of the list.
    pub(super) fn endpoint(self, handler: fn(Rest, Call) -> Answering) -> Endpoint {
        let (row, example) = describe::row(&self.table, self.columns);
        let document = object([
            ("complete_through", nullable(moment())),
            ("snapshot", nullable(text())),
            ("limit", integer()),
            ("offset", integer()),
            ("next", nullable(text())),
            ("rows", list(row)),
        ]);
        let example = json!({
            "complete_through": "2024-02-20T12:00:00Z",
            "snapshot": "s1-AAAA",
            "limit": 100,
            "offset": 0,
            "next": null,
            "rows": [example],
        });
        Endpoint {
            method: Method::GET,
            path: self.path,
            access: self.access,
            dialect: Dialect::Problem,
            operation: Operation {
                id: self.id,
                tag: self.tag,
                summary: self.summary,
                description: self.description,
                parameters: self.filters.into_iter().map(|filter| filter.parameter).chain(paging()).collect(),
                body: None,
                answers: vec![
                    rows::answer("The rows.", document, example),
                    Answer::empty(410, "What was known then was deleted since, or the tables were made anew."),
                ],
            },
            handler,
        }
    }

    /// The rows that a request asks for.
    pub(super) async fn answer(self, rest: &Rest, call: &Call) -> Result<Response, Failure> {
        let viewer = call.principal()?.viewer();
        let format = negotiate(call)?;
        let number = |name: &str| call.param(name).and_then(|text| text.parse::<usize>().ok());
        let offset = number("offset").unwrap_or(0);
        let (sql, as_of) = (self.sql(call), call.as_of()?);
        if format != Format::Json {
            // All that there is, unless a part is asked for.
            let limit = number("limit").map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
            let asked = rest.export(&viewer, &format!("{sql}{limit} OFFSET {offset}"), as_of.as_ref()).await?;
            let told = Stamp::of(&asked.rows).told();
            return rows::streamed(format, asked.rows, &Value::Null, told, asked.kept).await;
        }
        let limit = number("limit").unwrap_or(PAGE_ROWS);
        // One more tells whether there are more.
        let asked = rest.ask(&viewer, &format!("{sql} LIMIT {} OFFSET {offset}", limit + 1), as_of.as_ref()).await?;
        let (page, more) = rows::first(&asked.batches, limit);
        let snapshot = asked.stamp.snapshot();
        let head = json!({
            "complete_through": asked.stamp.complete_through,
            "snapshot": snapshot,
            "limit": limit,
            "offset": offset,
            // As of the same snapshot, so that no row is on two pages or on none.
            "next": more.then(|| next(call, ("offset", &(offset + limit).to_string()), snapshot.as_deref())),
        });
        rows::whole(format, &asked.schema, &page, &head, Vec::new())
    }

    fn sql(&self, call: &Call) -> String {
        let mut conditions: Vec<String> = Vec::new();
        for filter in &self.filters {
            let given = call.param(filter.parameter.name);
            conditions.push(match (&filter.by, given) {
                (By::Column(column), Some(values)) => {
                    let values: Vec<String> = items(values).map(quoted).collect();
                    if values.is_empty() { "false".to_owned() } else { format!("{column} IN ({})", values.join(", ")) }
                }
                (By::Flag(yes, _, _), Some("true")) => (*yes).to_owned(),
                (By::Flag(_, no, _), Some(_)) => (*no).to_owned(),
                (By::Flag(_, _, absent), None) => (*absent).to_owned(),
                (_, None) => continue,
            });
        }
        let mut sql = format!("SELECT {} FROM {}", self.columns.join(", "), self.from);
        for (at, condition) in conditions.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(sql, " {} ({condition})", if at == 0 { "WHERE" } else { "AND" });
        }
        format!("{sql} ORDER BY {}", self.order)
    }
}

/// How far a list is shown.
fn paging() -> Vec<Parameter> {
    let most = i64::try_from(PAGE_ROWS_MAX).unwrap_or(i64::MAX);
    vec![
        Parameter::query(
            "limit",
            "How many rows at most; 100 in JSON if absent, all in the other formats.",
            integer_between(1, most),
            json!(100),
        ),
        Parameter::query("offset", "How many rows to leave out before the first.", integer_between(0, i64::from(i32::MAX)), json!(0)),
        rows::as_of_parameter(),
        rows::format_parameter(),
    ]
}

/// A text as SQL writes it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What a list of the tables asks for, at least.
pub(super) const READ: Access = Access::User(TokenScope::Read);
