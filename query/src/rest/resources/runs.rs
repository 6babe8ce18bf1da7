//! Runs of instances, with what their images count as: a page in JSON, or all of them as a stream in the other formats.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloudigrade_schemas::table::INSTANCE_INTERVALS;
use cloudigrade_schemas::{TokenScope, UtcSecond};
use serde_json::{Value, json};
use warp::http::Method;
use warp::reply::Response;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::page::next;
use super::reports::{filters, only};
use crate::format::Format;
use crate::limits::{PAGE_ROWS, PAGE_ROWS_MAX, QUERY_ROWS_MAX};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::ask::{Asked, Stamp};
use crate::rest::call::Call;
use crate::rest::describe::{self, boolean, integer, integer_between, list, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Dialect, Endpoint, Operation, Parameter, handler};
use crate::rest::rows::{self, negotiate};
use crate::runs::{RunPosition, RunsRequest, list_runs};
use crate::runtime::Lane;
use crate::session::Limits;
use cloudigrade_schemas::image::BillingModel;

/// Its endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        method: Method::GET,
        path: "/api/v1/runs",
        access: Access::User(TokenScope::Read),
        dialect: Dialect::Problem,
        operation: Operation {
            id: "listRuns",
            tag: "tables",
            summary: "When instances ran",
            description: "A row a run: the half-open time in which an instance was on, with one type, the events that begin and end it, and \
                          what its image counts as.",
            parameters: parameters(),
            body: None,
            answers: vec![
                rows::answer("The runs.", schema(), example()),
                Answer::empty(410, "What was known then was deleted since, or the tables were made anew."),
            ],
        },
        handler: handler!(runs),
    }]
}

fn parameters() -> Vec<Parameter> {
    let most = i64::try_from(PAGE_ROWS_MAX).unwrap_or(i64::MAX);
    let mut parameters = vec![
        Parameter::query("from", "Only runs that end after this, or not at all.", moment(), "2024-02-01T00:00:00Z"),
        Parameter::query("until", "Only runs that start before this.", moment(), "2024-03-01T00:00:00Z"),
    ];
    parameters.extend(filters());
    parameters.extend([
        Parameter::query(
            "limit",
            "How many rows at most; 100 in JSON if absent, all in the other formats.",
            integer_between(1, most),
            json!(100),
        ),
        Parameter::query(
            "after",
            "Where the page before ended: from its `next`.",
            json!({"type": "string", "maxLength": 400}),
            cursor(&example_position()),
        ),
        rows::as_of_parameter(),
        rows::format_parameter(),
    ]);
    parameters
}

fn example_position() -> RunPosition {
    RunPosition {
        account_id: "123456789012".to_owned(),
        region: "eu-west-1".to_owned(),
        instance_id: "i-0123456789abcdef0".to_owned(),
        started_at: UtcSecond(1_706_778_000),
    }
}

fn schema() -> Value {
    let columns: Vec<&str> = INSTANCE_INTERVALS.columns.iter().map(|column| column.name).collect();
    let (mut row, _) = describe::row(&INSTANCE_INTERVALS, &columns);
    let labels = [
        ("rhel", nullable(boolean())),
        ("openshift", nullable(boolean())),
        ("billing_model", one_of(&BillingModel::ALL.map(BillingModel::word))),
    ];
    for (name, of) in labels {
        row["properties"][name] = of;
        if let Some(required) = row["required"].as_array_mut() {
            required.push(json!(name));
        }
    }
    object([
        ("complete_through", nullable(moment())),
        ("snapshot", nullable(text())),
        ("limit", integer()),
        ("next", nullable(text())),
        ("rows", list(row)),
    ])
}

fn example() -> Value {
    let columns: Vec<&str> = INSTANCE_INTERVALS.columns.iter().map(|column| column.name).collect();
    let (_, mut row) = describe::row(&INSTANCE_INTERVALS, &columns);
    row["rhel"] = json!(true);
    row["openshift"] = json!(null);
    row["billing_model"] = json!("byos");
    json!({"complete_through": "2024-02-20T12:00:00Z", "snapshot": "s1-AAAA", "limit": 100, "next": null, "rows": [row]})
}

/// A place in the list, as a text that clients hand back.
fn cursor(position: &RunPosition) -> String {
    let RunPosition { account_id, region, instance_id, started_at } = position;
    URL_SAFE_NO_PAD.encode(json!([account_id, region, instance_id, started_at.0]).to_string())
}

fn position(cursor: &str) -> Option<RunPosition> {
    let (account_id, region, instance_id, started_at): (String, String, String, i64) =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    Some(RunPosition { account_id, region, instance_id, started_at: UtcSecond(started_at) })
}

/// The place of the last of some rows.
fn last(batch: &RecordBatch) -> Option<RunPosition> {
    let at = batch.num_rows().checked_sub(1)?;
    let text = |name| Some(batch.column_by_name(name)?.as_string_view_opt()?.value(at).to_owned());
    let started = batch.column_by_name("started_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
    Some(RunPosition {
        account_id: text("account_id")?,
        region: text("region")?,
        instance_id: text("instance_id")?,
        started_at: UtcSecond(started.value(at).div_euclid(1_000_000)),
    })
}

async fn runs(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (format, as_of) = (negotiate(&call)?, call.as_of()?);
    let after = call.param("after");
    let wrong = || Failure::field("after", "it is not from the `next` of a page");
    let after = after.map(|text| position(text).ok_or_else(wrong)).transpose()?;
    let moment = |name| call.param(name).and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(|at| UtcSecond(at.as_second()));
    let limit = call.param("limit").and_then(|text| text.parse::<usize>().ok());
    let (tables, now) = rest.tables_as_of(as_of.as_ref()).await?;
    let page = limit.unwrap_or(PAGE_ROWS);
    let request = RunsRequest {
        from: moment("from"),
        until: moment("until"),
        only: only(&call),
        viewer: call.principal()?.viewer(),
        after,
        // One more tells whether there are more.
        count: if format == Format::Json { page + 1 } else { limit.unwrap_or(QUERY_ROWS_MAX) },
        now,
    };
    let limits = Limits::default();
    let own_limits = limits.clone();
    let work = async move { list_runs(&tables, &request, &own_limits).await };
    if format != Format::Json {
        let kept = rest.export_turn()?;
        let rows = rest.queries().rows(Lane::Reports, &limits, work).await?;
        let told = Stamp::of(&rows).told();
        return rows::streamed(format, rows, &Value::Null, told, kept).await;
    }
    let asked = Asked::all(rest.queries().rows(Lane::Reports, &limits, work).await?).await?;
    let (shown, more) = rows::first(&asked.batches, page);
    let snapshot = asked.stamp.snapshot();
    let after = shown.iter().rev().find_map(last).filter(|_| more);
    let head = json!({
        "complete_through": asked.stamp.complete_through,
        "snapshot": snapshot,
        "limit": page,
        "next": after.map(|position| next(&call, ("after", &cursor(&position)), snapshot.as_deref())),
    });
    rows::whole(format, &asked.schema, &shown, &head, Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        assert_eq!(position(&cursor(&example_position())), Some(example_position()));
        for wrong in ["", "x", "W10", "bnVsbA"] {
            assert_eq!(position(wrong), None, "{wrong}");
        }
    }
}
