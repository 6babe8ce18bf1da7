//! Settling what could not be used.

use cloudigrade_schemas::TokenScope;
use serde::Deserialize;
use serde_json::json;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::limits::LETTERS_SETTLED_MAX;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{integer, object, one_of, request};
use crate::rest::endpoint::{Access, Answer, Dialect, Endpoint, Operation, handler};

/// Its endpoint.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let id = json!({"type": "string", "minLength": 4, "maxLength": 128, "pattern": "^[0-9a-f]+$"});
    let ids = json!({"type": "array", "items": id, "minItems": 1, "maxItems": LETTERS_SETTLED_MAX});
    let body = request(&["ids", "action"], [("ids", ids), ("action", one_of(&["replay", "drop"]))]);
    vec![Endpoint {
        method: Method::POST,
        path: "/api/v1/dead-letters/settle",
        access: Access::Superuser(TokenScope::Write),
        dialect: Dialect::Problem,
        operation: Operation {
            id: "settleDeadLetters",
            tag: "tables",
            summary: "Replay or drop dead letters",
            description: "Those that fail again stay open.",
            parameters: Vec::new(),
            body: Some(("application/json", body, json!({"ids": ["0123456789abcdef"], "action": "replay"}))),
            answers: vec![
                Answer::json(
                    200,
                    "How many were resolved, and how many stay open.",
                    object([("resolved", integer()), ("open", integer())]),
                    json!({"resolved": 1, "open": 0}),
                ),
                Answer::empty(202, "It takes longer, and is carried on with."),
                Answer::empty(404, "There is no open dead letter of these ids."),
            ],
        },
        handler: handler!(settle),
    }]
}

#[derive(Deserialize)]
struct Settling {
    ids: Vec<String>,
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Replay,
    Drop,
}

async fn settle(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Settling { ids, action } = call.json()?;
    let (resolved, open) = rest.backend()?.settle_letters(ids, action == Action::Replay, &call.principal()?.name).await?;
    if resolved + open == 0 {
        return Err(Failure::not_found());
    }
    Ok(answer::json(StatusCode::OK, &json!({"resolved": resolved, "open": open})))
}
