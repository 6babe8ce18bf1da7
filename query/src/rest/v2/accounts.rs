//! Registered accounts.

use cloudigrade_schemas::account::AccountState;
use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use super::{CLOUD, endpoint};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{boolean, integer, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, handler};
use crate::rest::v1::paging::Page;
use crate::rest::v1::registered::{Accounts, Registered};
use crate::rest::v1::{id, id_in_path, id_of};

const LIST: &str = "/api/cloudigrade/v2/accounts/";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(
            LIST,
            Access::Identity,
            ("v2ListAccounts", "The registered accounts", "In the order in which they were registered."),
            Page::parameters(),
            vec![Answer::json(200, "A page of accounts.", Page::schema_with_links(schema()), Page::example_with_links(LIST, example()))],
            handler!(list_accounts),
        ),
        endpoint(
            "/api/cloudigrade/v2/accounts/{id}/",
            Access::Identity,
            ("v2GetAccount", "One account", ""),
            vec![id_in_path("The account.")],
            vec![Answer::json(200, "The account.", schema(), example())],
            handler!(get),
        ),
    ]
}

fn schema() -> Value {
    let in_aws = object([
        ("aws_cloud_account_id", id()),
        ("account_arn", text()),
        ("aws_account_id", text()),
        ("created_at", moment()),
        ("updated_at", moment()),
    ]);
    object([
        ("account_id", id()),
        ("created_at", moment()),
        ("updated_at", moment()),
        ("user_id", nullable(id())),
        ("cloud_type", one_of(&[CLOUD])),
        ("content_object", in_aws),
        ("is_enabled", boolean()),
        ("platform_authentication_id", nullable(integer())),
        ("platform_application_id", nullable(integer())),
        ("platform_application_is_paused", boolean()),
        ("platform_source_id", nullable(integer())),
    ])
}

fn example() -> Value {
    json!({
        "account_id": 4_503_599_627_370_497_i64,
        "created_at": "2024-02-01T09:00:00Z",
        "updated_at": "2024-02-01T09:00:07Z",
        "user_id": 4_503_599_627_370_498_i64,
        "cloud_type": CLOUD,
        "content_object": {
            "aws_cloud_account_id": 4_503_599_627_370_497_i64,
            "account_arn": "arn:aws:iam::123456789012:role/cloudigrade",
            "aws_account_id": "123456789012",
            "created_at": "2024-02-01T09:00:00Z",
            "updated_at": "2024-02-01T09:00:07Z",
        },
        "is_enabled": true,
        "platform_authentication_id": null,
        "platform_application_id": null,
        "platform_application_is_paused": false,
        "platform_source_id": null,
    })
}

fn show(known: &Registered) -> Value {
    let account = &known.account;
    json!({
        "account_id": known.id,
        "created_at": account.created_at,
        "updated_at": account.changed_at,
        "user_id": known.user_id,
        "cloud_type": CLOUD,
        "content_object": {
            "aws_cloud_account_id": known.id,
            "account_arn": account.arn,
            "aws_account_id": account.account_id,
            "created_at": account.created_at,
            "updated_at": account.changed_at,
        },
        "is_enabled": account.state == AccountState::Enabled,
        "platform_authentication_id": null,
        "platform_application_id": null,
        "platform_application_is_paused": account.state == AccountState::Paused,
        "platform_source_id": null,
    })
}

async fn list_accounts(rest: Rest, call: Call) -> Result<Response, Failure> {
    let page = Page::of(&call)?;
    let accounts = Accounts::of(&rest, &call.principal()?.viewer()).await?.all;
    let count = accounts.len();
    Ok(page.answer_with_links(&call, count, page.cut(accounts.iter().map(show))))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let known = Accounts::of(&rest, &call.principal()?.viewer()).await?.by_id(id_of(&call)?)?;
    Ok(answer::json(StatusCode::OK, &show(&known)))
}
