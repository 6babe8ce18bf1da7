//! What the operator decides about the server.

use std::net::IpAddr;
use std::time::Duration;

use crate::limits::{
    HTTP_ANSWER_WITHIN, HTTP_BODY_BYTES_MAX, HTTP_BODY_WITHIN, HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEAD_WITHIN, HTTP_STALL_MAX,
};

/// What the operator decides about the server. The default trusts nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestOptions {
    /// Whether `X-RH-IDENTITY` says who asks, where one of `proxies` hands a request on. It must take the header off what comes from
    /// outside.
    pub identity: bool,
    /// Whether whoever reaches the address may read everything without a token. It changes nothing for those that show one.
    pub open: bool,
    /// The origins whose pages may read answers, `https://reports.example.com`; none by default.
    pub cors: Vec<String>,
    /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub proxies: Vec<IpAddr>,
    /// What requests may take.
    pub limits: RequestLimits,
}

/// What requests may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Bytes of a request's first line and headers.
    pub head_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long a request's head may take, and how long a connection may be idle.
    pub head_within: Duration,
    /// How long a request's body may take.
    pub body_within: Duration,
    /// How long an answer may take to begin.
    pub answer_within: Duration,
    /// How long a client may take nothing of its answer.
    pub stall: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            connections: HTTP_CONNECTIONS_MAX,
            head_bytes: HTTP_HEAD_BYTES_MAX,
            body_bytes: HTTP_BODY_BYTES_MAX,
            head_within: HTTP_HEAD_WITHIN,
            body_within: HTTP_BODY_WITHIN,
            answer_within: HTTP_ANSWER_WITHIN,
            stall: HTTP_STALL_MAX,
        }
    }
}
