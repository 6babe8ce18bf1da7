//! Usage and concurrency, with the numbers of the command line.

use cloudigrade_schemas::image::{BillingModel, Product};
use cloudigrade_schemas::{TokenScope, UtcSecond};
use serde_json::{Map, Value, json};
use warp::http::Method;
use warp::reply::Response;

use crate::dimension::{Dimension, Only};
use crate::error::QueryError;
use crate::period::Period;
use crate::report::{Report, ReportKind, ReportRequest};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::call::Call;
use crate::rest::describe::{boolean, integer, list, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Dialect, Endpoint, Operation, Parameter, handler};
use crate::rest::params::items;
use crate::rest::rows::{self, negotiate};

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        report(
            "/api/v1/report/usage",
            "getUsage",
            "How many instances ran, how long, and how large they were",
            USAGE,
            usage_rows(),
            handler!(usage),
        ),
        report(
            "/api/v1/report/concurrency",
            "getConcurrency",
            "The most instances, virtual CPUs and memory that ran at once",
            CONCURRENCY,
            concurrency_rows(),
            handler!(concurrency),
        ),
    ]
}

const USAGE: &str = "A row for each bucket of the period and each group. Runtime of instances of unknown size is in `unsized_seconds` and \
not in the weighed sums, which are null where no size is known. Rows that may still change are `provisional`.";
const CONCURRENCY: &str = "A row for each bucket of the period and each group: each peak is a maximum of its own, `peak_at` the first \
second of the first. Rows that may still change are `provisional`.";

fn report(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    (row, example): (Value, Value),
    handler: fn(Rest, Call) -> crate::rest::endpoint::Answering,
) -> Endpoint {
    let unknown = object([("instance_type", nullable(text())), ("runtime_seconds", integer())]);
    let schema = object([
        ("report", one_of(&["usage", "concurrency"])),
        ("start", moment()),
        ("end", moment()),
        ("granularity", one_of(&["hour", "day", "month"])),
        ("tz", text()),
        ("complete_through", nullable(moment())),
        ("snapshot", text()),
        ("unknown_types", list(unknown)),
        ("rows", list(row)),
    ]);
    let document = json!({
        "report": if id == "getUsage" { "usage" } else { "concurrency" },
        "start": "2024-02-01T00:00:00Z",
        "end": "2024-03-01T00:00:00Z",
        "granularity": "month",
        "tz": "UTC",
        "complete_through": "2024-02-20T12:00:00Z",
        "snapshot": "s1-AAAA",
        "unknown_types": [{"instance_type": "q9.huge", "runtime_seconds": 3600}],
        "rows": [example],
    });
    Endpoint {
        method: Method::GET,
        path,
        access: Access::User(TokenScope::Read),
        dialect: Dialect::Problem,
        operation: Operation {
            id,
            tag: "reports",
            summary,
            description,
            parameters: parameters(),
            body: None,
            answers: vec![
                rows::answer("The report.", schema, document),
                Answer::empty(410, "What was known then was deleted since, or the tables were made anew."),
            ],
        },
        handler,
    }
}

pub(super) fn parameters() -> Vec<Parameter> {
    let mut parameters = vec![
        Parameter::query("start", "When the period begins, inclusive: a date (midnight in `tz`) or a time.", edge(), "2024-02-01")
            .required(),
        Parameter::query("end", "When the period ends, exclusive: a date or a time.", edge(), "2024-03-01").required(),
        Parameter::query("granularity", "How long a bucket is.", one_of(&["hour", "day", "month"]), "month"),
        Parameter::query(
            "tz",
            "The time zone that days and months are those of, by its IANA name; UTC if absent.",
            text(),
            "Europe/Berlin",
        ),
        Parameter::query("by", "What to group by, with commas.", dimensions(), json!(["account", "region"])),
    ];
    parameters.extend(filters());
    parameters.extend([rows::as_of_parameter(), rows::format_parameter()]);
    parameters
}

fn dimensions() -> Value {
    let mut schema = list(one_of(&Dimension::ALL.map(Dimension::name)));
    schema["uniqueItems"] = json!(true);
    schema
}

/// Where a period begins or ends.
fn edge() -> Value {
    // Without an offset it is a time of the zone's clock.
    let of_the_zone = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?$";
    json!({
        "type": "string",
        "title": "a time; write 2024-02-01 (midnight in the report's time zone) or 2024-02-01T00:00:00Z",
        "anyOf": [{"format": "date"}, {"format": "date-time"}, {"pattern": of_the_zone}],
    })
}

/// What cuts a report, or a list of runs.
pub(super) fn filters() -> [Parameter; 7] {
    let many = || list(text());
    [
        Parameter::query("account", "Only these AWS accounts.", many(), json!(["123456789012"])),
        Parameter::query("region", "Only these regions.", many(), json!(["eu-west-1"])),
        Parameter::query("instance", "Only these instances.", many(), json!(["i-0123456789abcdef0"])),
        Parameter::query("image", "Only these images.", many(), json!(["ami-0123456789abcdef0"])),
        Parameter::query("instance_type", "Only these instance types.", many(), json!(["m5.large"])),
        Parameter::query("product", "Only instances whose image has this product.", one_of(&Product::ALL.map(Product::word)), "rhel"),
        Parameter::query(
            "billing_model",
            "Only instances whose image is billed so.",
            one_of(&BillingModel::ALL.map(BillingModel::word)),
            "byos",
        ),
    ]
}

/// What a request cuts a report to.
pub(super) fn only(call: &Call) -> Only {
    let param = |name| call.param(name);
    let many = |name| param(name).map(|text| items(text).map(str::to_owned).collect::<Vec<_>>());
    Only {
        accounts: many("account"),
        regions: many("region"),
        instances: many("instance"),
        images: many("image"),
        instance_types: many("instance_type"),
        product: param("product").and_then(|word| Product::ALL.into_iter().find(|product| product.word() == word)),
        billing_model: param("billing_model").and_then(|word| BillingModel::ALL.into_iter().find(|model| model.word() == word)),
    }
}

/// The columns of the dimensions, of which a report has those that it is grouped by.
fn groups() -> Map<String, Value> {
    let kind = |dimension| match dimension {
        Dimension::Rhel | Dimension::Openshift => boolean(),
        _ => text(),
    };
    Dimension::ALL.map(|dimension| (dimension.column().to_owned(), nullable(kind(dimension)))).into_iter().collect()
}

/// A row: the groups' columns where there are any, and always these.
fn row<const N: usize>(measures: [(&str, Value); N]) -> Value {
    let always = [("bucket_start", moment()), ("bucket_end", moment()), ("provisional", boolean())];
    let mut properties = groups();
    let mut required = Vec::new();
    for (name, schema) in always.into_iter().chain(measures) {
        required.push(json!(name));
        properties.insert(name.to_owned(), schema);
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn usage_rows() -> (Value, Value) {
    let schema = row([
        ("instances", integer()),
        ("runtime_seconds", integer()),
        ("vcpu_seconds", nullable(integer())),
        ("memory_mib_seconds", nullable(integer())),
        ("unsized_seconds", integer()),
    ]);
    let example = json!({
        "bucket_start": "2024-02-01T00:00:00Z",
        "bucket_end": "2024-03-01T00:00:00Z",
        "account_id": "123456789012",
        "instances": 3,
        "runtime_seconds": 7200,
        "vcpu_seconds": 14400,
        "memory_mib_seconds": 58982400,
        "unsized_seconds": 0,
        "provisional": true,
    });
    (schema, example)
}

fn concurrency_rows() -> (Value, Value) {
    let schema = row([
        ("peak_instances", integer()),
        ("peak_at", nullable(moment())),
        ("peak_vcpu", nullable(integer())),
        ("peak_memory_mib", nullable(integer())),
    ]);
    let example = json!({
        "bucket_start": "2024-02-01T00:00:00Z",
        "bucket_end": "2024-03-01T00:00:00Z",
        "region": "eu-west-1",
        "peak_instances": 3,
        "peak_at": "2024-02-07T10:00:00Z",
        "peak_vcpu": 6,
        "peak_memory_mib": 24576,
        "provisional": true,
    });
    (schema, example)
}

async fn usage(rest: Rest, call: Call) -> Result<Response, Failure> {
    make(&rest, &call, ReportKind::Usage).await
}

async fn concurrency(rest: Rest, call: Call) -> Result<Response, Failure> {
    make(&rest, &call, ReportKind::Concurrency).await
}

async fn make(rest: &Rest, call: &Call, kind: ReportKind) -> Result<Response, Failure> {
    let (format, as_of) = (negotiate(call)?, call.as_of()?);
    let report = rest.make_report_as_of(as_of.as_ref(), |now| request(call, kind, now)).await?;
    let complete_through = report.complete_through.map(|moment| moment.to_string());
    let told = vec![("x-complete-through", complete_through), ("x-snapshot", Some(report.snapshot.to_string()))];
    rows::whole(format, &report.schema, &report.batches, &head(kind, &report), told)
}

/// The report that is asked for, at a moment.
pub(super) fn request(call: &Call, kind: ReportKind, now: UtcSecond) -> Result<ReportRequest, Failure> {
    let param = |name| call.param(name);
    let granularity = param("granularity").unwrap_or("day").parse().map_err(QueryError::Period)?;
    let (start, end) = (param("start").unwrap_or_default(), param("end").unwrap_or_default());
    let period = Period::new(start, end, granularity, param("tz").unwrap_or("UTC"), now).map_err(QueryError::Period)?;
    let by = items(param("by").unwrap_or_default()).map(str::parse::<Dimension>).collect::<Result<_, QueryError>>()?;
    Ok(ReportRequest { kind, period, by, viewer: call.principal()?.viewer(), only: only(call) })
}

/// What is said of a report beside its rows.
fn head(kind: ReportKind, report: &Report) -> Value {
    let unknown = report.unknown_types.iter().map(|t| json!({"instance_type": t.instance_type, "runtime_seconds": t.runtime_seconds}));
    let period = &report.period;
    json!({
        "report": match kind { ReportKind::Usage => "usage", ReportKind::Concurrency => "concurrency" },
        "start": UtcSecond(period.start()),
        "end": UtcSecond(period.end()),
        "granularity": period.granularity().name(),
        "tz": period.zone(),
        "complete_through": report.complete_through,
        "snapshot": report.snapshot.to_string(),
        "unknown_types": unknown.collect::<Vec<_>>(),
    })
}
