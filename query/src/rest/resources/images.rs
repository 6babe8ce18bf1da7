//! Machine images: what is in them by which evidence, and what was said against it.

use arrow::array::RecordBatch;
use cloudigrade_schemas::TokenScope;
use cloudigrade_schemas::image::{BillingModel, Override, Product};
use cloudigrade_schemas::table::IMAGES;
use serde::Deserialize;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::endpoint;
use super::listing::{By, Filter, Listing, READ, quoted};
use super::page::{Page, page_of};
use crate::format::{Format, RowWriter};
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::backend::OverrideRequest;
use crate::rest::call::Call;
use crate::rest::describe::{self, boolean, list, moment, nullable, object, one_of, request, tenant_name, text};
use crate::rest::endpoint::{Access, Answer, Endpoint, Parameter, handler};

/// Columns of which a list shows all.
const PLAIN: [&str; 23] = [
    "image_id",
    "region",
    "status",
    "status_reason",
    "name",
    "owner_id",
    "platform",
    "architecture",
    "rhel",
    "openshift",
    "rhel_detected",
    "openshift_detected",
    "rhel_version",
    "billing_model",
    "is_encrypted",
    "is_marketplace",
    "is_cloud_access",
    "syspurpose_role",
    "syspurpose_sla",
    "syspurpose_usage",
    "syspurpose_service_type",
    "first_seen_at",
    "changed_at",
];

/// Columns that hold JSON, which only the answer about one image shows.
const NESTED: [&str; 3] = ["evidence", "overrides", "metadata"];

/// Their endpoints.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let write = Access::User(TokenScope::Write);
    let of_product = "/api/v1/images/{image_id}/overrides/{product}";
    let said = request(&["is"], [("is", boolean()), ("reason", nullable(json!({"type": "string", "maxLength": 1000})))]);
    vec![
        images().endpoint(handler!(list_images)),
        endpoint(
            "images",
            (Method::GET, "/api/v1/images/{image_id}", READ),
            ("getImage", "One image, with all evidence and overrides", ""),
            vec![image_id()],
            None,
            vec![Answer::json(200, "The image.", schema(), example())],
            handler!(get),
        ),
        endpoint(
            "images",
            (Method::GET, "/api/v1/overrides", READ),
            ("listOverrides", "What was said of images against the evidence, by whom and when", "The latest first."),
            Page::parameters(),
            None,
            vec![Answer::json(200, "The overrides.", Page::schema(override_of_image()), Page::example(example_of_override()))],
            handler!(list_overrides),
        ),
        endpoint(
            "images",
            (Method::PUT, of_product, write),
            (
                "setOverride",
                "Say what is in an image, against all evidence",
                "It holds for the tenant's accounts, at once and for all of their history; a superuser's holds for everybody's, unless \
                 `tenant` says for whose.",
            ),
            vec![image_id(), product(), tenant()],
            Some((said, json!({"is": false, "reason": "built from CentOS"}))),
            vec![Answer::json(200, "The image afterwards.", schema(), example())],
            handler!(set),
        ),
        endpoint(
            "images",
            (Method::DELETE, of_product, write),
            ("removeOverride", "Leave it to the evidence again", ""),
            vec![image_id(), product(), tenant()],
            None,
            vec![Answer::empty(204, "It is taken back.")],
            handler!(remove),
        ),
    ]
}

fn images() -> Listing {
    let flag = |name, meaning, yes, no| Filter {
        parameter: Parameter::query(name, meaning, boolean(), json!(true)),
        by: By::Flag(yes, no, "true"),
    };
    Listing {
        path: "/api/v1/images",
        id: "listImages",
        tag: "images",
        summary: "The images that were used, and what is in them",
        description: "Null is \"not known\", never \"no\".",
        access: READ,
        table: IMAGES,
        from: "images",
        columns: &PLAIN,
        order: "image_id, region",
        filters: vec![
            Filter::column("image", "image_id", "Only these images.", "ami-0123456789abcdef0"),
            Filter::column("region", "region", "Only these regions.", "eu-west-1"),
            Filter::column("architecture", "architecture", "Only these architectures.", "x86_64"),
            Filter::image_status("inspected"),
            Filter {
                parameter: Parameter::query(
                    "billing_model",
                    "Only images that are billed so.",
                    one_of(&BillingModel::ALL.map(BillingModel::word)),
                    "byos",
                ),
                by: By::Column("billing_model"),
            },
            flag("rhel", "Only images that count as RHEL, or only those known not to.", "rhel", "NOT rhel"),
            flag("openshift", "Only images that count as OpenShift, or only those known not to.", "openshift", "NOT openshift"),
        ],
    }
}

pub(super) fn image_id() -> Parameter {
    let schema = json!({"type": "string", "minLength": 1, "maxLength": 128});
    Parameter::path("image_id", "The machine image.", schema, "ami-0123456789abcdef0")
}

fn product() -> Parameter {
    Parameter::path("product", "About which product.", one_of(&Product::ALL.map(Product::word)), "rhel")
}

fn tenant() -> Parameter {
    Parameter::query("tenant", "For whose accounts, for superusers; others speak for their own.", tenant_name(), "acme")
}

fn override_fields() -> [(&'static str, Value); 6] {
    [
        ("tenant", nullable(text())),
        ("product", one_of(&Product::ALL.map(Product::word))),
        ("is", nullable(boolean())),
        ("by", text()),
        ("reason", nullable(text())),
        ("at", moment()),
    ]
}

fn override_of_image() -> Value {
    let [a, b, c, d, e, f] = override_fields();
    object([("image_id", text()), ("region", text()), a, b, c, d, e, f])
}

fn example_of_override() -> Value {
    let mut example = json!({"image_id": "ami-0123456789abcdef0", "region": "eu-west-1"});
    merge(&mut example, show(&said()));
    example
}

fn said() -> Override {
    Override {
        tenant: Some("acme".to_owned()),
        product: Product::Rhel,
        is: Some(false),
        by: "alice".to_owned(),
        reason: Some("built from CentOS".to_owned()),
        at: cloudigrade_schemas::UtcSecond(1_708_430_400),
    }
}

fn show(said: &Override) -> Value {
    json!({
        "tenant": said.tenant,
        "product": said.product.word(),
        "is": said.is,
        "by": said.by,
        "reason": said.reason,
        "at": said.at,
    })
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn evidence() -> Value {
    let told = ["kind", "product", "found", "detail", "source", "at"];
    let mut account = text();
    account["description"] = json!("Whose tag it is, where it is one and that was told.");
    request(
        &told,
        [
            ("kind", text()),
            ("product", one_of(&Product::ALL.map(Product::word))),
            ("found", boolean()),
            ("detail", text()),
            ("source", text()),
            ("account_id", account),
            ("at", moment()),
        ],
    )
}

fn schema() -> Value {
    let (mut schema, _) = describe::row(&IMAGES, &PLAIN);
    let nested = [
        ("evidence", list(evidence())),
        ("overrides", list(object(override_fields()))),
        ("metadata", json!({"type": ["object", "null"], "description": "What EC2 says of it."})),
    ];
    for (name, of) in nested {
        schema["properties"][name] = of;
        if let Some(required) = schema["required"].as_array_mut() {
            required.push(json!(name));
        }
    }
    schema
}

fn example() -> Value {
    let (_, mut example) = describe::row(&IMAGES, &PLAIN);
    let evidence = json!({
        "kind": "release_files",
        "product": "rhel",
        "found": true,
        "detail": "/etc/redhat-release",
        "source": "inspection",
        "at": "2024-02-20T12:00:00Z",
    });
    let tag = json!({
        "kind": "tag",
        "product": "rhel",
        "found": true,
        "detail": "cloudigrade-rhel-present",
        "source": "s3://logs/AWSLogs/123456789012/CloudTrail/eu-west-1/2024/02/20/a.json.gz#7",
        "account_id": "123456789012",
        "at": "2024-02-20T12:00:00Z",
    });
    let nested = json!({
        "evidence": [tag, evidence],
        "overrides": [show(&said())],
        "metadata": {"owner_id": "123456789012", "name": "base-2024-02", "architecture": "x86_64"},
    });
    merge(&mut example, nested);
    example
}

async fn list_images(rest: Rest, call: Call) -> Result<Response, Failure> {
    images().answer(&rest, &call).await
}

/// Rows as JSON objects.
fn objects(batches: &[RecordBatch]) -> Result<Vec<Value>, Failure> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let mut writer = RowWriter::new(Format::Json, &first.schema(), Vec::new())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    parsed(&writer.finish()?)
}

/// What the tables hold as JSON.
fn parsed<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(text).map_err(|error| {
        tracing::error!(%error, "the table images holds what is not the JSON that it must be");
        Failure::internal()
    })
}

/// An image, as whoever asks sees it.
pub(super) async fn find(rest: &Rest, call: &Call) -> Result<Value, Failure> {
    let columns = [&PLAIN[..], &NESTED].concat().join(", ");
    let image = quoted(call.part("image_id"));
    let sql = format!("SELECT {columns} FROM images WHERE image_id = {image} ORDER BY region LIMIT 1");
    let rows = rest.rows(&call.principal()?.viewer(), &sql).await?;
    let mut found = objects(&rows)?.into_iter().next().ok_or_else(Failure::not_found)?;
    for name in NESTED {
        if let Some(text) = found[name].as_str() {
            found[name] = parsed(text.as_bytes())?;
        }
    }
    let overrides: Vec<Override> = serde_json::from_value(found["overrides"].take()).map_err(|_| Failure::internal())?;
    found["overrides"] = overrides.iter().map(show).collect();
    Ok(found)
}

async fn get(rest: Rest, call: Call) -> Result<Response, Failure> {
    Ok(answer::json(StatusCode::OK, &find(&rest, &call).await?))
}

async fn list_overrides(rest: Rest, call: Call) -> Result<Response, Failure> {
    let sql = "SELECT image_id, region, overrides FROM images WHERE overrides <> '[]' ORDER BY image_id, region";
    let mut all: Vec<(Override, Value)> = Vec::new();
    for row in objects(&rest.rows(&call.principal()?.viewer(), sql).await?)? {
        let of_image: Vec<Override> = parsed(row["overrides"].as_str().unwrap_or("[]").as_bytes())?;
        for said in of_image {
            let mut shown = json!({"image_id": row["image_id"], "region": row["region"]});
            merge(&mut shown, show(&said));
            all.push((said, shown));
        }
    }
    // The sort is stable: those of one moment stay in the order of their images.
    all.sort_by_key(|(said, _)| std::cmp::Reverse(said.at));
    page_of(&call, all.into_iter().map(|(_, shown)| shown).collect())
}

/// For whose accounts somebody speaks: `None` for everybody's, as only superusers may.
fn speaks_for(call: &Call) -> Result<Option<String>, Failure> {
    let principal = call.principal()?;
    match call.param("tenant") {
        Some(tenant) if principal.superuser || tenant == &*principal.tenant => Ok(Some(tenant.to_owned())),
        Some(_) => Err(Failure::not_found()),
        None if principal.superuser => Ok(None),
        None => Ok(Some(principal.tenant.to_string())),
    }
}

#[derive(Deserialize)]
struct Said {
    is: bool,
    reason: Option<String>,
}

async fn say(rest: &Rest, call: &Call, image: &Value, is: Option<bool>, reason: Option<String>) -> Result<(), Failure> {
    let wanted = call.part("product");
    let product = Product::ALL.into_iter().find(|product| product.word() == wanted).ok_or_else(Failure::not_found)?;
    let region = image["region"].as_str().unwrap_or_default().to_owned();
    let said = OverrideRequest { image_id: call.part("image_id").to_owned(), region, product, is, reason };
    Ok(rest.backend()?.override_image(speaks_for(call)?.as_deref(), said, &call.principal()?.name).await?)
}

async fn set(rest: Rest, call: Call) -> Result<Response, Failure> {
    let Said { is, reason } = call.json()?;
    let image = find(&rest, &call).await?;
    say(&rest, &call, &image, Some(is), reason).await?;
    Ok(answer::json(StatusCode::OK, &find(&rest, &call).await?))
}

async fn remove(rest: Rest, call: Call) -> Result<Response, Failure> {
    let image = find(&rest, &call).await?;
    let whose = speaks_for(&call)?;
    let is_it =
        |said: &Value| said["product"] == call.part("product") && said["tenant"].as_str() == whose.as_deref() && !said["is"].is_null();
    if !image["overrides"].as_array().is_some_and(|overrides| overrides.iter().any(is_it)) {
        return Err(Failure::not_found());
    }
    say(&rest, &call, &image, None, None).await?;
    Ok(answer::no_content())
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::UtcSecond;
    use cloudigrade_schemas::image::{Evidence, RHEL_TAG};

    use super::*;
    use crate::rest::conform::faults;

    #[test]
    fn evidence_is_described_as_it_is_told_with_the_account_of_a_tag_and_without() {
        let tag = |account_id: Option<&str>| Evidence {
            kind: Evidence::TAG.to_owned(),
            product: Product::Rhel,
            found: true,
            detail: RHEL_TAG.to_owned(),
            source: "s3://b/k#1".to_owned(),
            account_id: account_id.map(str::to_owned),
            at: UtcSecond(1_708_430_400),
        };
        for told in [tag(Some("123456789012")), tag(None)] {
            assert_eq!(faults(&schema()["properties"]["evidence"]["items"], &json!(told)), [""; 0]);
        }
    }
}
