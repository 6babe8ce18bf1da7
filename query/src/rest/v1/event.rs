//! The power events of instances.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::power::{Effect, PowerAction};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::account::list_parameters;
use super::inputs::integer_param;
use super::paging::Page;
use super::registered::Accounts;
use super::rows::{self, is_among, only_one};
use super::scope::{user_id_param, viewer};
use super::{ID_MAX, READ, endpoint, id, id_in_path, id_of, image, instance};
use crate::ids;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Answer, Endpoint, Parameter, handler};

const RESOURCE_TYPE: &str = "AwsInstanceEvent";
const LIST: &str = "/api/v1/event/";
const TYPES: [&str; 3] = ["power_on", "power_off", "attribute_change"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    let of_instance = "Only events of this instance.";
    vec![
        endpoint(
            (Method::GET, LIST, READ),
            ("v1ListEvents", "The power events of instances", "The earliest first."),
            [vec![Parameter::query("instance_id", of_instance, id(), 4_503_599_627_370_499_i64)], list_parameters()].concat(),
            vec![Answer::json(200, "A page of events.", Page::schema(schema()), Page::example(example()))],
            handler!(list_events),
        ),
        endpoint(
            (Method::GET, "/api/v1/event/{id}/", READ),
            ("v1GetEvent", "One power event", ""),
            vec![id_in_path("The event."), user_id_param()],
            vec![Answer::json(200, "The event.", schema(), example())],
            handler!(get),
        ),
    ]
}

fn schema() -> Value {
    let mut subnet = nullable(text());
    subnet["description"] = json!("Null: subnets are not kept.");
    object([
        ("event_type", one_of(&TYPES)),
        ("id", id()),
        ("instance", text()),
        ("instance_id", id()),
        ("instance_type", nullable(text())),
        ("machineimage", nullable(text())),
        ("machineimage_id", nullable(id())),
        ("occurred_at", moment()),
        ("resourcetype", one_of(&[RESOURCE_TYPE])),
        ("subnet", subnet),
        ("url", text()),
    ])
}

fn example() -> Value {
    json!({
        "event_type": "power_on",
        "id": 4_503_599_627_370_500_i64,
        "instance": "https://cloudigrade.example.com/api/v1/instance/4503599627370499/",
        "instance_id": 4_503_599_627_370_499_i64,
        "instance_type": "m5.large",
        "machineimage": "https://cloudigrade.example.com/api/v1/image/4503599627370501/",
        "machineimage_id": 4_503_599_627_370_501_i64,
        "occurred_at": "2024-02-01T09:00:00Z",
        "resourcetype": RESOURCE_TYPE,
        "subnet": null,
        "url": "https://cloudigrade.example.com/api/v1/event/4503599627370500/",
    })
}

/// An event as the table has it.
#[derive(Debug, Deserialize)]
struct Event {
    id: i64,
    account_id: String,
    region: String,
    instance_id: String,
    event_id: String,
    occurred_at: UtcSecond,
    action: String,
    instance_type: Option<String>,
    image_id: Option<String>,
}

fn sql(accounts: &Accounts) -> String {
    format!(
        "SELECT resource_id('event/' || account_id || '/' || region || '/' || instance_id || '/' || event_id) AS id, \
         resource_id('instance/' || account_id || '/' || region || '/' || instance_id) AS of_instance, \
         account_id, region, instance_id, event_id, occurred_at, action, instance_type, image_id \
         FROM power_events WHERE {}",
        is_among("account_id", accounts.account_ids().into_iter())
    )
}

fn show(call: &Call, event: &Event) -> Value {
    let event_type = match PowerAction::from_name(&event.action).map(PowerAction::effect) {
        Some(Effect::On) => "power_on",
        Some(Effect::Off) => "power_off",
        Some(Effect::Retype) | None => "attribute_change",
    };
    let instance_id = ids::instance_id(&event.account_id, &event.region, &event.instance_id);
    let image_id = event.image_id.as_deref().map(ids::image_id);
    json!({
        "event_type": event_type,
        "id": event.id,
        "instance": instance::url(call, instance_id),
        "instance_id": instance_id,
        "instance_type": event.instance_type,
        "machineimage": image_id.map(|id| image::url(call, id)),
        "machineimage_id": image_id,
        "occurred_at": event.occurred_at,
        "resourcetype": RESOURCE_TYPE,
        "subnet": null,
        "url": call.url(&format!("{LIST}{}/", event.id)),
    })
}

async fn list_events(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (page, viewer) = (Page::of(&call)?, viewer(&rest, &call)?);
    let instance = integer_param(&call, "instance_id", 1, ID_MAX, "instance_id must be an integer.")?;
    let accounts = Accounts::of(&rest, &viewer).await?;
    let only = instance.map(|id| format!(" WHERE of_instance = {id}")).unwrap_or_default();
    let sql = format!("SELECT * FROM ({}) AS events{only}", sql(&accounts));
    let (found, count) = rows::page::<Event>(&rest, &viewer, &sql, "occurred_at, id", page).await?;
    Ok(page.answer(&call, count, found.iter().map(|event| show(&call, event)).collect()))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (id, viewer) = (id_of(&call)?, viewer(&rest, &call)?);
    let accounts = Accounts::of(&rest, &viewer).await?;
    let sql = format!("SELECT * FROM ({}) AS events WHERE id = {id}", sql(&accounts));
    let name = |event: &Event| format!("{}/{}/{}/{}", event.account_id, event.region, event.instance_id, event.event_id);
    let found = only_one(rows::ask(&rest, &viewer, &sql).await?, name)?;
    Ok(answer::json(StatusCode::OK, &show(&call, &found)))
}
