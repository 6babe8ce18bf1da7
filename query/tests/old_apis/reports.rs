//! The reports of the first API, against what was counted by hand.

use cloudigrade_query::ids;
use serde_json::{Value, json};

use crate::backend::{ALICE, BOB, ROOT};
use crate::world::{BETA, EMPTY, SHARED, STAGING, World, acme, each};

const FEBRUARY: &str = "start=2024-02-01T00:00:00Z&end=2024-03-01T00:00:00Z";
const HOUR: i64 = 3600;

fn day(date: &str, rhel: [Value; 4], openshift: [Value; 4]) -> Value {
    let mut day = json!({"date": format!("{date}T00:00:00Z")});
    for (word, values) in [("rhel", rhel), ("openshift", openshift)] {
        let fields = ["instances", "runtime_seconds", "vcpu_seconds", "memory_seconds"];
        for (field, value) in fields.into_iter().zip(values) {
            day[format!("{word}_{field}")] = value;
        }
    }
    day
}

/// So many instances, and seconds of m5.large: 2 vCPU and 8 GiB.
fn large(instances: i64, seconds: i64) -> [Value; 4] {
    [instances, seconds, seconds * 2, seconds * 8].map(Value::from)
}

#[tokio::test]
async fn usage_by_day_is_what_was_counted_by_hand_and_days_begin_at_midnight() {
    let world = World::new().await;
    // The end's time of day is before the start's.
    let report = world.get("/api/v1/report/instances/?start=2024-02-01T12:00:00Z&end=2024-02-03T06:00:00%2B01:00", ALICE).await;
    let unknown = [json!(1), json!(2 * HOUR), json!(null), json!(null)];
    assert_eq!(
        report,
        json!({
            "instances_seen_with_rhel": 4,
            "instances_seen_with_openshift": 1,
            "daily_usage": [
                day("2024-02-01", large(1, 12 * HOUR), large(0, 0)),
                // i-1 until six, i-2 for an hour, and half an hour in the other account.
                day("2024-02-02", large(3, 7 * HOUR + HOUR / 2), large(1, HOUR)),
                // A type of unknown size runs, and weighs nobody knows what.
                day("2024-02-03", unknown, large(0, 0)),
            ],
        })
    );
    // Days on which nothing ran are there; nothing lies in the future.
    let quiet = world.get("/api/v1/report/instances/?start=2024-04-01&end=2024-04-03", ALICE).await;
    assert_eq!(quiet["daily_usage"], json!([day("2024-04-01", large(0, 0), large(0, 0)), day("2024-04-02", large(0, 0), large(0, 0))]));
    let future = world.get("/api/v1/report/instances/?start=2029-12-31T12:00:00&end=2031-01-01", ALICE).await;
    assert_eq!(each(&future["daily_usage"], "date"), ["2029-12-31T00:00:00Z"]);
    for span in ["start=2030-06-01&end=2031-01-01", "start=2024-02-02&end=2024-02-02"] {
        let nothing = world.get(&format!("/api/v1/report/instances/?{span}"), ALICE).await;
        assert_eq!(nothing, json!({"instances_seen_with_rhel": 0, "instances_seen_with_openshift": 0, "daily_usage": []}), "{span}");
    }
}

#[tokio::test]
async fn usage_by_account_tells_unknown_from_none() {
    let world = World::new().await;
    let path = |rest: &str| format!("/api/v1/report/accounts/?{rest}");
    let report = world.get(&path(FEBRUARY), ALICE).await;
    let overviews = &report["cloud_account_overviews"];
    assert_eq!(each(overviews, "cloud_account_id"), [SHARED, STAGING, EMPTY]);
    assert_eq!(
        overviews[0],
        json!({
            "id": acme(SHARED),
            "cloud_account_id": SHARED,
            "user_id": ids::user_id("alice"),
            "type": "aws",
            "arn": format!("arn:aws:iam::{SHARED}:role/cloudigrade"),
            "creation_date": "2024-01-01T00:00:00Z",
            "name": "Production EU",
            "images": 4,
            "instances": 5,
            "rhel_instances": 3,
            "openshift_instances": 1,
            "rhel_runtime_seconds": 23 * HOUR,
            "openshift_runtime_seconds": HOUR,
            "rhel_images_challenged": 0,
            "openshift_images_challenged": 0,
            // Two hours of a type of unknown size are in no weighed sum.
            "rhel_memory_seconds": 21 * HOUR * 8,
            "openshift_memory_seconds": HOUR * 8,
            "rhel_vcpu_seconds": 21 * HOUR * 2,
            "openshift_vcpu_seconds": HOUR * 2,
        })
    );
    // Registered in March. What ran in February is known of the one; of the other nothing is.
    let counts = |overview: &Value| {
        ["images", "instances", "rhel_instances", "rhel_runtime_seconds", "rhel_vcpu_seconds"].map(|field| overview[field].clone())
    };
    assert_eq!(counts(&overviews[1]), [1, 1, 1, HOUR / 2, HOUR].map(Value::from));
    assert_eq!(counts(&overviews[2]), [const { Value::Null }; 5]);
    let april = world.get(&path("start=2024-04-01&end=2024-05-01"), ALICE).await;
    for overview in april["cloud_account_overviews"].as_array().unwrap() {
        assert_eq!(counts(overview), [0; 5].map(Value::from));
    }
    let future = world.get(&path("start=2031-01-01&end=2032-01-01"), ALICE).await;
    assert_eq!(counts(&future["cloud_account_overviews"][0]), [const { Value::Null }; 5]);

    let challenge = json!({"resourcetype": "AwsMachineImage", "openshift_challenged": true});
    let image = format!("/api/v1/image/{}/", ids::image_id("ami-rhel"));
    world.server.ask("PATCH", &image, ALICE, Some(&challenge)).await.ok(200);
    for (token, challenged) in [(ALICE, [1, 0]), (BOB, [0, 0]), (ROOT, [1, 0])] {
        let report = world.get(&path(FEBRUARY), token).await;
        let of_shared = report["cloud_account_overviews"].as_array().unwrap().iter().find(|one| one["cloud_account_id"] == SHARED).unwrap();
        let told = [&of_shared["openshift_images_challenged"], &of_shared["rhel_images_challenged"]];
        assert_eq!(told, challenged);
    }
}

#[tokio::test]
async fn usage_by_image_is_of_one_account_and_a_foreign_one_has_none() {
    let world = World::new().await;
    let path = |account: i64| format!("/api/v1/report/images/?{FEBRUARY}&account_id={account}");
    let report = world.get(&path(acme(SHARED)), ALICE).await;
    let images = &report["images"];
    assert_eq!(each(images, "cloud_image_id"), ["ami-ocp", "ami-plain", "ami-rhel", "ami-unheard"]);
    assert_eq!(
        images[2],
        json!({
            "id": ids::image_id("ami-rhel"),
            "cloud_image_id": "ami-rhel",
            "name": "name of ami-rhel",
            "status": "inspected",
            "is_encrypted": false,
            "rhel": true,
            "rhel_detected": true,
            "rhel_challenged": false,
            "openshift": false,
            "openshift_detected": false,
            "openshift_challenged": false,
            "instances_seen": 2,
            "runtime_seconds": 22 * HOUR,
            "memory_seconds": 20 * HOUR * 8,
            "vcpu_seconds": 20 * HOUR * 2,
        })
    );
    assert_eq!((&images[3]["rhel"], &images[3]["status"], &images[3]["runtime_seconds"]), (&json!(null), &json!("pending"), &json!(HOUR)));
    for (token, account) in [(ALICE, ids::account_id("beta", BETA)), (BOB, acme(SHARED)), (ALICE, 7), (ALICE, acme(EMPTY))] {
        assert_eq!(world.get(&path(account), token).await, json!({"images": []}), "{account}");
    }
    let required = json!({"account_id": ["This field is required."]});
    world.refuses(&format!("/api/v1/report/images/?{FEBRUARY}"), ALICE, 400, required).await;
}

#[tokio::test]
async fn the_three_reports_agree_with_each_other_and_with_the_report_of_usage() {
    let world = World::new().await;
    let sum = |list: &Value, field: &str| list.as_array().unwrap().iter().filter_map(|item| item[field].as_i64()).sum::<i64>();
    for token in [ALICE, BOB, ROOT] {
        let days = world.get(&format!("/api/v1/report/instances/?{FEBRUARY}"), token).await;
        let accounts = world.get(&format!("/api/v1/report/accounts/?{FEBRUARY}"), token).await;
        let overviews = &accounts["cloud_account_overviews"];
        for product in ["rhel", "openshift"] {
            let path = format!("/api/v1/report/usage?{FEBRUARY}&granularity=month&product={product}");
            let usage = world.get(&path, token).await["rows"][0].clone();
            let seen = &days[format!("instances_seen_with_{product}")];
            assert_eq!((seen, &json!(sum(overviews, &format!("{product}_instances")))), (&usage["instances"], seen), "{token} {product}");
            for (weight, column) in
                [("runtime_seconds", "runtime_seconds"), ("vcpu_seconds", "vcpu_seconds"), ("memory_seconds", "memory_mib_seconds")]
            {
                let (field, unit) = (format!("{product}_{weight}"), if weight == "memory_seconds" { 1024 } else { 1 });
                let mut of_images = 0;
                for account in each(overviews, "id") {
                    let path = format!("/api/v1/report/images/?{FEBRUARY}&account_id={account}");
                    let images = world.get(&path, token).await["images"].clone();
                    let counted: Vec<&Value> = images.as_array().unwrap().iter().filter(|image| image[product] == true).collect();
                    of_images += sum(&json!(counted), weight);
                }
                let told = [sum(&days["daily_usage"], &field) * unit, sum(overviews, &field) * unit, of_images * unit];
                assert_eq!(told.map(Value::from), [(); 3].map(|()| usage[column].clone()), "{token} {field}");
            }
        }
    }
}

#[tokio::test]
async fn reports_are_cut_to_accounts_names_and_users() {
    let world = World::new().await;
    let accounts = async |rest: &str, token: &str| {
        let report = world.get(&format!("/api/v1/report/accounts/?{FEBRUARY}{rest}"), token).await;
        let ids: Vec<String> =
            each(&report["cloud_account_overviews"], "cloud_account_id").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        ids
    };
    let rhel = async |rest: &str, token: &str| {
        let report = world.get(&format!("/api/v1/report/instances/?{FEBRUARY}{rest}"), token).await;
        report["daily_usage"].as_array().unwrap().iter().map(|day| day["rhel_runtime_seconds"].as_i64().unwrap()).sum::<i64>()
    };
    assert_eq!(accounts("&name_pattern=PROD", ALICE).await, [SHARED]);
    assert_eq!(accounts("&name_pattern=xyz+stag", ALICE).await, [STAGING]);
    assert_eq!(accounts("&name_pattern=+", ALICE).await.len(), 3);
    assert_eq!(accounts(&format!("&name_pattern=stag&account_id={}", acme(SHARED)), ALICE).await, [""; 0]);
    assert_eq!(rhel("&name_pattern=stag", ALICE).await, HOUR / 2);
    assert_eq!(rhel(&format!("&account_id={}", acme(STAGING)), ALICE).await, HOUR / 2);
    assert_eq!(rhel(&format!("&account_id={}", ids::account_id("beta", BETA)), ALICE).await, 0);

    // An AWS account of two tenants is counted once, and shown as the first one's, or as whose is asked for.
    assert_eq!(accounts("", ROOT).await, [SHARED, BETA, STAGING, EMPTY]);
    let bobs = format!("&user_id={}", ids::user_id("bob"));
    assert_eq!(accounts(&bobs, ROOT).await, [BETA, SHARED]);
    assert_eq!(accounts(&bobs, ALICE).await, [SHARED, STAGING, EMPTY]);
    assert_eq!(accounts("&user_id=7", ROOT).await, [""; 0]);
    let theirs = 10 * HOUR + 14 * HOUR + HOUR;
    assert_eq!(rhel("", ROOT).await, 23 * HOUR + HOUR / 2 + theirs);
    assert_eq!(rhel(&bobs, ROOT).await, theirs + 23 * HOUR);

    let path = |rest: &str| format!("/api/v1/report/instances/?{rest}");
    let required = "This field is required.";
    world.refuses(&path(""), ALICE, 400, json!({"start": [required], "end": [required]})).await;
    world.refuses(&path("end=2024-02-01"), ALICE, 400, json!({"start": [required]})).await;
    let reversed = json!({"non_field_errors": ["End date must be after start date."]});
    world.refuses(&path("start=2024-02-02&end=2024-02-01"), ALICE, 400, reversed).await;
    let wrong = json!({"end": ["Datetime has wrong format. Use ISO-8601, such as 2024-02-01T00:00:00Z."]});
    world.refuses(&path("start=2024-02-02&end=tomorrow"), ALICE, 400, wrong).await;
    world.refuses(&path(&format!("{FEBRUARY}&account_id=x")), ALICE, 400, json!({"account_id": ["A valid integer is required."]})).await;
    world.refuses(&path(&format!("{FEBRUARY}&user_id=x")), ROOT, 400, json!({"user_id": ["user_id must be an integer."]})).await;
}
