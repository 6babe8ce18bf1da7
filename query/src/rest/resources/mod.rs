//! The resources of this program's own: their paths end without a slash, where those of the APIs before it end with one.

mod accounts;
mod explain;
mod images;
mod inspections;
mod letters;
mod listing;
mod page;
mod reports;
mod runs;
pub(super) mod service;
mod tables;
mod tokens;
mod users;

use serde_json::Value;
use warp::http::Method;

use super::Rest;
use super::call::Call;
use super::endpoint::{Access, Answer, Answering, Dialect, Endpoint, Operation, Parameter};

/// Their endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    [
        service::endpoints(),
        reports::endpoints(),
        explain::endpoints(),
        runs::endpoints(),
        tables::endpoints(),
        letters::endpoints(),
        images::endpoints(),
        inspections::endpoints(),
        accounts::endpoints(),
        tokens::endpoints(),
        users::endpoints(),
    ]
    .concat()
}

/// An endpoint of these resources, that takes a body of JSON if any.
fn endpoint(
    tag: &'static str,
    (method, path, access): (Method, &'static str, Access),
    (id, summary, description): (&'static str, &'static str, &'static str),
    parameters: Vec<Parameter>,
    body: Option<(Value, Value)>,
    answers: Vec<Answer>,
    handler: fn(Rest, Call) -> Answering,
) -> Endpoint {
    let body = body.map(|(schema, example)| ("application/json", schema, example));
    let operation = Operation { id, tag, summary, description, parameters, body, answers };
    Endpoint { method, path, access, dialect: Dialect::Problem, operation, handler }
}
