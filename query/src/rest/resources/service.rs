//! How the server itself is.

use serde_json::{Value, json};
use warp::Reply;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderValue, Method, StatusCode};
use warp::reply::Response;

use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{list, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Dialect, Endpoint, Operation, handler};
use crate::rest::{Rest, openapi};

/// Its endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let open = |path, handler, operation| Endpoint {
        method: Method::GET,
        path,
        access: Access::Open,
        dialect: Dialect::Problem,
        operation,
        handler,
    };
    let operation =
        |id, summary, answers| Operation { id, tag: "service", summary, description: "", parameters: Vec::new(), body: None, answers };
    let problems = || json!([{"code": "queue_unreachable", "detail": "the queue does not answer", "help": "look at its policy"}]);
    let readiness = |status| object([("status", one_of(&[status])), ("problems", list(json!({"type": "object"})))]);
    vec![
        open(
            "/healthz",
            handler!(health),
            operation(
                "getHealth",
                "Whether the process answers",
                vec![Answer::json(200, "It does.", object([("status", one_of(&["ok"]))]), json!({"status": "ok"}))],
            ),
        ),
        open(
            "/readyz",
            handler!(readiness_of),
            operation(
                "getReadiness",
                "Whether it can do its work, and what is in the way",
                vec![
                    Answer::json(200, "It can.", readiness("ready"), json!({"status": "ready", "problems": []})),
                    Answer::json(
                        503,
                        "Somebody must mend something first.",
                        readiness("degraded"),
                        json!({"status": "degraded", "problems": problems()}),
                    ),
                ],
            ),
        ),
        open(
            "/metrics",
            handler!(metrics),
            operation(
                "getMetrics",
                "Counters in Prometheus' format",
                vec![Answer {
                    status: 200,
                    meaning: "The counters.",
                    bodies: vec![("text/plain", text(), json!("cloudigrade_http_requests_total{path=\"/healthz\",status=\"200\"} 1\n"))],
                }],
            ),
        ),
        open(
            "/openapi.json",
            handler!(description),
            operation(
                "getDescription",
                "This description, in OpenAPI 3.1",
                vec![Answer::json(200, "The description.", json!({"type": "object"}), json!({"openapi": "3.1.0"}))],
            ),
        ),
        open(
            "/api/cloudigrade/v2/openapi.json",
            handler!(description_of_v2),
            operation(
                "getDescriptionOfV2",
                "The description of the second API alone",
                vec![Answer::json(200, "The description.", json!({"type": "object"}), json!({"openapi": "3.1.0"}))],
            ),
        ),
    ]
}

async fn health(_: Rest, _: Call) -> Result<Response, Failure> {
    Ok(health_answer())
}

/// What `/healthz` answers.
pub(in crate::rest) fn health_answer() -> Response {
    answer::json(StatusCode::OK, &json!({"status": "ok"}))
}

async fn readiness_of(rest: Rest, _: Call) -> Result<Response, Failure> {
    Ok(readiness_answer(rest.problems()))
}

/// What `/readyz` answers.
pub(in crate::rest) fn readiness_answer(problems: Vec<Value>) -> Response {
    let (status, word) = match problems.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "degraded"),
    };
    answer::json(status, &json!({"status": word, "problems": problems}))
}

async fn metrics(rest: Rest, _: Call) -> Result<Response, Failure> {
    Ok(metrics_answer(rest.metrics()))
}

/// What `/metrics` answers.
pub(in crate::rest) fn metrics_answer(text: String) -> Response {
    let mut response = text.into_response();
    let media_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

async fn description(_: Rest, _: Call) -> Result<Response, Failure> {
    Ok(answer::json(StatusCode::OK, openapi::document()))
}

async fn description_of_v2(_: Rest, _: Call) -> Result<Response, Failure> {
    Ok(answer::json(StatusCode::OK, openapi::document_of_v2()))
}
