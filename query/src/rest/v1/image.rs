//! The machine images that somebody's instances were launched from, and what is said against what was found in them.

use cloudigrade_schemas::image::Product;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::account::list_parameters;
use super::inputs::Body;
use super::paging::Page;
use super::scope::{tenant, user_id_param, viewer};
use super::seen_image::SeenImage;
use super::{READ, WRITE, body_of, endpoint, id, id_in_path, id_of, taking};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::backend::OverrideRequest;
use crate::rest::call::Call;
use crate::rest::describe::{boolean, image_statuses, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Answer, Endpoint, handler};

const RESOURCE_TYPE: &str = "AwsMachineImage";
const LIST: &str = "/api/v1/image/";
const ONE: &str = "/api/v1/image/{id}/";

/// What can be challenged, as bodies call it.
const CHALLENGES: [(&str, Product); 2] = [("rhel_challenged", Product::Rhel), ("openshift_challenged", Product::Openshift)];

/// What an inspection finds, as the API calls it.
pub(in crate::rest) const FOUND: [&str; 4] =
    ["rhel_enabled_repos_found", "rhel_product_certs_found", "rhel_release_files_found", "rhel_signed_packages_found"];

const CHALLENGING: &str = "A challenge says the opposite of what the image would count as, mostly of what is detected. It holds at once and for all history, for the user's tenant; a \
superuser's holds for all tenants that say nothing themselves, or for the tenant of `user_id`.";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let one = || vec![id_in_path("The image."), user_id_param()];
    let shown = || vec![Answer::json(200, "The image.", schema(), example())];
    let body = || {
        let fields = [("resourcetype", one_of(&[RESOURCE_TYPE])), ("rhel_challenged", boolean()), ("openshift_challenged", boolean())];
        (body_of(&["resourcetype"], fields), json!({"resourcetype": RESOURCE_TYPE, "rhel_challenged": true}))
    };
    vec![
        endpoint(
            (Method::GET, LIST, READ),
            ("v1ListImages", "The images that instances were launched from", "In the order of their ids. Null is \"not known\"."),
            list_parameters(),
            vec![Answer::json(200, "A page of images.", Page::schema(schema()), Page::example(example()))],
            handler!(list_images),
        ),
        endpoint((Method::GET, ONE, READ), ("v1GetImage", "One image", "Null is \"not known\"."), one(), shown(), handler!(get)),
        taking(
            body(),
            endpoint(
                (Method::PUT, ONE, WRITE),
                ("v1ChallengeImageAnew", "Challenge what was detected; what is left out is no longer challenged", CHALLENGING),
                one(),
                shown(),
                handler!(replace),
            ),
        ),
        taking(
            body(),
            endpoint(
                (Method::PATCH, ONE, WRITE),
                ("v1ChallengeImage", "Challenge what was detected; what is left out stays as it is", CHALLENGING),
                one(),
                shown(),
                handler!(change),
            ),
        ),
    ]
}

fn schema() -> Value {
    let maybe = || nullable(boolean());
    let told = |meaning: &str| json!({"type": ["boolean", "null"], "description": meaning});
    let mut schema = object([
        ("created_at", nullable(moment())),
        ("ec2_ami_id", text()),
        ("id", id()),
        ("inspection_json", nullable(text())),
        ("is_cloud_access", boolean()),
        ("is_encrypted", boolean()),
        ("is_marketplace", boolean()),
        ("name", nullable(text())),
        (
            "openshift",
            told("What it counts as: what is detected, unless the operator says otherwise; the opposite where it is challenged."),
        ),
        ("openshift_challenged", boolean()),
        ("openshift_detected", maybe()),
        ("owner_aws_account_id", nullable(text())),
        ("platform", one_of(&["none", "windows"])),
        ("resourcetype", one_of(&[RESOURCE_TYPE])),
        (
            "rhel",
            told(
                "What it counts as: what is detected, unless AWS bills for it by the hour or the operator says otherwise; the opposite where it is challenged.",
            ),
        ),
        ("rhel_challenged", boolean()),
        ("rhel_detected", told("What the evidence says.")),
        (FOUND[0], maybe()),
        (FOUND[1], maybe()),
        (FOUND[2], maybe()),
        (FOUND[3], maybe()),
        ("status", one_of(&image_statuses())),
        ("updated_at", nullable(moment())),
        ("url", text()),
    ]);
    schema["properties"]["inspection_json"]["description"] = json!("What its disks hold, in JSON.");
    schema
}

fn example() -> Value {
    json!({
        "created_at": "2024-02-01T09:00:00Z",
        "ec2_ami_id": "ami-0123456789abcdef0",
        "id": 4_503_599_627_370_501_i64,
        "inspection_json": null,
        "is_cloud_access": false,
        "is_encrypted": false,
        "is_marketplace": false,
        "name": "base-2024-02",
        "openshift": false,
        "openshift_challenged": false,
        "openshift_detected": false,
        "owner_aws_account_id": "123456789012",
        "platform": "none",
        "resourcetype": RESOURCE_TYPE,
        "rhel": true,
        "rhel_challenged": false,
        "rhel_detected": true,
        "rhel_enabled_repos_found": null,
        "rhel_product_certs_found": null,
        "rhel_release_files_found": null,
        "rhel_signed_packages_found": null,
        "status": "inspected",
        "updated_at": "2024-02-01T09:30:00Z",
        "url": "https://cloudigrade.example.com/api/v1/image/4503599627370501/",
    })
}

/// Where an image is.
pub(super) fn url(call: &Call, id: i64) -> String {
    call.url(&format!("{LIST}{id}/"))
}

fn show(call: &Call, image: &SeenImage) -> Value {
    let row = &image.row;
    let mut shown = json!({
        "created_at": row.first_seen_at,
        "ec2_ami_id": row.image_id,
        "id": row.id,
        "inspection_json": image.findings,
        "is_cloud_access": row.is_cloud_access,
        "is_encrypted": row.is_encrypted,
        "is_marketplace": row.is_marketplace,
        "name": row.name,
        "openshift": image.counts(Product::Openshift),
        "openshift_challenged": image.is_challenged(Product::Openshift),
        "openshift_detected": image.detected(Product::Openshift),
        "owner_aws_account_id": row.owner_id,
        "platform": platform(image),
        "resourcetype": RESOURCE_TYPE,
        "rhel": image.counts(Product::Rhel),
        "rhel_challenged": image.is_challenged(Product::Rhel),
        "rhel_detected": image.detected(Product::Rhel),
        "status": row.status,
        "updated_at": row.changed_at,
        "url": url(call, row.id),
    });
    for flag in FOUND {
        shown[flag] = image.found(flag);
    }
    shown
}

/// The platform, as the old APIs call it.
pub(in crate::rest) fn platform(image: &SeenImage) -> &'static str {
    let is_windows = image.row.platform.as_deref().is_some_and(|platform| platform.eq_ignore_ascii_case("windows"));
    if is_windows { "windows" } else { "none" }
}

async fn list_images(rest: Rest, call: Call) -> Result<Response, Failure> {
    let (page, viewer) = (Page::of(&call)?, viewer(&rest, &call)?);
    let (found, count) = SeenImage::page(&rest, &viewer, "true", page).await?;
    Ok(page.answer(&call, count, found.iter().map(|image| show(&call, image)).collect()))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let image = SeenImage::by_id(&rest, &viewer(&rest, &call)?, id_of(&call)?).await?;
    Ok(answer::json(StatusCode::OK, &show(&call, &image)))
}

async fn replace(rest: Rest, call: Call) -> Result<Response, Failure> {
    challenge(rest, call, Some(false)).await
}

async fn change(rest: Rest, call: Call) -> Result<Response, Failure> {
    challenge(rest, call, None).await
}

/// Challenges what the body says; `absent` is what holds for what it leaves out.
async fn challenge(rest: Rest, call: Call, absent: Option<bool>) -> Result<Response, Failure> {
    let (id, viewer) = (id_of(&call)?, viewer(&rest, &call)?);
    let image = SeenImage::by_id(&rest, &viewer, id).await?;
    let mut body = Body::read(&call)?;
    body.expect_type(RESOURCE_TYPE);
    let wanted = CHALLENGES.map(|(field, product)| (product, body.flag(field).or(absent)));
    body.check()?;
    for (product, wanted) in wanted {
        let Some(wanted) = wanted.filter(|wanted| *wanted != image.is_challenged(product)) else { continue };
        let said = OverrideRequest {
            image_id: image.row.image_id.clone(),
            region: image.row.region.clone(),
            product,
            is: wanted.then(|| !image.unchallenged(product).unwrap_or(false)),
            reason: None,
        };
        rest.backend()?.override_image(tenant(&viewer), said, &call.principal()?.name).await?;
    }
    let image = SeenImage::by_id(&rest, &viewer, id).await?;
    Ok(answer::json(StatusCode::OK, &show(&call, &image)))
}
