//! Usage by image of one account.

use cloudigrade_schemas::image::Product;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::asked::Asked;
use super::usage::Usage;
use super::{GIB, VCPU, account_id, parameters, seconds};
use crate::dimension::Dimension;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{boolean, image_statuses, integer, list, nullable, object, one_of, text};
use crate::rest::endpoint::{Answer, Endpoint, handler};
use crate::rest::v1::seen_image::SeenImage;
use crate::rest::v1::{READ, endpoint, id};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let description = "The images that ran at all, whatever is in them. An account that is not there, or not theirs, has none.";
    vec![endpoint(
        (Method::GET, "/api/v1/report/images/", READ),
        ("v1ReportImages", "Usage by image of one account", description),
        [parameters(), vec![account_id().required()]].concat(),
        vec![Answer::json(200, "The images.", schema(), example())],
        handler!(report),
    )]
}

fn schema() -> Value {
    let image = object([
        ("id", id()),
        ("cloud_image_id", text()),
        ("name", nullable(text())),
        ("status", one_of(&image_statuses())),
        ("is_encrypted", boolean()),
        ("rhel", nullable(boolean())),
        ("rhel_detected", nullable(boolean())),
        ("rhel_challenged", boolean()),
        ("openshift", nullable(boolean())),
        ("openshift_detected", nullable(boolean())),
        ("openshift_challenged", boolean()),
        ("instances_seen", integer()),
        ("runtime_seconds", seconds("")),
        ("memory_seconds", seconds(GIB)),
        ("vcpu_seconds", seconds(VCPU)),
    ]);
    object([("images", list(image))])
}

fn example() -> Value {
    json!({"images": [{
        "id": 4_503_599_627_370_501_i64,
        "cloud_image_id": "ami-0123456789abcdef0",
        "name": "base-2024-02",
        "status": "inspected",
        "is_encrypted": false,
        "rhel": true,
        "rhel_detected": true,
        "rhel_challenged": false,
        "openshift": false,
        "openshift_detected": false,
        "openshift_challenged": false,
        "instances_seen": 1,
        "runtime_seconds": 3600,
        "memory_seconds": 28800,
        "vcpu_seconds": 7200,
    }]})
}

async fn report(rest: Rest, call: Call) -> Result<Response, Failure> {
    let asked = Asked::read(&rest, &call, true).await?;
    let sums = match &asked.period {
        Some(period) => Usage::new(&rest, &asked).sums(&period.whole(), &[Dimension::Image], None).await?,
        None => Vec::new(),
    };
    let names: Vec<String> = sums.iter().filter_map(|sums| sums.image_id.clone()).collect();
    let images = SeenImage::by_names(&rest, &asked.viewer, &names).await?;
    let shown = sums.iter().filter_map(|sums| {
        let image = images.get(sums.image_id.as_ref()?)?;
        Some(json!({
            "id": image.row.id,
            "cloud_image_id": image.row.image_id,
            "name": image.row.name,
            "status": image.row.status,
            "is_encrypted": image.row.is_encrypted,
            "rhel": image.counts(Product::Rhel),
            "rhel_detected": image.detected(Product::Rhel),
            "rhel_challenged": image.is_challenged(Product::Rhel),
            "openshift": image.counts(Product::Openshift),
            "openshift_detected": image.detected(Product::Openshift),
            "openshift_challenged": image.is_challenged(Product::Openshift),
            "instances_seen": sums.instances,
            "runtime_seconds": sums.runtime_seconds,
            "memory_seconds": sums.memory_seconds(),
            "vcpu_seconds": sums.vcpu_seconds(),
        }))
    });
    let shown: Vec<Value> = shown.collect();
    Ok(answer::json(StatusCode::OK, &json!({"images": shown})))
}
