//! The AWS accounts that somebody registered.

use cloudigrade_schemas::account::NAME_CHARS_MAX;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::account_refusals::{Attempt, refused};
use super::inputs::Body;
use super::paging::Page;
use super::registered::{Accounts, Registered};
use super::scope::{user_id_param, viewer};
use super::{READ, WRITE, body_of, endpoint, id, id_in_path, id_of, taking};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::backend::AccountChange;
use crate::rest::call::Call;
use crate::rest::describe::{moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Answer, Endpoint, Parameter, handler};

/// The one type of account that there is.
const RESOURCE_TYPE: &str = "AwsAccount";
/// Characters of the ARN of a role, at most: what IAM takes.
const ARN_CHARS_MAX: usize = 2048;

const LIST: &str = "/api/v1/account/";
const ONE: &str = "/api/v1/account/{id}/";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let one = || vec![id_in_path("The account."), user_id_param()];
    let shown = || vec![Answer::json(200, "The account.", schema(), example())];
    let working = || Answer::empty(202, "It takes longer, and is carried on with.");
    vec![
        endpoint(
            (Method::GET, LIST, READ),
            ("v1ListAccounts", "The registered accounts", "In the order in which they were registered."),
            [vec![user_id_param()], Page::parameters()].concat(),
            vec![Answer::json(200, "A page of accounts.", Page::schema(schema()), Page::example(example()))],
            handler!(list_accounts),
        ),
        taking(
            (body_of(&["resourcetype", "account_arn", "name"], fields()), body_example()),
            endpoint(
                (Method::POST, LIST, WRITE),
                (
                    "v1RegisterAccount",
                    "Register an account",
                    "The role is assumed, its permissions are checked, and a trail is set up before this answers. Where that takes longer \
                     than a client waits, 202 is answered, and the account is listed once all is done.",
                ),
                Vec::new(),
                vec![
                    Answer::json(201, "It is registered.", schema(), example()),
                    working(),
                    Answer::empty(409, "The AWS account has as many trails as it may, or the server collects from no accounts."),
                ],
                handler!(register),
            ),
        ),
        endpoint((Method::GET, ONE, READ), ("v1GetAccount", "One account", ""), one(), shown(), handler!(get)),
        taking(
            (body_of(&["resourcetype", "account_arn", "name"], fields()), body_example()),
            endpoint(
                (Method::PUT, ONE, WRITE),
                ("v1ReplaceAccount", "Give an account another name", "The ARN must be the one that it has."),
                one(),
                [shown(), vec![working(), Answer::empty(409, "The server collects from no accounts.")]].concat(),
                handler!(replace),
            ),
        ),
        taking(
            (body_of(&["resourcetype"], fields()), json!({"resourcetype": RESOURCE_TYPE, "name": "production"})),
            endpoint(
                (Method::PATCH, ONE, WRITE),
                ("v1ChangeAccount", "Give an account another name", "An ARN must be the one that it has."),
                one(),
                [shown(), vec![working(), Answer::empty(409, "The server collects from no accounts.")]].concat(),
                handler!(change),
            ),
        ),
        endpoint(
            (Method::DELETE, ONE, WRITE),
            ("v1DeleteAccount", "Forget an account", "The trail that was made for it is removed."),
            one(),
            vec![Answer::empty(204, "It is forgotten."), working(), Answer::empty(409, "The server collects from no accounts.")],
            handler!(delete),
        ),
    ]
}

fn fields() -> [(&'static str, Value); 3] {
    let name = json!({
        "type": "string", "minLength": 1, "maxLength": NAME_CHARS_MAX, "description": "What to call it; unique among the user's.",
    });
    let arn = json!({
        "type": "string", "minLength": 1, "maxLength": ARN_CHARS_MAX, "pattern": "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$",
        "description": "The role to assume.",
    });
    [("resourcetype", one_of(&[RESOURCE_TYPE])), ("account_arn", arn), ("name", name)]
}

fn body_example() -> Value {
    json!({"resourcetype": RESOURCE_TYPE, "account_arn": "arn:aws:iam::123456789012:role/cloudigrade", "name": "production"})
}

fn schema() -> Value {
    object([
        ("account_arn", text()),
        ("aws_account_id", text()),
        ("created_at", moment()),
        ("id", id()),
        ("name", nullable(text())),
        ("resourcetype", one_of(&[RESOURCE_TYPE])),
        ("updated_at", moment()),
        ("url", text()),
        ("user_id", nullable(id())),
    ])
}

fn example() -> Value {
    json!({
        "account_arn": "arn:aws:iam::123456789012:role/cloudigrade",
        "aws_account_id": "123456789012",
        "created_at": "2024-02-01T09:00:00Z",
        "id": 4_503_599_627_370_497_i64,
        "name": "production",
        "resourcetype": RESOURCE_TYPE,
        "updated_at": "2024-02-01T09:00:07Z",
        "url": "https://cloudigrade.example.com/api/v1/account/4503599627370497/",
        "user_id": 4_503_599_627_370_498_i64,
    })
}

/// Where an account is.
pub(super) fn url(call: &Call, id: i64) -> String {
    call.url(&format!("{LIST}{id}/"))
}

fn show(call: &Call, known: &Registered) -> Value {
    json!({
        "account_arn": known.account.arn,
        "aws_account_id": known.account.account_id,
        "created_at": known.account.created_at,
        "id": known.id,
        "name": known.account.name,
        "resourcetype": RESOURCE_TYPE,
        "updated_at": known.account.changed_at,
        "url": url(call, known.id),
        "user_id": known.user_id,
    })
}

/// Parameters of a list of what belongs to accounts.
pub(super) fn list_parameters() -> Vec<Parameter> {
    [vec![user_id_param()], Page::parameters()].concat()
}

async fn list_accounts(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (page, viewer) = (Page::of(&call)?, viewer(&rest, &call)?);
    let accounts = Accounts::of(&rest, &viewer).await?.all;
    let count = accounts.len();
    let shown = page.cut(accounts.iter().map(|known| show(&call, known)));
    Ok(page.answer(&call, count, shown))
}

async fn find(rest: &Rest, call: &Call) -> Result<Registered, Failure> {
    let viewer = viewer(rest, call)?;
    Accounts::of(rest, &viewer).await?.by_id(id_of(call)?)
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    Ok(answer::json(StatusCode::OK, &show(&call, &find(&rest, &call).await?)))
}

async fn register(rest: Rest, call: Call) -> Result<Response, Failure> {
    let mut body = Body::read(&call)?;
    body.expect_type(RESOURCE_TYPE);
    body.check()?;
    let (arn, name) = (body.required_text("account_arn", ARN_CHARS_MAX), body.required_text("name", NAME_CHARS_MAX));
    body.check()?;
    let principal = call.principal()?;
    let (arn, name) = (arn.unwrap_or_default(), name.unwrap_or_default());
    let made = rest.backend()?.register(&principal.tenant, &arn, Some(name.clone()), &principal.name).await;
    let made = made.map_err(|why| refused(why, &Attempt { arn: &arn, name: &name, user: &principal.name }))?;
    let known = registered(&rest, made).await?;
    Ok(answer::json(StatusCode::CREATED, &show(&call, &known)))
}

/// An account that was just made or changed, with its numbers.
async fn registered(rest: &Rest, account: cloudigrade_schemas::Account) -> Result<Registered, Failure> {
    let tenant = crate::viewer::Viewer::tenant(account.tenant.as_str());
    let id = crate::ids::account_id(&account.tenant, &account.account_id);
    let user_id = Accounts::of(rest, &tenant).await?.all.iter().find(|known| known.id == id).and_then(|known| known.user_id);
    Ok(Registered { id, user_id, account })
}

async fn replace(rest: Rest, call: Call) -> Result<Response, Failure> {
    update(rest, call, true).await
}

async fn change(rest: Rest, call: Call) -> Result<Response, Failure> {
    update(rest, call, false).await
}

async fn update(rest: Rest, call: Call, all_fields: bool) -> Result<Response, Failure> {
    let known = find(&rest, &call).await?;
    let mut body = Body::read(&call)?;
    body.expect_type(RESOURCE_TYPE);
    body.check()?;
    let mut text = |field, chars_max| if all_fields { body.required_text(field, chars_max) } else { body.text(field, chars_max) };
    let (arn, name) = (text("account_arn", ARN_CHARS_MAX), text("name", NAME_CHARS_MAX));
    if arn.as_ref().is_some_and(|arn| *arn != known.account.arn) {
        body.refuse("account_arn", "You cannot change this field.");
    }
    body.check()?;
    let name = match name {
        Some(name) if known.account.name.as_ref() != Some(&name) => name,
        _ => return Ok(answer::json(StatusCode::OK, &show(&call, &known))),
    };
    let principal = call.principal()?;
    let account = &known.account;
    let change = AccountChange::Rename(Some(name.clone()));
    let changed = rest.backend()?.change_account(&account.tenant, &account.account_id, change, &principal.name).await;
    let account = changed.map_err(|why| refused(why, &Attempt { arn: &account.arn, name: &name, user: &principal.name }))?;
    Ok(answer::json(StatusCode::OK, &show(&call, &Registered { account, ..known })))
}

async fn delete(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Registered { account, .. } = find(&rest, &call).await?;
    rest.backend()?.delete_account(&account.tenant, &account.account_id, &call.principal()?.name).await?;
    Ok(answer::no_content())
}
