//! How a process is, over HTTP, where it answers nothing else.

use std::sync::Arc;

use serde_json::json;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reply::Response;

use super::resources::service::{health_answer, metrics_answer, readiness_answer};
use super::{Problems, answer};

/// What tells how the process is.
#[derive(Clone)]
pub struct Watched {
    /// The text of `/metrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What `/readyz` says.
    pub problems: Problems,
}

/// Answers as the server does, and that there is nothing else.
pub(super) fn watch_routes(watched: Watched) -> BoxedFilter<(Response,)> {
    let Watched { metrics, problems } = watched;
    let health = warp::path!("healthz").map(health_answer);
    let readiness = warp::path!("readyz").map(move || readiness_answer(problems()));
    let metrics = warp::path!("metrics").map(move || metrics_answer(metrics()));
    let nothing = warp::any().map(|| {
        let detail = "this process has no role that answers reports: ask one with the role api";
        answer::json(
            StatusCode::NOT_FOUND,
            &json!({"type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found", "detail": detail}),
        )
    });
    health.or(readiness).unify().or(metrics).unify().or(nothing).unify().boxed()
}
