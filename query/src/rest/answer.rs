//! What is answered: documents, and failures without internals.

use serde_json::{Map, Value, json};
use warp::Reply;
use warp::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::backend::Refused;
use super::endpoint::Dialect;
use crate::error::QueryError;
use crate::tables::AsOfError;

/// The media type of a failure in the dialect of RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The field of the first API's failures that are no field's.
pub const NON_FIELD_ERRORS: &str = "non_field_errors";

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
    /// Further headers, such as the methods that a resource has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// A failure with a stable code.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: Vec::new(), retry_after: None, headers: Vec::new() }
    }

    /// 400: a field is at fault.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { fields: vec![(field, vec![message.clone()])], ..Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message) }
    }

    /// 401: nobody has proved who they are.
    pub fn unauthenticated() -> Self {
        Self::unauthenticated_as("Authentication credentials were not provided.")
    }

    /// 401, in other words.
    pub fn unauthenticated_as(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// 403: they may not.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "You do not have permission to perform this action.")
    }

    /// 404: it is not there, or not theirs; which of both is not said.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found.")
    }

    /// 409: it contradicts what is there.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 500: the server failed; its log says why, the answer does not.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
    }

    /// 503: too many requests at once.
    pub fn busy() -> Self {
        let message = "too many reports are being made; try again in a few seconds";
        Self { retry_after: Some(5), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message) }
    }

    /// Why something new was not made, for the new resources: what contradicts what is there is a conflict, not a fault of the request.
    pub fn of_new(refused: Refused) -> Self {
        let contradicts = matches!(&refused, Refused::Invalid { code, .. } if code.starts_with("duplicate"));
        let failure = Self::from(refused);
        if contradicts { Self { status: StatusCode::CONFLICT, code: "duplicate", ..failure } } else { failure }
    }

    /// The answer that tells it.
    pub fn render(self, dialect: Dialect, request_id: &str) -> Response {
        let (body, media_type) = match dialect {
            Dialect::Fields => (self.old_body(), "application/json"),
            Dialect::Problem => (self.problem(request_id), PROBLEM_JSON),
        };
        let mut response = warp::reply::with_status(body.to_string(), self.status).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = match dialect {
                Dialect::Fields => "Token",
                Dialect::Problem => "Bearer",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        headers.extend(self.headers);
        response
    }

    fn old_body(&self) -> Value {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            return json!({"detail": "A server error occurred."});
        }
        if self.fields.is_empty() {
            return json!({"detail": self.message});
        }
        self.field_messages()
    }

    fn problem(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or_default(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.message,
            "request_id": request_id,
        });
        if !self.fields.is_empty() {
            body["errors"] = self.field_messages();
        }
        body
    }

    fn field_messages(&self) -> Value {
        let mut fields: Map<String, Value> = Map::new();
        for (field, messages) in &self.fields {
            let of_field = fields.entry(*field).or_insert_with(|| json!([]));
            if let Some(of_field) = of_field.as_array_mut() {
                of_field.extend(messages.iter().map(|message| json!(message)));
            }
        }
        Value::Object(fields)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let (status, code) = match &error {
            QueryError::Limit(_) => (StatusCode::UNPROCESSABLE_ENTITY, "limit"),
            QueryError::AsOf(AsOfError::Gone { .. } | AsOfError::OtherTables) => (StatusCode::GONE, "gone"),
            QueryError::Busy { .. } => return Self::busy(),
            QueryError::Storage { .. } | QueryError::Output(_) | QueryError::Execution { .. } => {
                tracing::error!(%error, "a question failed");
                return Self::internal();
            }
            _ => (StatusCode::BAD_REQUEST, "bad_parameter"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Credentials => Self::new(StatusCode::UNAUTHORIZED, "credentials", message),
            Refused::TooManyAttempts { seconds } => {
                Self { retry_after: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message) }
            }
            Refused::NotFound { .. } => Self::not_found(),
            Refused::Invalid { field, details, .. } => {
                let messages = std::iter::once(message.clone()).chain(details).collect();
                let fields = vec![(field.unwrap_or(NON_FIELD_ERRORS), messages)];
                Self { fields, ..Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message) }
            }
            Refused::Unsupported { .. } => Self::conflict("unsupported", message),
            Refused::StillWorking { .. } => Self::new(StatusCode::ACCEPTED, "still_working", message),
            Refused::Failed => Self::internal(),
        }
    }
}

/// A JSON document.
pub fn json(status: StatusCode, body: &Value) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

/// Nothing, which is all that there is to say.
pub fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
