//! Images of the first API, and challenges.

use cloudigrade_query::ids;
use serde_json::{Value, json};

use crate::backend::{ALICE, BOB, READER, ROOT};
use crate::world::{World, each};

const LIST: &str = "/api/v1/image/";

fn one(image: &str) -> String {
    format!("{LIST}{}/", ids::image_id(image))
}

async fn rhel_seconds(world: &World, token: &str) -> Value {
    let path = "/api/v1/report/instances/?start=2024-02-01&end=2024-03-01";
    let report = world.get(path, token).await;
    json!(report["daily_usage"].as_array().unwrap().iter().map(|day| day["rhel_runtime_seconds"].as_i64().unwrap()).sum::<i64>())
}

#[tokio::test]
async fn the_images_of_ones_own_instances_are_shown_and_unknown_is_null() {
    let world = World::new().await;
    let all = world.get(LIST, ALICE).await;
    assert_eq!(all["count"], 4);
    let shown: Vec<i64> = each(&all["results"], "id").iter().map(|id| id.as_i64().unwrap()).collect();
    assert!(shown.is_sorted(), "{shown:?}");
    let findings = "{\"rhel_found\":true,\"rhel_release_files_found\":true,\"rhel_signed_packages_found\":false}";
    let (path, url) = (one("ami-rhel"), format!("http://{}{}", world.server.address, one("ami-rhel")));
    let image = world.get(&path, ALICE).await;
    assert_eq!(
        image,
        json!({
            "created_at": "2024-02-01T10:00:00Z",
            "ec2_ami_id": "ami-rhel",
            "id": ids::image_id("ami-rhel"),
            "inspection_json": findings,
            "is_cloud_access": false,
            "is_encrypted": false,
            "is_marketplace": false,
            "name": "name of ami-rhel",
            "openshift": false,
            "openshift_challenged": false,
            "openshift_detected": false,
            "owner_aws_account_id": "000000000099",
            "platform": "none",
            "resourcetype": "AwsMachineImage",
            "rhel": true,
            "rhel_challenged": false,
            "rhel_detected": true,
            "rhel_enabled_repos_found": null,
            "rhel_product_certs_found": null,
            "rhel_release_files_found": true,
            "rhel_signed_packages_found": false,
            "status": "inspected",
            "updated_at": image["updated_at"],
            "url": url,
        })
    );
    let unheard = world.get(&one("ami-unheard"), ALICE).await;
    assert_eq!((&unheard["rhel"], &unheard["rhel_detected"], &unheard["status"]), (&json!(null), &json!(null), &json!("pending")));
    // What the cloud bills for itself is there, and does not count.
    let payg = world.get(&one("ami-payg"), BOB).await;
    assert_eq!((&payg["rhel"], &payg["rhel_detected"], &payg["rhel_challenged"]), (&json!(false), &json!(true), &json!(false)));
    world.refuses(&one("ami-payg"), ALICE, 404, json!({"detail": "Not found."})).await;
    assert_eq!(world.get(&format!("{LIST}?user_id={}", ids::user_id("alice")), ROOT).await["count"], 4);
}

#[tokio::test]
async fn a_challenge_inverts_what_is_detected_at_once_for_ones_own_tenant_alone() {
    let world = World::new().await;
    let challenge = async |method: &str, image: &str, token: &str, flags: Value| {
        let mut body = json!({"resourcetype": "AwsMachineImage"});
        body.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
        world.server.ask(method, &one(image), token, Some(&body)).await.ok(200)
    };
    let flags = |image: &Value, product: &str| ["", "_detected", "_challenged"].map(|which| image[format!("{product}{which}")].as_bool());
    let (before, bobs) = (rhel_seconds(&world, ALICE).await, rhel_seconds(&world, BOB).await);
    let image = challenge("PATCH", "ami-rhel", ALICE, json!({"rhel_challenged": true})).await;
    assert_eq!(flags(&image, "rhel"), [Some(false), Some(true), Some(true)]);
    assert_eq!(world.server.backend.asked(), ["override ami-rhel rhel Some(false) of Some(\"acme\") by alice"]);
    assert_ne!(rhel_seconds(&world, ALICE).await, before);
    assert_eq!(rhel_seconds(&world, BOB).await, bobs);
    assert_eq!(flags(&world.get(&one("ami-rhel"), BOB).await, "rhel"), [Some(true), Some(true), Some(false)]);

    // The same once more asks for nothing; PATCH leaves what it does not name, PUT takes it back.
    challenge("PATCH", "ami-rhel", ALICE, json!({"rhel_challenged": true})).await;
    assert_eq!(world.server.backend.asked(), [""; 0]);
    let image = challenge("PATCH", "ami-rhel", ALICE, json!({"openshift_challenged": true})).await;
    assert_eq!((flags(&image, "rhel")[2], flags(&image, "openshift")), (Some(true), [Some(true), Some(false), Some(true)]));
    let image = challenge("PUT", "ami-rhel", ALICE, json!({"openshift_challenged": true})).await;
    assert_eq!((flags(&image, "rhel"), flags(&image, "openshift")[2]), ([Some(true), Some(true), Some(false)], Some(true)));
    challenge("PUT", "ami-rhel", ALICE, json!({})).await;
    assert_eq!(rhel_seconds(&world, ALICE).await, before);
    assert_eq!(
        world.server.backend.asked(),
        [
            "override ami-rhel openshift Some(true) of Some(\"acme\") by alice",
            "override ami-rhel rhel None of Some(\"acme\") by alice",
            "override ami-rhel openshift None of Some(\"acme\") by alice",
        ]
    );

    // A superuser speaks for all, or for whom they name.
    challenge("PATCH", "ami-plain", ROOT, json!({"rhel_challenged": true})).await;
    assert_eq!(flags(&world.get(&one("ami-plain"), ALICE).await, "rhel"), [Some(true), Some(false), Some(false)]);
    let path = format!("{}?user_id={}", one("ami-rhel"), ids::user_id("bob"));
    let body = json!({"resourcetype": "AwsMachineImage", "rhel_challenged": true});
    world.server.ask("PATCH", &path, ROOT, Some(&body)).await.ok(200);
    assert_eq!(world.server.backend.asked().last().unwrap(), "override ami-rhel rhel Some(false) of Some(\"beta\") by root");

    let refuses = async |token: &str, body: Value, status: u16, told: Value| {
        let answer = world.server.ask("PATCH", &one("ami-rhel"), token, Some(&body)).await;
        assert_eq!((answer.status, answer.json()), (status, told), "{body}");
    };
    refuses(ALICE, json!({"rhel_challenged": true}), 400, json!({"resourcetype": ["This field is required."]})).await;
    refuses(
        ALICE,
        json!({"resourcetype": "AwsMachineImage", "rhel_challenged": "maybe"}),
        400,
        json!({"rhel_challenged": ["Must be a valid boolean."]}),
    )
    .await;
    assert_eq!(world.server.ask("PATCH", &one("ami-rhel"), READER, Some(&body)).await.status, 403);
    assert_eq!(world.server.ask("PATCH", &one("ami-payg"), ALICE, Some(&body)).await.status, 404);
    let form = format!("Authorization: Token {ALICE}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let answer = world.server.send("PATCH", &one("ami-rhel"), &form, b"resourcetype=AwsMachineImage&rhel_challenged=true").await;
    assert_eq!(flags(&answer.ok(200), "rhel")[2], Some(true));
}
