//! The other resources of the second API, and who may read them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloudigrade_query::ids;
use cloudigrade_query::rest::RestOptions;
use serde_json::{Value, json};

use crate::backend::ALICE;
use crate::server::Answer;
use crate::world::{BETA, SHARED, World, acme, each};

const BASE: &str = "/api/cloudigrade/v2/";

fn trusting() -> RestOptions {
    RestOptions { identity: true, proxies: vec![[127, 0, 0, 1].into()], ..RestOptions::default() }
}

/// Asks with an identity that a proxy vouches for.
async fn ask(world: &World, path: &str, identity: &Value) -> Answer {
    let header = format!("X-RH-IDENTITY: {}\r\n", STANDARD.encode(identity.to_string()));
    world.server.send("GET", &format!("{BASE}{path}"), &header, b"").await
}

#[tokio::test]
async fn whom_a_trusted_proxy_vouches_for_reads_what_is_theirs() {
    let world = World::start(trusting()).await;
    let acme_identity = json!({"identity": {"account_number": "acme"}});
    let account = ask(&world, &format!("accounts/{}/", acme(SHARED)), &acme_identity).await.ok(200);
    assert_eq!(
        account,
        json!({
            "account_id": acme(SHARED),
            "created_at": "2024-01-01T00:00:00Z",
            "updated_at": "2024-01-01T00:00:00Z",
            "user_id": ids::user_id("alice"),
            "cloud_type": "aws",
            "content_object": {
                "aws_cloud_account_id": acme(SHARED),
                "account_arn": format!("arn:aws:iam::{SHARED}:role/cloudigrade"),
                "aws_account_id": SHARED,
                "created_at": "2024-01-01T00:00:00Z",
                "updated_at": "2024-01-01T00:00:00Z",
            },
            "is_enabled": true,
            "platform_authentication_id": null,
            "platform_application_id": null,
            "platform_application_is_paused": false,
            "platform_source_id": null,
        })
    );
    let list = ask(&world, "accounts/?limit=2", &json!({"identity": {"org_id": "org-acme"}})).await.ok(200);
    assert_eq!((&list["meta"]["count"], &list["data"][0]), (&json!(3), &account));
    assert!(list["links"]["last"].as_str().unwrap().ends_with("limit=2&offset=1"), "{}", list["links"]);

    let told = |answer: Answer| (answer.status, answer.json()["detail"].as_str().unwrap_or_default().to_owned());
    let foreign = ask(&world, &format!("accounts/{}/", ids::account_id("beta", BETA)), &acme_identity).await;
    assert_eq!(told(foreign), (404, "Not found.".to_owned()));
    let neither = "Authentication Failed: identity account number or org id is required, but neither is present in request.";
    assert_eq!(told(ask(&world, "accounts/", &json!({"identity": {}})).await), (403, neither.to_owned()));
    let parsing = "Authentication Failed: invalid identity header failed parsing.";
    assert_eq!(told(ask(&world, "accounts/", &json!("x")).await), (403, parsing.to_owned()));
    let stranger = json!({"identity": {"account_number": "nobody"}});
    assert_eq!(ask(&world, "accounts/", &stranger).await.status, 403);
    assert_eq!(ask(&world, "concurrent/", &stranger).await.status, 403);
    // Who is not known here may learn what to allow.
    let config = ask(&world, "sysconfig/", &stranger).await.ok(200);
    assert_eq!((&config["aws_account_id"], &config["azure_offer_template_path"]), (&json!("999999999999"), &json!(null)));
    assert_eq!(world.server.ask("POST", &format!("{BASE}accounts/"), ALICE, Some(&json!({}))).await.status, 405);

    // Where no proxy is trusted, the header is nothing.
    let untrusting = World::new().await;
    assert_eq!(ask(&untrusting, "accounts/", &acme_identity).await.status, 401);
    assert_eq!(untrusting.get(&format!("{BASE}accounts/"), ALICE).await["meta"]["count"], 3);
}

#[tokio::test]
async fn instances_are_shown_and_cut_to_those_that_run_since_a_moment() {
    let world = World::new().await;
    let id = ids::instance_id(SHARED, "eu-west-1", "i-1");
    let expected = json!({
        "cloud_account_id": acme(SHARED),
        "created_at": "2024-02-01T10:00:00Z",
        "instance_id": id,
        "machine_image_id": ids::image_id("ami-rhel"),
        "updated_at": "2024-02-02T06:00:00Z",
        "cloud_type": "aws",
        "content_object": {"aws_instance_id": id, "ec2_instance_id": "i-1", "region": "eu-west-1"},
    });
    assert_eq!(world.get(&format!("{BASE}instances/{id}/"), ALICE).await, expected);
    let list = world.get(&format!("{BASE}instances/"), ALICE).await;
    assert_eq!(list["meta"]["count"], 6);
    assert!(list["data"].as_array().unwrap().contains(&expected));
    // None of them runs still.
    let running = world.get(&format!("{BASE}instances/?running_since=2024-02-02T00:00:00Z"), ALICE).await;
    assert_eq!(running["data"], json!([]));
    assert_eq!(world.server.get(&format!("{BASE}instances/?running_since=x"), ALICE).await.status, 400);
}

#[tokio::test]
async fn images_are_shown_with_what_is_known_and_cut_by_architecture_and_status() {
    let world = World::new().await;
    let image = world.get(&format!("{BASE}images/{}/", ids::image_id("ami-ocp")), ALICE).await;
    let fields = ["architecture", "rhel", "rhel_detected", "rhel_detected_by_tag", "openshift", "rhel_version", "inspection_json"];
    let expected = [json!("arm64"), json!(true), json!(true), json!(true), json!(true), json!("9.4"), json!(null)];
    assert_eq!(fields.map(|field| image[field].clone()), expected);
    assert_eq!(image["syspurpose"], json!({"role": null, "service_level_agreement": "Premium", "usage": null, "service_type": null}));
    let of_aws = &image["content_object"];
    assert_eq!((&of_aws["ec2_ami_id"], &of_aws["platform_details"]), (&json!("ami-ocp"), &json!("Linux/UNIX")));
    assert_eq!(of_aws["product_codes"], json!(["marketplace:x"]));
    let names = async |query: &str| {
        let list = world.get(&format!("{BASE}images/?{query}"), ALICE).await;
        let mut names: Vec<String> =
            each(&list["data"], "content_object").iter().map(|of_aws| of_aws["ec2_ami_id"].as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names("").await, ["ami-ocp", "ami-plain", "ami-rhel", "ami-unheard"]);
    assert_eq!(names("architecture=arm64").await, ["ami-ocp"]);
    assert_eq!(names("architecture=%27%20OR%20true%20--").await, [""; 0]);
    assert_eq!(names("status=pending").await, ["ami-unheard"]);
    let refused = json!({"status": ["Select a valid choice. lost is not one of the available choices."]});
    world.refuses(&format!("{BASE}images/?status=lost"), ALICE, 400, refused).await;
}
