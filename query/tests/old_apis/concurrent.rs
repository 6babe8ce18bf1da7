//! How many instances ran at once, in the second API.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::backend::{ALICE, BOB};
use crate::world::{World, each};

const PATH: &str = "/api/cloudigrade/v2/concurrent/";
const ANY: &str = "_ANY";

/// The count of one combination on one day.
fn count(day: &Value, [arch, role, sla, usage, service_type]: [&str; 5]) -> Option<i64> {
    let key = json!([arch, role, sla, usage, service_type]);
    let of = |count: &&Value| json!([count["arch"], count["role"], count["sla"], count["usage"], count["service_type"]]) == key;
    let found: Vec<&Value> = day["maximum_counts"].as_array().unwrap().iter().filter(of).collect();
    assert!(found.len() <= 1, "{key} is there {} times", found.len());
    found.first().and_then(|count| count["instances_count"].as_i64())
}

#[tokio::test]
async fn the_most_at_once_is_told_for_each_combination() {
    let world = World::new().await;
    let report = world.get(&format!("{PATH}?start_date=2024-02-01&end_date=2024-02-05"), ALICE).await;
    let days = &report["data"];
    assert_eq!(each(days, "date"), ["2024-02-01", "2024-02-02", "2024-02-03", "2024-02-04"]);
    // Three at midnight: two of one image, and one of another architecture without a role.
    let second = &days[1];
    for (key, expected) in [
        ([ANY, ANY, ANY, ANY, ANY], Some(3)),
        (["x86_64", ANY, ANY, ANY, ANY], Some(2)),
        (["arm64", ANY, "Premium", "", ANY], Some(1)),
        ([ANY, "server", ANY, ANY, ""], Some(2)),
        ([ANY, "", "Premium", "", ""], Some(1)),
        ([ANY, ANY, "Premium", "", ""], Some(3)),
        (["x86_64", "server", ANY, ANY, ANY], None),
        (["x86_64", ANY, "", ANY, ANY], None),
    ] {
        assert_eq!(count(second, key), expected, "{key:?}");
    }
    assert_eq!(second["maximum_counts"].as_array().unwrap().len(), 5 * 8);
    // One profile alone has all 24.
    for day in [&days[0], &days[2]] {
        let counts = day["maximum_counts"].as_array().unwrap();
        assert_eq!(counts.len(), 24);
        assert!(counts.iter().all(|count| count["instances_count"] == 1));
        assert_eq!(counts.iter().map(Value::to_string).collect::<BTreeSet<_>>().len(), 24);
    }
    assert_eq!(days[3]["maximum_counts"], json!([]));
}

#[tokio::test]
async fn a_day_is_half_open_and_what_stops_as_another_starts_is_not_beside_it() {
    let world = World::new().await;
    let report = world.get(&format!("{PATH}?start_date=2024-02-04&end_date=2024-02-08"), BOB).await;
    let most: Vec<_> = report["data"].as_array().unwrap().iter().map(|day| count(day, [ANY; 5])).collect();
    // What the cloud bills for does not count; the run that ends at midnight is none of the next day.
    assert_eq!(most, [None, Some(1), Some(1), None]);
}

#[tokio::test]
async fn days_come_in_pages_and_only_those_that_have_passed() {
    let world = World::new().await;
    let page = world.get(&format!("{PATH}?start_date=2024-02-01&end_date=2024-03-03&offset=10"), ALICE).await;
    assert_eq!((&page["meta"], page["data"].as_array().unwrap().len()), (&json!({"count": 31}), 10));
    let base = format!("http://{}{PATH}?start_date=2024-02-01&end_date=2024-03-03&limit=10&offset=", world.server.address);
    let links = ["first", "next", "previous", "last"].map(|name| page["links"][name].as_str().unwrap());
    assert_eq!(links, [0, 20, 0, 21].map(|offset| format!("{base}{offset}")));
    assert_eq!(page["data"][0]["date"], "2024-02-11");

    let yesterday = world.get(PATH, ALICE).await;
    assert_eq!(yesterday["data"], json!([{"date": "2029-12-31", "maximum_counts": []}]));
    assert_eq!((&yesterday["links"]["next"], &yesterday["links"]["previous"]), (&json!(null), &json!(null)));
    assert_eq!(world.get(&format!("{PATH}?start_date=2024-02-03&end_date=2024-02-01"), ALICE).await["data"], json!([]));
    // Long ago is answered too.
    assert_eq!(world.get(&format!("{PATH}?start_date=0001-01-01&end_date=0001-01-03"), ALICE).await["meta"]["count"], 2);
    for (query, told) in [
        ("start_date=2030-01-01", json!({"start_date": ["start_date cannot be today or in the future."]})),
        ("end_date=2030-01-02", json!({"end_date": ["end_date cannot be in the future."]})),
        ("start_date=02/01/2024", json!({"start_date": ["start_date must be a date (YYYY-MM-DD)."]})),
        ("end_date=2024-02-01T00:00", json!({"end_date": ["end_date must be a date (YYYY-MM-DD)."]})),
    ] {
        world.refuses(&format!("{PATH}?{query}"), ALICE, 400, told).await;
    }
}
