//! Tokens of whoever asks, and who that is.

use cloudigrade_schemas::user::USER_CHARS_MAX;
use cloudigrade_schemas::{Token, TokenScope};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::page::{Page, page_of};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{boolean, moment, nullable, object, one_of, request, text};
use crate::rest::endpoint::{Access, Answer, Dialect, Endpoint, Operation, Parameter, handler};

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let operation =
        |id, summary, parameters, answers| Operation { id, tag: "tokens", summary, description: "", parameters, body: None, answers };
    let endpoint =
        |method, path, access, operation, handler| Endpoint { method, path, access, dialect: Dialect::Problem, operation, handler };
    let read = Access::User(TokenScope::Read);
    let hash = json!({"type": "string", "minLength": 64, "maxLength": 64, "pattern": "^[0-9a-f]{64}$"});
    let of_hash = Parameter::path("hash", "SHA-256 of the token in hex, as the list shows it.", hash, "a".repeat(64));
    let me = object([("name", text()), ("tenant", text()), ("superuser", boolean()), ("scope", one_of(&scopes()))]);
    vec![
        endpoint(
            Method::GET,
            "/api/v1/me",
            read,
            operation(
                "getMe",
                "Who asks",
                Vec::new(),
                vec![Answer::json(200, "They do.", me, json!({"name": "alice", "tenant": "acme", "superuser": false, "scope": "write"}))],
            ),
            handler!(who),
        ),
        endpoint(
            Method::GET,
            "/api/v1/tokens",
            read,
            operation(
                "listTokens",
                "The tokens of whoever asks that still work",
                Page::parameters(),
                vec![Answer::json(200, "Their tokens.", Page::schema(schema()), Page::example(example()))],
            ),
            handler!(list_tokens),
        ),
        endpoint(Method::POST, "/api/v1/tokens", Access::Open, log_in_operation(), handler!(log_in)),
        endpoint(
            Method::DELETE,
            "/api/v1/tokens/{hash}",
            read,
            operation("revokeToken", "End a token of whoever asks", vec![of_hash], vec![Answer::empty(204, "It no longer works.")]),
            handler!(revoke),
        ),
    ]
}

fn log_in_operation() -> Operation {
    let text_of = |most: usize| json!({"type": "string", "minLength": 1, "maxLength": most});
    let body = request(
        &["name", "password"],
        [
            ("name", text_of(USER_CHARS_MAX)),
            ("password", text_of(1024)),
            ("scope", one_of(&scopes())),
            ("label", nullable(json!({"type": "string", "maxLength": 100, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}))),
        ],
    );
    let made =
        object([("token", text()), ("hash", text()), ("scope", one_of(&scopes())), ("label", nullable(text())), ("expires_at", moment())]);
    let example = json!({
        "token": "0123456789abcdef0123456789abcdef01234567",
        "hash": "a".repeat(64),
        "scope": "read",
        "label": "monthly report",
        "expires_at": "2024-03-01T00:00:00Z",
    });
    Operation {
        id: "createToken",
        tag: "tokens",
        summary: "Log in with a name and a password",
        description: "The answer is the only time that the token can be seen. Attempts are limited.",
        parameters: Vec::new(),
        body: Some((
            "application/json",
            body,
            json!({"name": "alice", "password": "correct horse", "scope": "read", "label": "monthly report"}),
        )),
        answers: vec![
            Answer::json(201, "A token.", made, example),
            Answer::empty(401, "The name or the password is wrong."),
            Answer::empty(429, "Too many attempts; `retry-after` says when the next one counts."),
        ],
    }
}

fn scopes() -> [&'static str; 3] {
    TokenScope::ALL.map(TokenScope::word)
}

fn schema() -> Value {
    object([
        ("hash", text()),
        ("scope", one_of(&scopes())),
        ("label", nullable(text())),
        ("created_at", moment()),
        ("expires_at", moment()),
    ])
}

fn example() -> Value {
    json!({
        "hash": "a".repeat(64),
        "scope": "read",
        "label": "monthly report",
        "created_at": "2024-02-01T00:00:00Z",
        "expires_at": "2024-03-01T00:00:00Z",
    })
}

fn show(token: &Token) -> Value {
    json!({
        "hash": token.hash,
        "scope": token.scope.word(),
        "label": token.label,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    })
}

async fn who(_: Rest, call: Call) -> Result<Response, Failure> {
    let who = call.principal()?;
    let body = json!({"name": &*who.name, "tenant": &*who.tenant, "superuser": who.superuser, "scope": who.scope.word()});
    Ok(answer::json(StatusCode::OK, &body))
}

async fn list_tokens(rest: Rest, call: Call) -> Result<Response, Failure> {
    let tokens = rest.backend()?.tokens(&call.principal()?.name);
    page_of(&call, tokens.iter().map(show).collect())
}

#[derive(Deserialize)]
struct LogIn {
    name: String,
    password: String,
    #[serde(default = "least")]
    scope: TokenScope,
    label: Option<String>,
}

fn least() -> TokenScope {
    TokenScope::Read
}

async fn log_in(rest: Rest, call: Call) -> Result<Response, Failure> {
    let LogIn { name, password, scope, label } = call.json()?;
    let made = rest.backend()?.log_in(&name, &password, scope, label, call.from).await?;
    let body = json!({
        "token": made.token,
        "hash": made.kept.hash,
        "scope": made.kept.scope.word(),
        "label": made.kept.label,
        "expires_at": made.kept.expires_at,
    });
    Ok(answer::json(StatusCode::CREATED, &body))
}

async fn revoke(rest: Rest, call: Call) -> Result<Response, Failure> {
    rest.backend()?.revoke_by_hash(&call.principal()?.name, call.part("hash")).await?;
    Ok(answer::no_content())
}
