//! Requests, counted and logged. Neither tells what was in a query string, a header or a body.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use warp::http::{Method, StatusCode};

/// Characters of a path in the log, at most.
const PATH_CHARS_MAX: usize = 200;

/// A request that is being answered.
pub(super) struct Observed {
    pub(super) method: Method,
    pub(super) path: String,
    /// The path of its endpoint; none where it is for nothing that there is.
    pub(super) pattern: Option<&'static str>,
    pub(super) from: Option<IpAddr>,
    pub(super) user: Option<Arc<str>>,
    pub(super) request_id: String,
    pub(super) started: Instant,
}

impl Observed {
    /// Counts and logs it. Labels are bounded: a path that is no resource is counted as `other`.
    pub(super) fn answered(self, status: StatusCode) {
        let label = self.pattern.unwrap_or("other");
        let elapsed = self.started.elapsed();
        metrics::counter!("cloudigrade_http_requests_total", "path" => label, "status" => status.as_u16().to_string()).increment(1);
        metrics::histogram!("cloudigrade_http_request_seconds", "path" => label).record(elapsed.as_secs_f64());
        let path: String = self.path.chars().take(PATH_CHARS_MAX).flat_map(char::escape_default).collect();
        tracing::info!(
            target: "cloudigrade::access",
            request_id = self.request_id,
            method = self.method.as_str().chars().take(20).collect::<String>(),
            path,
            status = status.as_u16(),
            elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            user = self.user.as_deref(),
            from = self.from.map(tracing::field::display),
            "request"
        );
    }
}
