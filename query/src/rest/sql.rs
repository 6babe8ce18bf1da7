//! Questions in SQL that users write, with an admission of their own: reports never wait for them.

use std::time::Duration;

use arrow::datatypes::Schema;
use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{Expr, Value as SqlValue};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use cloudigrade_schemas::TokenScope;

use super::Rest;
use super::answer::Failure;
use super::ask::Stamp;
use super::call::Call;
use super::describe::{integer_between, list, moment, nullable, object, request, text};
use super::endpoint::{Access, Answer, Dialect, Endpoint, Operation, handler};
use super::rows::{self, negotiate};
use crate::error::QueryError;
use crate::limits::{SQL_PARAMETERS_MAX, USER_SQL_DEADLINE, USER_SQL_ROWS_MAX};
use crate::runtime::Lane;
use crate::session::Limits;
use crate::sql::run_sql_with;

/// Its endpoint.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: Method::POST,
        path: "/api/v1/sql",
        access: Access::User(TokenScope::Read),
        dialect: Dialect::Problem,
        operation: Operation {
            id: "runSql",
            tag: TAG,
            summary: "Answer a question in SQL",
            description: DESCRIPTION,
            parameters: vec![rows::as_of_parameter(), rows::format_parameter()],
            body: Some(("application/json", body_schema(), body_example())),
            answers: vec![
                rows::answer("The rows, as they are computed.", schema(), example()),
                Answer::empty(410, "What was known then was deleted since, or the tables were made anew."),
                Answer::empty(422, "The answer takes more rows, time or memory than it may, or a value cannot be computed."),
            ],
        },
        handler: handler!(run),
    }]
}

/// The group of its endpoints, which take queries as they are too.
pub(super) const TAG: &str = "sql";

/// The media types of a query as it is.
pub(super) const MEDIA_TYPES: [&str; 2] = ["application/sql", "text/plain"];

/// A query as it is, for a description.
pub(super) fn text_body() -> Value {
    json!({"schema": text(), "example": "SELECT count(*) FROM instance_intervals"})
}

/// The body that a query stands for that came as it is.
pub(super) fn body_of_text(body: &[u8]) -> Result<Bytes, Failure> {
    let wrong = |_| Failure::new(StatusCode::BAD_REQUEST, "bad_body", "the query is not UTF-8");
    let query = std::str::from_utf8(body).map_err(wrong)?;
    Ok(json!({"query": query}).to_string().into())
}

const DESCRIPTION: &str = "One SELECT, EXPLAIN, SHOW or DESCRIBE over the tables, of which only the rows of the caller's accounts are there; \
nothing can be changed. `SHOW TABLES` lists them; `usage(start, end, granularity, tz)` and `concurrency(...)` are the reports. `$1`, `$2`, ... \
stand for `parameters`.\n\nThe body is JSON, or the query alone as `application/sql` or `text/plain`.\n\nRows are sent as they are computed. What \
fails before the first of them is told as a failure. What fails later ends the connection before the body is whole, in every format: a body \
that ends well is complete. A client that goes away ends its query.";

#[derive(Deserialize)]
struct Request {
    query: String,
    #[serde(default)]
    parameters: Vec<Value>,
    max_rows: Option<usize>,
    timeout_seconds: Option<u64>,
}

fn body_schema() -> Value {
    let most = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
    let seconds = i64::try_from(USER_SQL_DEADLINE.as_secs()).unwrap_or(i64::MAX);
    let mut parameters = list(json!({"type": ["string", "number", "boolean", "null"]}));
    parameters["maxItems"] = json!(SQL_PARAMETERS_MAX);
    parameters["description"] = json!("The values of $1, $2, ... Moments are texts.");
    let mut rows = integer_between(1, most(USER_SQL_ROWS_MAX));
    rows["description"] = json!("One row more is a failure, never a silent cut.");
    let mut timeout = integer_between(1, seconds);
    timeout["description"] = json!("How long it may take, in seconds, with the time that it waits for its turn.");
    request(&["query"], [("query", text()), ("parameters", parameters), ("max_rows", rows), ("timeout_seconds", timeout)])
}

fn body_example() -> Value {
    let query = "SELECT account_id, sum(runtime_seconds) AS seconds FROM usage($1, $2, 'month', 'UTC') GROUP BY account_id";
    json!({"query": query, "parameters": ["2024-02-01", "2024-03-01"], "max_rows": 1000, "timeout_seconds": 30})
}

fn schema() -> Value {
    object([
        ("complete_through", nullable(moment())),
        ("snapshot", nullable(text())),
        ("columns", list(object([("name", text()), ("type", text())]))),
        ("rows", list(json!({"type": "object"}))),
    ])
}

fn example() -> Value {
    json!({
        "complete_through": "2024-02-20T12:00:00Z",
        "snapshot": "s1-AAAA",
        "columns": [{"name": "account_id", "type": "Utf8View"}, {"name": "seconds", "type": "Int64"}],
        "rows": [{"account_id": "123456789012", "seconds": 7200}],
    })
}

async fn run(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (format, as_of) = (negotiate(&call)?, call.as_of()?);
    let request: Request = call.json()?;
    let parameters = request.parameters.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
    let mut limits = Limits::of_users();
    limits.rows = request.max_rows.unwrap_or(limits.rows).min(limits.rows);
    limits.time = request.timeout_seconds.map_or(limits.time, Duration::from_secs).min(limits.time);

    let viewer = call.principal()?.viewer();
    let (tables, now) = rest.tables_as_of(as_of.as_ref()).await?;
    let own_limits = limits.clone();
    let work = async move { run_sql_with(&tables, &viewer, &request.query, &parameters, now, &own_limits).await };
    let mut rows = rest.queries().rows(Lane::Sql, &limits, work).await.map_err(failure)?;
    let first = rows.next().await.transpose().map_err(failure)?;
    let stamp = Stamp::of(&rows);
    let head = json!({
        "complete_through": stamp.complete_through,
        "snapshot": stamp.snapshot(),
        "columns": columns(&rows.schema()),
    });
    rows::streamed_from(format, first, rows, &head, stamp.told(), ())
}

fn columns(schema: &Schema) -> Value {
    let column = |field: &arrow::datatypes::FieldRef| json!({"name": field.name(), "type": field.data_type().to_string()});
    schema.fields().iter().map(column).collect()
}

/// A parameter as the constant that it stands for.
fn parameter(value: &Value) -> Result<Expr, Failure> {
    let value = match value {
        Value::Null => SqlValue::Null,
        Value::Bool(is) => SqlValue::Boolean(*is),
        Value::Number(number) => SqlValue::Number(number.to_string(), false),
        Value::String(text) => SqlValue::SingleQuotedString(text.clone()),
        Value::Array(_) | Value::Object(_) => {
            return Err(Failure::field("parameters", "a parameter is a text, a number, true, false or null"));
        }
    };
    Ok(Expr::value(value))
}

/// What went wrong, to whoever wrote the query: a value that cannot be computed is their matter, not the server's failure.
fn failure(error: QueryError) -> Failure {
    match error {
        QueryError::Execution { message } => Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", message),
        QueryError::Busy { waiting } => {
            let message = format!("too many queries are running, and {waiting} wait; try again in a few seconds");
            Failure { message, ..Failure::busy() }
        }
        QueryError::Syntax { .. } => Failure::new(StatusCode::BAD_REQUEST, "syntax", error.to_string()),
        QueryError::Refused { .. } => Failure::new(StatusCode::BAD_REQUEST, "refused", error.to_string()),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_constants_and_nothing_else() {
        let written = |value: Value| parameter(&value).map(|expr| expr.to_string());
        assert_eq!(written(json!("it's")).unwrap(), "'it''s'");
        assert_eq!(written(json!(-5)).unwrap(), "-5");
        assert_eq!(written(json!(1.5)).unwrap(), "1.5");
        assert_eq!(written(json!(true)).unwrap(), "true");
        assert_eq!(written(json!(null)).unwrap(), "NULL");
        assert!(written(json!([1])).is_err() && written(json!({})).is_err());
    }

    #[test]
    fn what_a_query_does_wrong_is_not_the_servers_failure() {
        let status = |error| failure(error).status.as_u16();
        assert_eq!(status(QueryError::Execution { message: "Divide by zero error".into() }), 422);
        assert_eq!(status(QueryError::Refused { statement: "COPY".into() }), 400);
        assert_eq!(status(QueryError::Busy { waiting: 16 }), 503);
        assert_eq!(status(QueryError::Storage { message: "a path".into() }), 500);
    }
}
