//! The second API, as its clients know it; it only reads.
//!
//! What is told differently than its clients once knew: a day is half-open, and what ends as another begins does not run beside it; every
//! day that has passed has an answer at once, however late its data came, and from before the user was known here. All clouds are AWS.

mod accounts;
mod concurrent;
mod images;
mod instances;
mod peaks;
mod sysconfig;

use warp::http::Method;

use super::endpoint::{Access, Answer, Answering, Dialect, Endpoint, Operation, Parameter};
use super::{Rest, call::Call};

/// Its endpoints.
pub(in crate::rest) fn endpoints() -> Vec<Endpoint> {
    [accounts::endpoints(), instances::endpoints(), images::endpoints(), sysconfig::endpoints(), concurrent::endpoints()].concat()
}

/// The one cloud that there is.
const CLOUD: &str = "aws";

/// An endpoint of this API.
fn endpoint(
    path: &'static str,
    access: Access,
    (id, summary, description): (&'static str, &'static str, &'static str),
    parameters: Vec<Parameter>,
    answers: Vec<Answer>,
    handler: fn(Rest, Call) -> Answering,
) -> Endpoint {
    let operation = Operation { id, tag: "v2", summary, description, parameters, body: None, answers };
    Endpoint { method: Method::GET, path, access, dialect: Dialect::Fields, operation, handler }
}
