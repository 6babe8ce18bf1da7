//! The AWS accounts that are collected from, as the log has them: newer than the tables.

use cloudigrade_schemas::account::{AccountState, NAME_CHARS_MAX};
use cloudigrade_schemas::{Account, TokenScope};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::endpoint;
use super::page::{Page, page_of};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::backend::AccountChange;
use crate::rest::call::Call;
use crate::rest::describe::{boolean, list, moment, nullable, object, one_of, request, tenant_name, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, Parameter, handler};

/// What can be done about an account, as requests call it.
const ACTIONS: [&str; 5] = ["enable", "disable", "pause", "resume", "verify"];

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let read = Access::User(TokenScope::Read);
    let write = Access::User(TokenScope::Write);
    let one = "/api/v1/accounts/{account_id}";
    let shown = |meaning| Answer::json(200, meaning, schema(), example());
    let not_theirs = || Answer::empty(404, "The tenant is not theirs.");
    let working = || Answer::empty(202, "It takes longer, and is carried on with.");
    // What is no ARN of a role is told by its own messages, which know what people paste instead.
    let arn = || json!({"type": "string", "minLength": 1, "maxLength": 2048, "description": "The role to assume."});
    let endpoint = |place, (id, summary), parameters, body, answers, handler| {
        endpoint("accounts", place, (id, summary, ""), parameters, body, answers, handler)
    };
    vec![
        endpoint(
            (Method::GET, "/api/v1/accounts", read),
            ("listAccounts", "The accounts, with what is in the way of collecting from them"),
            [vec![tenant()], Page::parameters()].concat(),
            None,
            vec![Answer::json(200, "The accounts.", Page::schema(schema()), Page::example(example())), not_theirs()],
            handler!(list_accounts),
        ),
        endpoint(
            (Method::POST, "/api/v1/accounts", write),
            ("registerAccount", "Register an account"),
            vec![tenant()],
            Some((
                request(&["arn"], [("arn", arn()), ("name", nullable(name()))]),
                json!({"arn": "arn:aws:iam::123456789012:role/cloudigrade", "name": "production"}),
            )),
            vec![
                Answer::json(201, "It is registered; what is in the way of collecting from it is in `problems`.", schema(), example()),
                working(),
                not_theirs(),
                Answer::empty(409, "It, or its name, is registered already; or the server collects from no accounts."),
            ],
            handler!(register),
        ),
        endpoint(
            (Method::GET, one, read),
            ("getAccount", "One account"),
            vec![account_id(), tenant()],
            None,
            vec![shown("The account.")],
            handler!(get),
        ),
        endpoint(
            (Method::PATCH, one, write),
            ("renameAccount", "Give an account another name, or none"),
            vec![account_id(), tenant()],
            Some((request(&["name"], [("name", nullable(name()))]), json!({"name": "production"}))),
            vec![shown("The account."), working(), Answer::empty(409, "Another account has this name.")],
            handler!(rename),
        ),
        endpoint(
            (Method::DELETE, one, write),
            ("deleteAccount", "Forget an account"),
            vec![account_id(), tenant()],
            None,
            vec![Answer::empty(204, "It is forgotten."), working(), Answer::empty(409, "The server collects from no accounts.")],
            handler!(delete),
        ),
        endpoint(
            (Method::POST, "/api/v1/accounts/{account_id}/actions", write),
            ("changeAccount", "Enable, disable, pause, resume or verify an account"),
            vec![account_id(), tenant()],
            Some((request(&["action"], [("action", one_of(&ACTIONS))]), json!({"action": "verify"}))),
            vec![shown("The account afterwards."), working(), Answer::empty(409, "The server collects from no accounts.")],
            handler!(act),
        ),
    ]
}

fn account_id() -> Parameter {
    let schema = json!({"type": "string", "minLength": 12, "maxLength": 12, "pattern": "^[0-9]{12}$"});
    Parameter::path("account_id", "The AWS account, twelve digits.", schema, "123456789012")
}

fn tenant() -> Parameter {
    Parameter::query("tenant", "Whose, for superusers; others see only their own.", tenant_name(), "acme")
}

fn name() -> Value {
    let pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$";
    let meaning = "What to call it; unique within the tenant. Neither control characters nor white space around it.";
    json!({"type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX, "pattern": pattern, "description": meaning})
}

fn schema() -> Value {
    let states = [AccountState::Pending, AccountState::Enabled, AccountState::Paused, AccountState::Disabled];
    object([
        ("tenant", text()),
        ("account_id", text()),
        ("arn", text()),
        ("name", nullable(text())),
        ("state", one_of(&states.map(AccountState::word))),
        ("created_at", moment()),
        ("changed_at", moment()),
        ("verified_at", nullable(moment())),
        ("unmetered", list(object([("from", moment()), ("until", nullable(moment()))]))),
        ("trail", nullable(object([("arn", text()), ("bucket", text()), ("organization", boolean()), ("ours", boolean())]))),
        ("problems", list(object([("code", text()), ("detail", text()), ("help", text())]))),
    ])
}

fn example() -> Value {
    json!({
        "tenant": "acme",
        "account_id": "123456789012",
        "arn": "arn:aws:iam::123456789012:role/cloudigrade",
        "name": "production",
        "state": "enabled",
        "created_at": "2024-02-01T09:00:00Z",
        "changed_at": "2024-02-01T09:00:07Z",
        "verified_at": "2024-02-01T09:00:07Z",
        "unmetered": [],
        "trail": {"arn": "arn:aws:cloudtrail:eu-west-1:123456789012:trail/all", "bucket": "logs", "organization": false, "ours": false},
        "problems": [],
    })
}

fn show(account: &Account) -> Value {
    json!({
        "tenant": account.tenant,
        "account_id": account.account_id,
        "arn": account.arn,
        "name": account.name,
        "state": account.state.word(),
        "created_at": account.created_at,
        "changed_at": account.changed_at,
        "verified_at": account.verified_at,
        "unmetered": account.unmetered.iter().map(|span| json!({"from": span.from, "until": span.until})).collect::<Vec<_>>(),
        "trail": account.trail,
        "problems": account.problems,
    })
}

/// Whose accounts a request is about. Superusers may say so; to others there are no tenants but their own.
fn tenant_of(call: &Call) -> Result<String, Failure> {
    let principal = call.principal()?;
    match call.param("tenant") {
        Some(tenant) if principal.superuser || tenant == &*principal.tenant => Ok(tenant.to_owned()),
        Some(_) => Err(Failure::not_found()),
        None => Ok(principal.tenant.to_string()),
    }
}

async fn list_accounts(rest: Rest, call: Call) -> Result<Response, Failure> {
    let tenant = match call.principal()?.superuser && call.param("tenant").is_none() {
        true => None,
        false => Some(tenant_of(&call)?),
    };
    let mut accounts = rest.backend()?.accounts(tenant.as_deref()).await?;
    accounts.retain(|account| account.state != AccountState::Deleted);
    accounts.sort_by(|a, b| (&a.tenant, &a.account_id).cmp(&(&b.tenant, &b.account_id)));
    page_of(&call, accounts.iter().map(show).collect())
}

async fn find(rest: &Rest, call: &Call) -> Result<Account, Failure> {
    let accounts = rest.backend()?.accounts(Some(&tenant_of(call)?)).await?;
    let wanted = |account: &Account| account.account_id == call.part("account_id") && account.state != AccountState::Deleted;
    accounts.into_iter().find(wanted).ok_or_else(Failure::not_found)
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    Ok(answer::json(StatusCode::OK, &show(&find(&rest, &call).await?)))
}

#[derive(Deserialize)]
struct Registration {
    arn: String,
    name: Option<String>,
}

async fn register(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Registration { arn, name } = call.json()?;
    let account = rest.backend()?.register(&tenant_of(&call)?, arn.trim(), name, &call.principal()?.name).await;
    let account = account.map_err(Failure::of_new)?;
    Ok(answer::json(StatusCode::CREATED, &show(&account)))
}

async fn change(rest: &Rest, call: &Call, change: AccountChange) -> Result<Response, Failure> {
    let account = find(rest, call).await?;
    let changed = rest.backend()?.change_account(&account.tenant, &account.account_id, change, &call.principal()?.name).await;
    let changed = changed.map_err(Failure::of_new)?;
    Ok(answer::json(StatusCode::OK, &show(&changed)))
}

#[derive(Deserialize)]
struct NewName {
    name: Option<String>,
}

async fn rename(rest: Rest, call: Call) -> Result<Response, Failure> {
    let NewName { name } = call.json()?;
    change(&rest, &call, AccountChange::Rename(name)).await
}

async fn delete(rest: Rest, call: Call) -> Result<Response, Failure> {
    let account = find(&rest, &call).await?;
    rest.backend()?.delete_account(&account.tenant, &account.account_id, &call.principal()?.name).await?;
    Ok(answer::no_content())
}

#[derive(Deserialize)]
struct Action {
    action: String,
}

async fn act(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Action { action } = call.json()?;
    let wanted = match action.as_str() {
        "enable" => AccountChange::Enable,
        "disable" => AccountChange::Disable,
        "pause" => AccountChange::Pause,
        "resume" => AccountChange::Resume,
        "verify" => AccountChange::Verify,
        _ => return Err(Failure::field("action", format!("there is no action {action:?}; it is one of {}", ACTIONS.join(", ")))),
    };
    change(&rest, &call, wanted).await
}
