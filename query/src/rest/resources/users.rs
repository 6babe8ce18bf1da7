//! Who may ask. Only superusers see and change it.

use cloudigrade_schemas::TokenScope;
use cloudigrade_schemas::user::USER_CHARS_MAX;
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::endpoint;
use super::page::{Page, page_of};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::backend::{NewUser, UserInfo};
use crate::rest::call::Call;
use crate::rest::describe::{boolean, moment, nullable, object, request, tenant_name, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, Parameter, handler};

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let read = Access::Superuser(TokenScope::Read);
    let admin = Access::Superuser(TokenScope::Admin);
    let one = "/api/v1/users/{name}";
    let password = || json!({"type": "string", "minLength": 10, "maxLength": 256});
    let email = r"^[^\s@\x00-\x1f\x7f-\x9f]+@[^\s\x00-\x1f\x7f-\x9f]+$";
    let new = request(
        &["name", "password"],
        [
            // The tenant is called so too, unless it is named.
            ("name", tenant_name()),
            ("tenant", nullable(tenant_name())),
            ("email", nullable(json!({"type": "string", "maxLength": 254, "pattern": email}))),
            ("superuser", boolean()),
            ("password", password()),
        ],
    );
    let endpoint = |place, (id, summary), parameters, body, answers, handler| {
        endpoint("users", place, (id, summary, ""), parameters, body, answers, handler)
    };
    vec![
        endpoint(
            (Method::GET, "/api/v1/users", read),
            ("listUsers", "All users, in the order in which they were made"),
            Page::parameters(),
            None,
            vec![Answer::json(200, "The users.", Page::schema(schema()), Page::example(example()))],
            handler!(list_users),
        ),
        endpoint(
            (Method::POST, "/api/v1/users", admin),
            ("createUser", "Make a user"),
            Vec::new(),
            Some((new, json!({"name": "alice", "tenant": "acme", "email": "alice@example.com", "password": "correct horse battery"}))),
            vec![Answer::json(201, "The user.", schema(), example()), Answer::empty(409, "There is a user of this name.")],
            handler!(create),
        ),
        endpoint(
            (Method::GET, one, read),
            ("getUser", "One user"),
            vec![name()],
            None,
            vec![Answer::json(200, "The user.", schema(), example())],
            handler!(get),
        ),
        endpoint(
            (Method::PATCH, one, admin),
            ("disableUser", "Shut a user out, or let them in again"),
            vec![name()],
            Some((request(&["disabled"], [("disabled", boolean())]), json!({"disabled": true}))),
            vec![Answer::json(200, "The user.", schema(), example())],
            handler!(disable),
        ),
        endpoint(
            (Method::PUT, "/api/v1/users/{name}/password", admin),
            ("resetPassword", "Give a user another password; all their tokens and open connections end"),
            vec![name()],
            Some((request(&["password"], [("password", password())]), json!({"password": "correct horse battery"}))),
            vec![Answer::empty(204, "It is changed.")],
            handler!(reset),
        ),
    ]
}

fn name() -> Parameter {
    let schema = json!({"type": "string", "minLength": 1, "maxLength": USER_CHARS_MAX});
    Parameter::path("name", "What they log in as.", schema, "alice")
}

fn schema() -> Value {
    object([
        ("name", text()),
        ("tenant", text()),
        ("email", nullable(text())),
        ("superuser", boolean()),
        ("disabled", boolean()),
        ("created_at", moment()),
    ])
}

fn example() -> Value {
    json!({
        "name": "alice",
        "tenant": "acme",
        "email": "alice@example.com",
        "superuser": false,
        "disabled": false,
        "created_at": "2024-02-01T00:00:00Z",
    })
}

fn show(user: &UserInfo) -> Value {
    json!({
        "name": user.name,
        "tenant": user.tenant,
        "email": user.email,
        "superuser": user.superuser,
        "disabled": user.disabled,
        "created_at": user.created_at,
    })
}

async fn list_users(rest: Rest, call: Call) -> Result<Response, Failure> {
    page_of(&call, rest.backend()?.users(None).iter().map(show).collect())
}

fn find(rest: &Rest, call: &Call) -> Result<UserInfo, Failure> {
    rest.backend()?.users(None).into_iter().find(|user| user.name == call.part("name")).ok_or_else(Failure::not_found)
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    Ok(answer::json(StatusCode::OK, &show(&find(&rest, &call)?)))
}

#[derive(Deserialize)]
struct Creation {
    name: String,
    tenant: Option<String>,
    email: Option<String>,
    #[serde(default)]
    superuser: bool,
    password: String,
}

async fn create(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Creation { name, tenant, email, superuser, password } = call.json()?;
    let user = NewUser { name, tenant, email, superuser, password };
    let made = rest.backend()?.create_user(user, &call.principal()?.name).await.map_err(Failure::of_new)?;
    Ok(answer::json(StatusCode::CREATED, &show(&made)))
}

#[derive(Deserialize)]
struct Disabling {
    disabled: bool,
}

async fn disable(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Disabling { disabled } = call.json()?;
    let name = find(&rest, &call)?.name;
    let user = rest.backend()?.disable_user(&name, disabled, &call.principal()?.name).await?;
    Ok(answer::json(StatusCode::OK, &show(&user)))
}

#[derive(Deserialize)]
struct NewPassword {
    password: String,
}

async fn reset(rest: Rest, call: Call) -> Result<Response, Failure> {
    let NewPassword { password } = call.json()?;
    let name = find(&rest, &call)?.name;
    rest.backend()?.reset_password(&name, &password, &call.principal()?.name).await?;
    Ok(answer::no_content())
}
