//! The machine images that instances were launched from.

use cloudigrade_schemas::image::Product;
use serde_json::{Value, json};
use warp::http::StatusCode;
use warp::reply::Response;

use super::{CLOUD, endpoint};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{boolean, image_statuses, list, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, Parameter, handler};
use crate::rest::v1::image::{FOUND, platform};
use crate::rest::v1::paging::Page;
use crate::rest::v1::rows::quoted;
use crate::rest::v1::seen_image::SeenImage;
use crate::rest::v1::{id, id_in_path, id_of};

const LIST: &str = "/api/cloudigrade/v2/images/";

pub(super) fn endpoints() -> Vec<Endpoint> {
    let filters = vec![
        Parameter::query("architecture", "Only images of this architecture.", text(), "x86_64"),
        Parameter::query("status", "Only images of this status.", one_of(&image_statuses()), "inspected"),
    ];
    vec![
        endpoint(
            LIST,
            Access::Identity,
            ("v2ListImages", "The images that instances were launched from", "In the order of their ids. Null is \"not known\"."),
            [filters, Page::parameters()].concat(),
            vec![Answer::json(200, "A page of images.", Page::schema_with_links(schema()), Page::example_with_links(LIST, example()))],
            handler!(list_images),
        ),
        endpoint(
            "/api/cloudigrade/v2/images/{id}/",
            Access::Identity,
            ("v2GetImage", "One image", "Null is \"not known\"."),
            vec![id_in_path("The image.")],
            vec![Answer::json(200, "The image.", schema(), example())],
            handler!(get),
        ),
    ]
}

fn schema() -> Value {
    let maybe = |schema: fn() -> Value| nullable(schema());
    let in_aws = object([
        ("aws_image_id", id()),
        ("created_at", maybe(moment)),
        ("ec2_ami_id", text()),
        ("is_cloud_access", boolean()),
        ("is_marketplace", boolean()),
        ("owner_aws_account_id", maybe(text)),
        ("platform", one_of(&["none", "windows"])),
        ("platform_details", maybe(text)),
        ("product_codes", list(text())),
        ("region", text()),
        ("updated_at", maybe(moment)),
        ("usage_operation", maybe(text)),
    ]);
    let purpose = [("role", maybe(text)), ("service_level_agreement", maybe(text)), ("usage", maybe(text)), ("service_type", maybe(text))];
    object([
        ("architecture", maybe(text)),
        ("cloud_type", one_of(&[CLOUD])),
        ("content_object", in_aws),
        ("created_at", maybe(moment)),
        ("image_id", id()),
        ("inspection_json", maybe(text)),
        ("is_encrypted", boolean()),
        ("name", maybe(text)),
        ("openshift", maybe(boolean)),
        ("openshift_detected", maybe(boolean)),
        ("rhel", maybe(boolean)),
        ("rhel_detected", maybe(boolean)),
        ("rhel_detected_by_tag", boolean()),
        (FOUND[0], maybe(boolean)),
        (FOUND[1], maybe(boolean)),
        (FOUND[2], maybe(boolean)),
        (FOUND[3], maybe(boolean)),
        ("rhel_version", maybe(text)),
        ("status", one_of(&image_statuses())),
        ("syspurpose", nullable(object(purpose))),
        ("updated_at", maybe(moment)),
    ])
}

fn example() -> Value {
    json!({
        "architecture": "x86_64",
        "cloud_type": CLOUD,
        "content_object": {
            "aws_image_id": 4_503_599_627_370_501_i64,
            "created_at": "2024-02-01T09:00:00Z",
            "ec2_ami_id": "ami-0123456789abcdef0",
            "is_cloud_access": false,
            "is_marketplace": false,
            "owner_aws_account_id": "123456789012",
            "platform": "none",
            "platform_details": "Linux/UNIX",
            "product_codes": [],
            "region": "eu-west-1",
            "updated_at": "2024-02-01T09:30:00Z",
            "usage_operation": "RunInstances",
        },
        "created_at": "2024-02-01T09:00:00Z",
        "image_id": 4_503_599_627_370_501_i64,
        "inspection_json": null,
        "is_encrypted": false,
        "name": "base-2024-02",
        "openshift": false,
        "openshift_detected": false,
        "rhel": true,
        "rhel_detected": true,
        "rhel_detected_by_tag": true,
        "rhel_enabled_repos_found": null,
        "rhel_product_certs_found": null,
        "rhel_release_files_found": null,
        "rhel_signed_packages_found": null,
        "rhel_version": "9.4",
        "status": "inspected",
        "syspurpose": {"role": "Red Hat Enterprise Linux Server", "service_level_agreement": "Premium", "usage": null, "service_type": null},
        "updated_at": "2024-02-01T09:30:00Z",
    })
}

fn show(image: &SeenImage) -> Value {
    let row = &image.row;
    let by_tag = image.evidence.iter().any(|evidence| evidence.kind == "tag" && evidence.product == Product::Rhel && evidence.found);
    let purpose = [&row.syspurpose_role, &row.syspurpose_sla, &row.syspurpose_usage, &row.syspurpose_service_type];
    let syspurpose = purpose
        .iter()
        .any(|value| value.is_some())
        .then(|| json!({"role": purpose[0], "service_level_agreement": purpose[1], "usage": purpose[2], "service_type": purpose[3]}));
    let mut shown = json!({
        "architecture": row.architecture,
        "cloud_type": CLOUD,
        "content_object": {
            "aws_image_id": row.id,
            "created_at": row.first_seen_at,
            "ec2_ami_id": row.image_id,
            "is_cloud_access": row.is_cloud_access,
            "is_marketplace": row.is_marketplace,
            "owner_aws_account_id": row.owner_id,
            "platform": platform(image),
            "platform_details": image.metadata.platform_details,
            "product_codes": image.metadata.product_codes,
            "region": row.region,
            "updated_at": row.changed_at,
            "usage_operation": image.metadata.usage_operation,
        },
        "created_at": row.first_seen_at,
        "image_id": row.id,
        "inspection_json": image.findings,
        "is_encrypted": row.is_encrypted,
        "name": row.name,
        "openshift": image.counts(Product::Openshift),
        "openshift_detected": image.detected(Product::Openshift),
        "rhel": image.counts(Product::Rhel),
        "rhel_detected": image.detected(Product::Rhel),
        "rhel_detected_by_tag": by_tag,
        "rhel_version": row.rhel_version,
        "status": row.status,
        "syspurpose": syspurpose,
        "updated_at": row.changed_at,
    });
    for flag in FOUND {
        shown[flag] = image.found(flag);
    }
    shown
}

async fn list_images(rest: Rest, call: Call) -> Result<Response, Failure> {
    let page = Page::of(&call)?;
    let mut conditions = vec!["true".to_owned()];
    if let Some(architecture) = call.param("architecture") {
        conditions.push(format!("architecture = {}", quoted(architecture)));
    }
    if let Some(status) = call.param("status") {
        if !image_statuses().contains(&status) {
            let message = format!("Select a valid choice. {status} is not one of the available choices.");
            return Err(Failure::field("status", message));
        }
        conditions.push(format!("status = {}", quoted(status)));
    }
    let (found, count) = SeenImage::page(&rest, &call.principal()?.viewer(), &conditions.join(" AND "), page).await?;
    Ok(page.answer_with_links(&call, count, found.iter().map(show).collect()))
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    let image = SeenImage::by_id(&rest, &call.principal()?.viewer(), id_of(&call)?).await?;
    Ok(answer::json(StatusCode::OK, &show(&image)))
}
