//! The instances of which a power event is known.

use cloudigrade_schemas::UtcSecond;
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::account::{self, list_parameters};
use super::paging::Page;
use super::registered::Accounts;
use super::rows::{self, is_among, only_one};
use super::scope::{user_id_param, viewer};
use super::{READ, endpoint, id, id_in_path, id_of};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Answer, Endpoint, handler};

const RESOURCE_TYPE: &str = "AwsInstance";
const LIST: &str = "/api/v1/instance/";

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        endpoint(
            (Method::GET, LIST, READ),
            ("v1ListInstances", "The instances of registered accounts", "In the order of their ids."),
            list_parameters(),
            vec![Answer::json(200, "A page of instances.", Page::schema(schema()), Page::example(example()))],
            handler!(list_instances),
        ),
        endpoint(
            (Method::GET, "/api/v1/instance/{id}/", READ),
            ("v1GetInstance", "One instance", ""),
            vec![id_in_path("The instance."), user_id_param()],
            vec![Answer::json(200, "The instance.", schema(), example())],
            handler!(get),
        ),
    ]
}

fn schema() -> Value {
    object([
        ("account", nullable(text())),
        ("account_id", nullable(id())),
        ("created_at", moment()),
        ("ec2_instance_id", text()),
        ("id", id()),
        ("region", text()),
        ("resourcetype", one_of(&[RESOURCE_TYPE])),
        ("updated_at", moment()),
        ("url", text()),
    ])
}

fn example() -> Value {
    json!({
        "account": "https://cloudigrade.example.com/api/v1/account/4503599627370497/",
        "account_id": 4_503_599_627_370_497_i64,
        "created_at": "2024-02-01T09:00:00Z",
        "ec2_instance_id": "i-0123456789abcdef0",
        "id": 4_503_599_627_370_499_i64,
        "region": "eu-west-1",
        "resourcetype": RESOURCE_TYPE,
        "updated_at": "2024-02-01T10:00:00Z",
        "url": "https://cloudigrade.example.com/api/v1/instance/4503599627370499/",
    })
}

/// An instance as the tables have it.
#[derive(Debug, Deserialize)]
pub(in crate::rest) struct Instance {
    pub(in crate::rest) id: i64,
    pub(in crate::rest) account_id: String,
    pub(in crate::rest) region: String,
    pub(in crate::rest) instance_id: String,
    /// The latest image that an event told.
    pub(in crate::rest) image_id: Option<String>,
    pub(in crate::rest) created_at: UtcSecond,
    pub(in crate::rest) updated_at: UtcSecond,
}

impl Instance {
    /// SQL for the instances of registered accounts.
    pub(in crate::rest) fn sql(accounts: &Accounts) -> String {
        format!(
            "SELECT resource_id('instance/' || account_id || '/' || region || '/' || instance_id) AS id, account_id, region, instance_id, \
             last_value(image_id ORDER BY occurred_at, event_id) FILTER (WHERE image_id IS NOT NULL) AS image_id, \
             min(recorded_at) AS created_at, max(recorded_at) AS updated_at \
             FROM power_events WHERE {} GROUP BY account_id, region, instance_id",
            is_among("account_id", accounts.account_ids().into_iter())
        )
    }

    /// Its natural key.
    pub(in crate::rest) fn name(&self) -> String {
        format!("{}/{}/{}", self.account_id, self.region, self.instance_id)
    }
}

/// Where an instance is.
pub(super) fn url(call: &Call, id: i64) -> String {
    call.url(&format!("{LIST}{id}/"))
}

fn show(call: &Call, accounts: &Accounts, instance: &Instance) -> Value {
    let account_id = accounts.first_of(&instance.account_id).map(|known| known.id);
    json!({
        "account": account_id.map(|id| account::url(call, id)),
        "account_id": account_id,
        "created_at": instance.created_at,
        "ec2_instance_id": instance.instance_id,
        "id": instance.id,
        "region": instance.region,
        "resourcetype": RESOURCE_TYPE,
        "updated_at": instance.updated_at,
        "url": url(call, instance.id),
    })
}

async fn list_instances(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (page, viewer) = (Page::of(&call)?, viewer(&rest, &call)?);
    let accounts = Accounts::of(&rest, &viewer).await?;
    let (found, count) = rows::page::<Instance>(&rest, &viewer, &Instance::sql(&accounts), "id", page).await?;
    Ok(page.answer(&call, count, found.iter().map(|instance| show(&call, &accounts, instance)).collect()))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (id, viewer) = (id_of(&call)?, viewer(&rest, &call)?);
    let accounts = Accounts::of(&rest, &viewer).await?;
    let sql = format!("SELECT * FROM ({}) AS instances WHERE id = {id}", Instance::sql(&accounts));
    let found = only_one(rows::ask(&rest, &viewer, &sql).await?, Instance::name)?;
    Ok(answer::json(StatusCode::OK, &show(&call, &accounts, &found)))
}
