//! Instances, events, users and settings of the first API.

use cloudigrade_query::ids;
use serde_json::{Value, json};

use crate::backend::{ALICE, BOB, ROOT};
use crate::world::{BETA, SHARED, World, acme, each};

#[tokio::test]
async fn instances_and_their_events_are_shown_with_links_to_each_other() {
    let world = World::new().await;
    let base = format!("http://{}", world.server.address);
    let id = ids::instance_id(SHARED, "eu-west-1", "i-1");
    let url = format!("{base}/api/v1/instance/{id}/");
    let expected = json!({
        "account": format!("{base}/api/v1/account/{}/", acme(SHARED)),
        "account_id": acme(SHARED),
        "created_at": "2024-02-01T10:00:00Z",
        "ec2_instance_id": "i-1",
        "id": id,
        "region": "eu-west-1",
        "resourcetype": "AwsInstance",
        "updated_at": "2024-02-02T06:00:00Z",
        "url": url,
    });
    assert_eq!(world.get(&format!("/api/v1/instance/{id}/"), ALICE).await, expected);
    let all = world.get("/api/v1/instance/", ALICE).await;
    assert_eq!((&all["count"], all["results"].as_array().unwrap().len()), (&json!(6), 6));
    assert!(all["results"].as_array().unwrap().contains(&expected));

    let events = world.get(&format!("/api/v1/event/?instance_id={id}"), ALICE).await;
    let image = ids::image_id("ami-rhel");
    let start = ids::event_id(SHARED, "eu-west-1", "i-1", "event-i-1-1706781600");
    let started = json!({
        "event_type": "power_on",
        "id": start,
        "instance": url,
        "instance_id": id,
        "instance_type": "m5.large",
        "machineimage": format!("{base}/api/v1/image/{image}/"),
        "machineimage_id": image,
        "occurred_at": "2024-02-01T10:00:00Z",
        "resourcetype": "AwsInstanceEvent",
        "subnet": null,
        "url": format!("{base}/api/v1/event/{start}/"),
    });
    assert_eq!((&events["count"], &events["results"][0]), (&json!(2), &started));
    assert_eq!((&events["results"][1]["event_type"], &events["results"][1]["machineimage"]), (&json!("power_off"), &json!(null)));
    assert_eq!(world.get(&format!("/api/v1/event/{start}/"), ALICE).await, started);
    let second = world.get("/api/v1/event/?limit=5&offset=10", ALICE).await;
    assert_eq!((&second["count"], second["results"].as_array().unwrap().len(), &second["next"]), (&json!(12), 2, &json!(null)));

    // The same AWS account is another account for the other tenant; what is not theirs is not there.
    let theirs = world.get(&format!("/api/v1/instance/{id}/"), BOB).await;
    assert_eq!(theirs["account_id"], ids::account_id("beta", SHARED));
    let foreign = ids::instance_id(BETA, "eu-west-1", "i-7");
    for path in [format!("/api/v1/instance/{foreign}/"), "/api/v1/instance/7/".to_owned(), "/api/v1/event/7/".to_owned()] {
        world.refuses(&path, ALICE, 404, json!({"detail": "Not found."})).await;
    }
    assert_eq!(world.get(&format!("/api/v1/event/?instance_id={foreign}"), ALICE).await["count"], 0);
    let bobs = ids::user_id("bob");
    assert_eq!(world.get(&format!("/api/v1/instance/?user_id={bobs}"), ALICE).await["count"], 6);
    assert_eq!(world.get("/api/v1/instance/", ROOT).await["count"], 10);
    assert_eq!(world.get(&format!("/api/v1/event/?user_id={bobs}&instance_id={foreign}"), ROOT).await["count"], 2);
    assert_eq!(world.get(&format!("/api/v1/instance/?user_id={}", ids::user_id("root")), ROOT).await["count"], 0);
}

#[tokio::test]
async fn superusers_see_users_with_what_their_tenants_have_and_others_do_not() {
    let world = World::new().await;
    let path = format!("/api/v1/image/{}/", ids::image_id("ami-plain"));
    let body = json!({"resourcetype": "AwsMachineImage", "rhel_challenged": true, "openshift_challenged": true});
    world.server.ask("PATCH", &path, ALICE, Some(&body)).await.ok(200);
    let users = world.get("/api/v1/user/", ROOT).await;
    assert_eq!(each(&users, "username"), ["root", "anna", "alice", "bob"]);
    assert_eq!(each(&users, "accounts"), [0, 3, 3, 2]);
    assert_eq!(each(&users, "challenged_images"), [0, 1, 1, 0]);
    let alice = json!({"accounts": 3, "challenged_images": 1, "id": ids::user_id("alice"), "is_superuser": false, "username": "alice"});
    assert_eq!(world.get(&format!("/api/v1/user/{}/", ids::user_id("alice")), ROOT).await, alice);
    world.refuses("/api/v1/user/7/", ROOT, 404, json!({"detail": "Not found."})).await;
    for path in ["/api/v1/user/", "/api/v1/user/7/"] {
        world.refuses(path, ALICE, 403, json!({"detail": "You do not have permission to perform this action."})).await;
    }
}

#[tokio::test]
async fn settings_tell_what_a_role_must_trust_and_allow() {
    let world = World::new().await;
    let told: Value = world.get("/api/v1/sysconfig/", ALICE).await;
    assert_eq!(told["aws_account_id"], "999999999999");
    assert_eq!(told["aws_external_id"], "external-acme");
    assert_eq!(told["aws_policies"]["traditional_inspection"]["Version"], "2012-10-17");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
}
