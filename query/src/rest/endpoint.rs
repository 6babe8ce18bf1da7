//! An endpoint: what answers, and all that its description in OpenAPI says. One table of these is both the router and the document, so
//! that neither can say what the other does not.

use std::future::Future;
use std::pin::Pin;

use cloudigrade_schemas::TokenScope;
use serde_json::Value;
use warp::http::Method;
use warp::reply::Response;

use super::Rest;
use super::answer::Failure;
use super::call::Call;

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Who shows a token of at least this scope.
    User(TokenScope),
    /// A superuser with a token of at least this scope; others get 403.
    Superuser(TokenScope),
    /// Who shows a token, or for whom a trusted proxy vouches where that is enabled.
    Identity,
    /// As [`Access::Identity`], also where the proxy vouches for somebody who is not known here: the call has no principal then.
    AnyIdentity,
}

/// How failures are told: what the clients of each generation read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The first API's: `{"detail": ..}`, `{"field": ["message"]}`, `{"non_field_errors": [..]}`.
    Fields,
    /// RFC 9457: `application/problem+json` with `type, title, status, detail, code`.
    Problem,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum In {
    /// A part of the path.
    Path,
    /// In the query string.
    Query,
    /// A header.
    Header,
}

/// A parameter of an endpoint.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where it is.
    pub place: In,
    /// Whether it must be given.
    pub required: bool,
    /// What it means, with its unit.
    pub meaning: &'static str,
    /// Its JSON Schema.
    pub schema: Value,
    /// An example.
    pub example: Value,
}

impl Parameter {
    /// A part of the path.
    pub fn path(name: &'static str, meaning: &'static str, schema: Value, example: impl Into<Value>) -> Self {
        Self { name, place: In::Path, required: true, meaning, schema, example: example.into() }
    }

    /// A parameter of the query string that may be left out.
    pub fn query(name: &'static str, meaning: &'static str, schema: Value, example: impl Into<Value>) -> Self {
        Self { name, place: In::Query, required: false, meaning, schema, example: example.into() }
    }

    /// The same, but it must be given.
    pub fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

impl Answer {
    /// A JSON document.
    pub fn json(status: u16, meaning: &'static str, schema: Value, example: Value) -> Self {
        Self { status, meaning, bodies: vec![("application/json", schema, example)] }
    }

    /// No body.
    pub fn empty(status: u16, meaning: &'static str) -> Self {
        Self { status, meaning, bodies: Vec::new() }
    }

    /// The same answer in another media type too.
    pub fn or(mut self, media_type: &'static str, schema: Value, example: impl Into<Value>) -> Self {
        self.bodies.push((media_type, schema, example.into()));
        self
    }
}

/// An answer of an endpoint.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// When it is given.
    pub meaning: &'static str,
    /// Its bodies: media type, JSON Schema and an example. None: without a body.
    pub bodies: Vec<(&'static str, Value, Value)>,
}

/// What an endpoint does, as its description tells.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its stable name, unique: `listAccounts`.
    pub id: &'static str,
    /// The group that it is in: `reports`, `accounts`, `v1`, `v2`, ...
    pub tag: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// More of it, in CommonMark; may be empty.
    pub description: &'static str,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The body that it takes: media type, JSON Schema and an example.
    pub body: Option<(&'static str, Value, Value)>,
    /// Its answers, beside those that every endpoint gives (401, 403, 404, 405, 413, 429, 500, 503, as they apply).
    pub answers: Vec<Answer>,
}

/// What a handler gives.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, Failure>> + Send>>;

/// An endpoint.
#[derive(Clone)]
pub struct Endpoint {
    /// The method.
    pub method: Method,
    /// Its path; a part in braces is a parameter: `/api/v1/account/{id}/`. A trailing slash is part of it.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// How it tells failures.
    pub dialect: Dialect,
    /// What it does.
    pub operation: Operation,
    /// What answers.
    pub handler: fn(Rest, Call) -> Answering,
}

/// Makes a handler of an async function.
#[macro_export]
#[doc(hidden)]
macro_rules! handler {
    ($function:path) => {
        |rest, call| Box::pin($function(rest, call))
    };
}
pub use handler;
