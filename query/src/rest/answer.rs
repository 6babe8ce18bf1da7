//! What is answered: reports, and failures without internals.

use serde_json::{Value, json};
use warp::Reply;
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use crate::error::QueryError;
use crate::format::{Format, RowWriter};
use crate::report::{Report, ReportKind};

/// A request that was not answered.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its status.
    pub status: StatusCode,
    /// A stable word.
    pub code: &'static str,
    /// What is wrong and what to do.
    pub message: String,
    /// The fields that are at fault, each with its messages; `non_field_errors` for what is no field's.
    pub fields: Vec<(&'static str, Vec<String>)>,
    /// When to come again, in seconds.
    pub retry_after: Option<u64>,
}

impl Failure {
    /// A failure with a stable code.
    pub fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message, fields: Vec::new(), retry_after: None }
    }

    /// 400: a field is at fault.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { fields: vec![(field, vec![message.clone()])], ..Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message) }
    }

    /// 401: nobody has proved who they are.
    pub fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Authentication credentials were not provided.".to_owned())
    }

    /// 403: they may not.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "You do not have permission to perform this action.".to_owned())
    }

    /// 404: it is not there, or not theirs; which of both is not said.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found.".to_owned())
    }

    /// Too many requests at once.
    pub fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many reports are being made; try again in a few seconds".to_owned())
    }

    /// The answer that tells it.
    pub fn into_response(self) -> Response {
        let mut response = json(self.status, &json!({"error": {"code": self.code, "message": self.message}}));
        let header = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => Some(("retry-after", "5")),
            StatusCode::METHOD_NOT_ALLOWED => Some(("allow", "GET")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let (status, code) = match &error {
            QueryError::Limit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit"),
            QueryError::Storage { .. } | QueryError::Output(_) | QueryError::Execution { .. } => {
                tracing::error!(%error, "a report failed");
                let message = "the report could not be made; the server's log says why".to_owned();
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
            }
            _ => (StatusCode::BAD_REQUEST, "bad_parameter"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// A JSON document.
pub fn json(status: StatusCode, body: &Value) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// A report: in JSON with what a reader must know beside the rows, in CSV with it in headers.
pub fn report(kind: ReportKind, report: &Report, format: Format) -> Result<Response, QueryError> {
    let mut writer = RowWriter::new(format, &report.schema, Vec::new())?;
    report.batches.iter().try_for_each(|batch| writer.write(batch))?;
    let rows = writer.finish()?;
    let complete_through = report.complete_through.map(|moment| moment.to_string());
    if format == Format::Csv {
        let response = warp::reply::with_header(rows, "content-type", format.media_type());
        return Ok(warp::reply::with_header(response, "x-complete-through", complete_through.unwrap_or_default()).into_response());
    }
    let unknown = report.unknown_types.iter().map(|t| json!({"instance_type": t.instance_type, "runtime_seconds": t.runtime_seconds}));
    let period = &report.period;
    let head = json!({
        "report": match kind { ReportKind::Usage => "usage", ReportKind::Concurrency => "concurrency" },
        "start": cloudigrade_schemas::UtcSecond(period.start()).to_string(),
        "end": cloudigrade_schemas::UtcSecond(period.end()).to_string(),
        "granularity": period.granularity().name(),
        "tz": period.zone(),
        "complete_through": complete_through,
        "unknown_types": unknown.collect::<Vec<_>>(),
    });
    // The rows are JSON already; they become the document's last field.
    let mut body = head.to_string().into_bytes();
    body.pop();
    body.extend_from_slice(b",\"rows\":");
    body.extend_from_slice(rows.trim_ascii_end());
    body.push(b'}');
    Ok(warp::reply::with_header(body, "content-type", format.media_type()).into_response())
}
