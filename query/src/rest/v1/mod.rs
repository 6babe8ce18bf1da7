//! The first API, as its clients know it. What it reports comes from the same calculation as all other reports.
//!
//! What is told differently than its clients once knew: days begin at midnight in UTC; nothing runs for less than no time; the size of an
//! instance is that of its type while it ran; what is not known is null, not zero or false; and nothing tells whether an AWS account is
//! registered by somebody else.

mod account;
mod account_refusals;
mod auth;
mod event;
pub(in crate::rest) mod image;
pub(in crate::rest) mod inputs;
pub(in crate::rest) mod instance;
pub(in crate::rest) mod paging;
pub(in crate::rest) mod registered;
mod report;
pub(in crate::rest) mod rows;
mod scope;
pub(in crate::rest) mod seen_image;
pub(in crate::rest) mod sysconfig;
mod user;

use cloudigrade_schemas::TokenScope;
use serde_json::{Value, json};
use warp::http::Method;

use super::answer::Failure;
use super::describe::request;
use super::endpoint::{Access, Answer, Answering, Dialect, Endpoint, Operation, Parameter};
use super::{Rest, call::Call};

/// Its endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    [
        auth::endpoints(),
        account::endpoints(),
        instance::endpoints(),
        event::endpoints(),
        image::endpoints(),
        sysconfig::endpoints(),
        user::endpoints(),
        report::endpoints(),
    ]
    .concat()
}

/// What a token must allow, at least, to read and to change something.
const READ: Access = Access::User(TokenScope::Read);
const WRITE: Access = Access::User(TokenScope::Write);

/// An endpoint of this API that takes no body.
fn endpoint(
    (method, path, access): (Method, &'static str, Access),
    (id, summary, description): (&'static str, &'static str, &'static str),
    parameters: Vec<Parameter>,
    answers: Vec<Answer>,
    handler: fn(Rest, Call) -> Answering,
) -> Endpoint {
    let operation = Operation { id, tag: "v1", summary, description, parameters, body: None, answers };
    Endpoint { method, path, access, dialect: Dialect::Fields, operation, handler }
}

/// The same with a body of JSON: its schema and an example.
fn taking((schema, example): (Value, Value), mut endpoint: Endpoint) -> Endpoint {
    endpoint.operation.body = Some(("application/json", schema, example));
    endpoint
}

/// How a body looks. Fields that it has beside these do not matter: clients send back what they were shown.
fn body_of<const N: usize>(required: &[&str], fields: [(&str, Value); N]) -> Value {
    let mut schema = request(required, fields);
    schema["additionalProperties"] = json!(true);
    schema
}

/// The largest id: what a number of JavaScript holds exactly.
pub(in crate::rest) const ID_MAX: i64 = (1 << 53) - 1;

/// The schema of an id.
pub(in crate::rest) fn id() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": ID_MAX})
}

/// An id in a path.
pub(in crate::rest) fn id_in_path(meaning: &'static str) -> Parameter {
    Parameter::path("id", meaning, id(), 4_503_599_627_370_497_i64)
}

/// The id in a path; what is none is the id of nothing.
pub(in crate::rest) fn id_of(call: &Call) -> Result<i64, Failure> {
    call.part("id").parse().ok().filter(|id| *id > 0).ok_or_else(Failure::not_found)
}
