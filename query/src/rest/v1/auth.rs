//! Tokens, and who somebody is.

use cloudigrade_schemas::TokenScope;
use cloudigrade_schemas::user::USER_CHARS_MAX;
use serde_json::json;
use warp::http::header::AUTHORIZATION;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::inputs::Body;
use super::{READ, body_of, endpoint, id, taking};
use crate::ids;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure, NON_FIELD_ERRORS};
use crate::rest::backend::Refused;
use crate::rest::call::Call;
use crate::rest::describe::{boolean, object, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, handler};

/// What tokens are called that clients of this API log in for.
const LABEL: &str = "first API";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let some = |most: usize| json!({"type": "string", "minLength": 1, "maxLength": most});
    let credentials = body_of(&["username", "password"], [("username", some(USER_CHARS_MAX)), ("password", some(1024))]);
    vec![
        taking(
            (credentials, json!({"username": "alice", "password": "correct horse battery"})),
            endpoint(
                (Method::POST, "/auth/token/create/", Access::Open),
                ("v1CreateToken", "Log in", "The token may read and write. Attempts are limited."),
                Vec::new(),
                vec![
                    Answer::json(
                        200,
                        "A token.",
                        object([("auth_token", text()), ("is_superuser", boolean())]),
                        json!({"auth_token": "0123456789abcdef0123456789abcdef01234567", "is_superuser": false}),
                    ),
                    Answer::empty(429, "Too many attempts; `retry-after` says when the next one counts."),
                ],
                handler!(create_token),
            ),
        ),
        endpoint(
            (Method::POST, "/auth/token/destroy/", READ),
            ("v1DestroyToken", "Log out: the token no longer works", ""),
            Vec::new(),
            vec![Answer::empty(204, "It no longer works.")],
            handler!(destroy_token),
        ),
        endpoint(
            (Method::GET, "/auth/me/", READ),
            ("v1GetMe", "Who somebody is", ""),
            Vec::new(),
            vec![Answer::json(
                200,
                "The user.",
                object([("username", text()), ("email", text()), ("id", id())]),
                json!({"username": "alice", "email": "alice@example.com", "id": ids::user_id("alice")}),
            )],
            handler!(me),
        ),
    ]
}

async fn create_token(rest: Rest, call: Call) -> Result<Response, Failure> {
    let mut body = Body::read(&call)?;
    let name = body.required_text("username", USER_CHARS_MAX);
    let password = body.required_secret("password");
    body.check()?;
    let (name, password) = (name.unwrap_or_default(), password.unwrap_or_default());
    let made = rest.backend()?.log_in(&name, &password, TokenScope::Write, Some(LABEL.to_owned()), call.from).await;
    let made = made.map_err(|refused| match refused {
        Refused::Credentials => Failure::field(NON_FIELD_ERRORS, "Unable to log in with provided credentials."),
        other => other.into(),
    })?;
    let body = json!({"auth_token": made.token, "is_superuser": made.principal.superuser});
    Ok(answer::json(StatusCode::OK, &body))
}

async fn destroy_token(rest: Rest, call: Call) -> Result<Response, Failure> {
    let header = call.header(AUTHORIZATION.as_str()).and_then(|value| value.split_ascii_whitespace().nth(1));
    let token = header.ok_or_else(Failure::unauthenticated)?;
    rest.backend()?.revoke(&token.to_ascii_lowercase()).await?;
    Ok(answer::no_content())
}

async fn me(rest: Rest, call: Call) -> Result<Response, Failure> {
    let principal = call.principal()?;
    let user = rest.backend()?.users(None).into_iter().find(|user| user.name == *principal.name);
    let email = user.and_then(|user| user.email).unwrap_or_default();
    Ok(answer::json(StatusCode::OK, &json!({"username": &*principal.name, "email": email, "id": ids::user_id(&principal.name)})))
}
