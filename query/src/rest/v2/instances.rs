//! The instances of which a power event is known.

use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use super::{CLOUD, endpoint};
use crate::ids;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, Parameter, handler};
use crate::rest::v1::inputs::moment_param;
use crate::rest::v1::instance::Instance;
use crate::rest::v1::paging::Page;
use crate::rest::v1::registered::Accounts;
use crate::rest::v1::rows::{self, only_one, quoted};
use crate::rest::v1::{id, id_in_path, id_of};

const LIST: &str = "/api/cloudigrade/v2/instances/";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let meaning = "Only instances that run, and have run since this moment or longer.";
    let running_since = Parameter::query("running_since", meaning, moment(), "2024-02-01T00:00:00Z");
    vec![
        endpoint(
            LIST,
            Access::Identity,
            ("v2ListInstances", "The instances of registered accounts", "In the order of their ids."),
            [vec![running_since], Page::parameters()].concat(),
            vec![Answer::json(200, "A page of instances.", Page::schema_with_links(schema()), Page::example_with_links(LIST, example()))],
            handler!(list_instances),
        ),
        endpoint(
            "/api/cloudigrade/v2/instances/{id}/",
            Access::Identity,
            ("v2GetInstance", "One instance", ""),
            vec![id_in_path("The instance.")],
            vec![Answer::json(200, "The instance.", schema(), example())],
            handler!(get),
        ),
    ]
}

fn schema() -> Value {
    object([
        ("cloud_account_id", nullable(id())),
        ("created_at", moment()),
        ("instance_id", id()),
        ("machine_image_id", nullable(id())),
        ("updated_at", moment()),
        ("cloud_type", one_of(&[CLOUD])),
        ("content_object", object([("aws_instance_id", id()), ("ec2_instance_id", text()), ("region", text())])),
    ])
}

fn example() -> Value {
    json!({
        "cloud_account_id": 4_503_599_627_370_497_i64,
        "created_at": "2024-02-01T09:00:00Z",
        "instance_id": 4_503_599_627_370_499_i64,
        "machine_image_id": 4_503_599_627_370_501_i64,
        "updated_at": "2024-02-01T10:00:00Z",
        "cloud_type": CLOUD,
        "content_object": {
            "aws_instance_id": 4_503_599_627_370_499_i64,
            "ec2_instance_id": "i-0123456789abcdef0",
            "region": "eu-west-1",
        },
    })
}

fn show(accounts: &Accounts, instance: &Instance) -> Value {
    json!({
        "cloud_account_id": accounts.first_of(&instance.account_id).map(|known| known.id),
        "created_at": instance.created_at,
        "instance_id": instance.id,
        "machine_image_id": instance.image_id.as_deref().map(ids::image_id),
        "updated_at": instance.updated_at,
        "cloud_type": CLOUD,
        "content_object": {
            "aws_instance_id": instance.id,
            "ec2_instance_id": instance.instance_id,
            "region": instance.region,
        },
    })
}

async fn list_instances(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (page, viewer) = (Page::of(&call)?, call.principal()?.viewer());
    let since = moment_param(&call, "running_since")?;
    let accounts = Accounts::of(&rest, &viewer).await?;
    let mut sql = Instance::sql(&accounts);
    if let Some(since) = since {
        let since = quoted(&since.to_string());
        sql = format!(
            "SELECT * FROM ({sql}) AS instances WHERE id IN (\
             SELECT resource_id('instance/' || account_id || '/' || region || '/' || instance_id) FROM instance_intervals \
             WHERE ended_at IS NULL AND started_at <= CAST({since} AS TIMESTAMP(6) WITH TIME ZONE))"
        );
    }
    let (found, count) = rows::page::<Instance>(&rest, &viewer, &sql, "id", page).await?;
    Ok(page.answer_with_links(&call, count, found.iter().map(|instance| show(&accounts, instance)).collect()))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (id, viewer) = (id_of(&call)?, call.principal()?.viewer());
    let accounts = Accounts::of(&rest, &viewer).await?;
    let sql = format!("SELECT * FROM ({}) AS instances WHERE id = {id}", Instance::sql(&accounts));
    let found = only_one(rows::ask(&rest, &viewer, &sql).await?, Instance::name)?;
    Ok(answer::json(StatusCode::OK, &show(&accounts, &found)))
}
