//! A request, read and within its limits.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use warp::http::{HeaderMap, Method, StatusCode};

use super::answer::Failure;
use super::principal::Principal;
use crate::tables::{AsOf, AsOfError};

/// A request.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its method. `HEAD` is handled as the `GET` that it stands for.
    pub method: Method,
    /// Its path, as it was sent.
    pub path: String,
    /// The parts of the path that are parameters, decoded, by name.
    pub parts: Vec<(&'static str, String)>,
    /// The query string's pairs, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Who makes it. Absent only where anybody may.
    pub principal: Option<Arc<Principal>>,
    /// Where it comes from: what a proxy that is believed says, else the other end of the connection.
    pub from: Option<IpAddr>,
    /// How the client reached the server, `https://reports.example.com`, without a slash at the end.
    pub origin: String,
    /// Names it in answers and log lines.
    pub request_id: String,
}

impl Call {
    /// A part of the path. Empty if the endpoint's path has none of this name.
    pub fn part(&self, name: &str) -> &str {
        self.parts.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The first value of a parameter of the query string.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Where a path of this server is, as the client reaches it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The moment that it asks as of, if it does.
    ///
    /// # Errors
    /// 400 where it is none.
    pub fn as_of(&self) -> Result<Option<AsOf>, Failure> {
        let as_of = |text: &str| text.parse().map_err(|error: AsOfError| Failure::field("as_of", error.to_string()));
        self.param("as_of").map(as_of).transpose()
    }

    /// Who makes it.
    ///
    /// # Errors
    /// 401 where nobody does; endpoints that are not open never see it.
    pub fn principal(&self) -> Result<&Arc<Principal>, Failure> {
        self.principal.as_ref().ok_or_else(Failure::unauthenticated)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 with the place of what is wrong.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::new(StatusCode::BAD_REQUEST, "bad_body", format!("the body is not the JSON that is expected: {error}"))
        })
    }
}
