//! What is behind a cell of a report.

use jiff::Timestamp;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use cloudigrade_schemas::{TokenScope, UtcSecond};

use super::reports::{parameters, request};
use crate::dimension::Dimension;
use crate::explain::{CellTotals, ExplainRequest, ExplainedImage, ExplainedRun, explain};
use crate::report::{ReportKind, ReportRequest};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{list, moment, nullable, object, text};
use crate::rest::endpoint::{Access, Answer, Dialect, Endpoint, Operation, Parameter, handler};
use crate::runtime::Lane;
use crate::session::Limits;

const DESCRIPTION: &str = "The report's own parameters, and which of its cells: `bucket` says in which bucket of the period, `cell` the \
value of each dimension in `by`, in the same order and with commas; an empty value is null. The seconds of the runs add up to the cell. \
Each run says which events turned it on and off, and in which object and record they were read; each image says what is known of it, and \
how.";

/// Its endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let own = [
        Parameter::query(
            "bucket",
            "A moment in the cell's bucket; the first bucket of the period if absent.",
            moment(),
            "2024-02-01T00:00:00Z",
        ),
        Parameter::query(
            "cell",
            "The cell's values, one for each dimension in `by`.",
            json!({"type": "string", "maxLength": 2000}),
            "123456789012,eu-west-1",
        ),
    ];
    // Rows come in one document here.
    let of_report = parameters().into_iter().filter(|parameter| parameter.name != "format");
    vec![Endpoint {
        method: Method::GET,
        path: "/api/v1/report/usage/explain",
        access: Access::User(TokenScope::Read),
        dialect: Dialect::Problem,
        operation: Operation {
            id: "explainUsage",
            tag: "reports",
            summary: "The runs, events and images behind a cell of a usage report",
            description: DESCRIPTION,
            parameters: of_report.chain(own).collect(),
            body: None,
            answers: vec![
                Answer::json(200, "What is behind it.", schema(), example()),
                Answer::empty(410, "What was known then was deleted since, or the tables were made anew."),
            ],
        },
        handler: handler!(explained),
    }]
}

/// The schema of a type, all in one.
fn schema_of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

fn schema() -> Value {
    object([
        ("start", moment()),
        ("end", moment()),
        ("complete_through", nullable(moment())),
        ("snapshot", text()),
        ("totals", schema_of::<CellTotals>()),
        ("runs", list(schema_of::<ExplainedRun>())),
        ("images", list(schema_of::<ExplainedImage>())),
    ])
}

fn example() -> Value {
    let edge = |kind: &str, index: u32| {
        json!({
            "event_id": "8a2f9b1c-0000-4000-8000-000000000001",
            "kind": kind,
            "source": format!("s3://logs/AWSLogs/123456789012/CloudTrail/eu-west-1/2024/02/01/a.json.gz#{index}"),
        })
    };
    let run = json!({
        "account_id": "123456789012",
        "region": "eu-west-1",
        "instance_id": "i-0123456789abcdef0",
        "image_id": "ami-0123456789abcdef0",
        "instance_type": "m5.large",
        "vcpu": 2,
        "memory_mib": 8192,
        "rhel": true,
        "openshift": null,
        "billing_model": "byos",
        "started_at": "2024-02-01T09:00:00Z",
        "ended_at": "2024-02-01T10:00:00Z",
        "end_not_before": null,
        "start": edge("RunInstances", 7),
        "end": edge("StopInstances", 12),
        "counted": [{"from": "2024-02-01T09:00:00Z", "until": "2024-02-01T10:00:00Z"}],
        "seconds": 3600,
        "vcpu_seconds": 7200,
        "memory_mib_seconds": 29_491_200,
    });
    json!({
        "start": "2024-02-01T00:00:00Z",
        "end": "2024-03-01T00:00:00Z",
        "complete_through": "2024-02-20T12:00:00Z",
        "snapshot": "s1-AAAA",
        "totals": {
            "instances": 1,
            "runtime_seconds": 3600,
            "vcpu_seconds": 7200,
            "memory_mib_seconds": 29_491_200,
            "unsized_seconds": 0,
        },
        "runs": [run],
        "images": [{
            "image_id": "ami-0123456789abcdef0",
            "status": "inspected",
            "status_reason": "its disk was read",
            "rhel": true,
            "openshift": null,
            "billing_model": "byos",
            "evidence": [],
            "overrides": [],
        }],
    })
}

async fn explained(rest: Rest, call: Call) -> Result<Response, Failure> {
    let as_of = call.as_of()?;
    let (tables, now) = rest.tables_as_of(as_of.as_ref()).await?;
    let request = cell(&call, request(&call, ReportKind::Usage, now)?)?;
    let (start, end) = (request.period.start(), request.period.end());
    let limits = Limits::default();
    let work = {
        let limits = limits.clone();
        async move { explain(&tables, &request, &limits).await }
    };
    let told = rest.queries().run(Lane::Reports, &limits, work).await?;
    let body = json!({
        "start": UtcSecond(start),
        "end": UtcSecond(end),
        "complete_through": told.complete_through,
        "snapshot": told.snapshot.to_string(),
        "totals": told.totals,
        "runs": told.runs,
        "images": told.images,
    });
    Ok(answer::json(StatusCode::OK, &body))
}

/// The cell of a report that a request is about.
fn cell(call: &Call, report: ReportRequest) -> Result<ExplainRequest, Failure> {
    let ReportRequest { period, by, viewer, only, .. } = report;
    let bucket = match call.param("bucket").and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(moment) => (0..).map_while(|at| period.bucket(at)).find(|bucket| (bucket.start()..bucket.end()).contains(&moment.as_second())),
        None => period.bucket(0),
    };
    let bucket = bucket.ok_or_else(|| Failure::field("bucket", "the period of the report has no bucket with this moment"))?;
    let values: Vec<&str> = match (call.param("cell"), by.is_empty()) {
        (None, true) => Vec::new(),
        (given, _) => given.unwrap_or_default().split(',').collect(),
    };
    if values.len() != by.len() {
        let message = format!("`cell` has {} values and `by` {} dimensions; give one for each, in the same order", values.len(), by.len());
        return Err(Failure::field("cell", message));
    }
    let given = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let cell: Vec<(Dimension, Option<String>)> = by.into_iter().zip(values.into_iter().map(given)).collect();
    Ok(ExplainRequest { period: bucket, cell, viewer, only })
}
