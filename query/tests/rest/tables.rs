//! What the tables hold, and what is said against it.

use cloudigrade_query::rest::RestOptions;
use serde_json::{Value, json};

use crate::backend::{ACME_ACCOUNT, ALICE, BETA_ACCOUNT, BOB, READER, ROOT};
use crate::{MARCH, accounts_of, start};

#[tokio::test]
async fn dead_letters_are_settled() {
    let (_folder, server) = start(RestOptions::default()).await;
    let settle = async |body: Value| server.ask("POST", "/api/v1/dead-letters/settle", ROOT, Some(&body)).await;
    assert_eq!(settle(json!({"ids": ["aa00", "bb00"], "action": "replay"})).await.ok(200), json!({"resolved": 1, "open": 1}));
    settle(json!({"ids": ["cc00"], "action": "drop"})).await.refuses(404, "not_found", "");
    settle(json!({"ids": [], "action": "drop"})).await.refuses(400, "bad_body", "items");
    settle(json!({"ids": "all", "action": "drop"})).await.refuses(400, "bad_body", "array");
}

#[tokio::test]
async fn pages_hold_each_row_once() {
    let (_folder, server) = start(RestOptions::default()).await;
    let mut path = "/api/v1/runs?limit=3&region=eu-west-1".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = server.get(&path, ALICE).await.ok(200);
        let rows = page["rows"].as_array().unwrap();
        assert!(!rows.is_empty() && rows.len() <= 3);
        seen.extend(rows.iter().map(|row| row["instance_id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (0..10).map(|hour| format!("i-acme{hour}")).collect::<Vec<_>>());
    // All of them, in the formats of programs.
    let lines = server.get("/api/v1/runs?format=ndjson", ALICE).await;
    assert_eq!((lines.header("content-type"), lines.text().lines().count()), ("application/x-ndjson", 10));
    assert_eq!(lines.header("x-complete-through"), "2024-03-20T00:00:00Z");
    let csv = server.send("GET", "/api/v1/runs?limit=4", &format!("Authorization: Bearer {ALICE}\r\nAccept: text/csv\r\n"), b"").await;
    assert_eq!((csv.header("content-type"), csv.text().lines().count()), ("text/csv; charset=utf-8", 5));
    let parquet = server.get("/api/v1/runs?format=parquet", ALICE).await;
    assert!(parquet.body.starts_with(b"PAR1") && parquet.body.ends_with(b"PAR1"));
    let none = server.get("/api/v1/runs?format=ndjson&region=nowhere", ALICE).await;
    assert_eq!((none.status, none.text()), (200, ""));
}

#[tokio::test]
async fn a_report_asked_for_again_as_of_its_snapshot_has_the_same_bytes() {
    let (_folder, server) = start(RestOptions::default()).await;
    let path = format!("/api/v1/report/usage?{MARCH}&granularity=day&by=instance");
    let first = server.get(&path, ALICE).await;
    let snapshot = first.ok(200)["snapshot"].as_str().unwrap().to_owned();
    let again = server.get(&format!("{path}&as_of={snapshot}"), ALICE).await;
    assert!(again.body == first.body, "{}\n{}", first.text(), again.text());
    server.get(&format!("{path}&as_of=yesterday"), ALICE).await.refuses(400, "bad_parameter", "yesterday");
    server.get(&format!("{path}&as_of=2099-01-01T00:00:00Z"), ALICE).await.refuses(400, "bad_parameter", "yet to come");
}

#[tokio::test]
async fn the_runs_behind_each_cell_add_up_to_it() {
    let (_folder, server) = start(RestOptions::default()).await;
    let report = format!("{MARCH}&granularity=day&by=instance,region");
    let rows = server.get(&format!("/api/v1/report/usage?{report}"), ALICE).await.ok(200);
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    let explain = async |cell: &str, token: &str| server.get(&format!("/api/v1/report/usage/explain?{report}&{cell}"), token).await;
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        let cell = format!("bucket={}&cell={},{}", text("bucket_start"), text("instance_id"), text("region"));
        let told = explain(&cell, ALICE).await.ok(200);
        assert_eq!((told["start"].as_str(), told["end"].as_str()), (row["bucket_start"].as_str(), row["bucket_end"].as_str()));
        for measure in ["instances", "runtime_seconds", "vcpu_seconds", "memory_mib_seconds", "unsized_seconds"] {
            assert_eq!(told["totals"][measure], row[measure], "{measure} of {cell}");
        }
        let seconds = |run: &Value| run["seconds"].as_i64().unwrap();
        let runs = told["runs"].as_array().unwrap();
        assert_eq!(Some(runs.iter().map(seconds).sum::<i64>()), row["runtime_seconds"].as_i64());
        assert_eq!((runs[0]["start"]["source"].as_str(), told["images"][0]["image_id"].as_str()), (Some("file#0"), Some("ami-1")));
        // To others there is nothing behind it.
        assert_eq!(explain(&cell, BOB).await.ok(200)["runs"], json!([]), "{cell}");
    }
    explain("cell=one", ALICE).await.refuses(400, "bad_parameter", "1 values and `by` 2");
    explain("bucket=2020-01-01T00:00:00Z&cell=a,b", ALICE).await.refuses(400, "bad_parameter", "no bucket");
    let whole = server.get(&format!("/api/v1/report/usage/explain?{MARCH}&granularity=month"), ALICE).await.ok(200);
    assert_eq!(whole["totals"]["instances"], 10);
}

#[tokio::test]
async fn images_are_what_the_evidence_and_the_viewers_own_overrides_say() {
    let (_folder, server) = start(RestOptions::default()).await;
    for (token, tenant, rhel) in [(ALICE, "acme", false), (BOB, "beta", true)] {
        let image = server.get("/api/v1/images/ami-1", token).await.ok(200);
        assert_eq!((&image["rhel"], &image["rhel_detected"]), (&json!(rhel), &json!(true)), "{tenant}");
        let said = json!({"tenant": tenant, "product": "rhel", "is": rhel, "by": format!("user-of-{tenant}"), "reason": null, "at": "2024-01-01T00:00:00Z"});
        assert_eq!(image["overrides"], json!([said]));
        let listed = server.get("/api/v1/overrides", token).await.ok(200);
        assert_eq!((listed["count"].as_u64(), &listed["items"][0]["tenant"]), (Some(1), &json!(tenant)));
        server.get("/api/v1/images/ami-unused", token).await.refuses(404, "not_found", "");
        let counted = server.get(&format!("/api/v1/images?rhel={rhel}"), token).await.ok(200);
        assert_eq!(counted["rows"].as_array().unwrap().len(), 1, "{tenant}");
        let runs = server.get("/api/v1/runs?product=rhel", token).await.ok(200);
        assert_eq!(runs["rows"].as_array().unwrap().is_empty(), !rhel, "{tenant}");
    }
    assert_eq!(server.get("/api/v1/images/ami-unused", ROOT).await.ok(200)["billing_model"], "payg");
    assert_eq!(server.get("/api/v1/overrides", ROOT).await.ok(200)["count"], 2);
    let inspections = server.get("/api/v1/inspections?status=inspected", ALICE).await.ok(200);
    assert_eq!(inspections["rows"][0]["image_id"], "ami-1");
}

#[tokio::test]
async fn inspections_of_an_image_are_shown_to_who_sees_it_without_whose_role_reads_it_and_asked_for_by_superusers() {
    let (_folder, server) = start(RestOptions::default()).await;
    let path = "/api/v1/images/ami-1/inspections";
    for token in [ALICE, BOB, ROOT] {
        let listed = server.get(path, token).await.ok(200);
        let attempts: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["attempt"].as_u64().unwrap()).collect();
        assert_eq!((attempts, &listed["items"][1]["end"]), (vec![2, 1], &json!("failed")));
        assert!(!listed.to_string().contains("role/x"), "{listed}");
    }
    server.get("/api/v1/images/ami-unused/inspections", ALICE).await.refuses(404, "not_found", "");
    let wanted = json!({"action": "inspect"});
    server.ask("POST", path, ALICE, Some(&wanted)).await.refuses(403, "forbidden", "permission");
    assert_eq!(server.ask("POST", path, ROOT, Some(&wanted)).await.ok(200)["count"], 2);
    server.ask("POST", path, ROOT, Some(&json!({"action": "explode"}))).await.refuses(400, "bad_body", "");
    server.ask("POST", "/api/v1/images/ami-none/inspections", ROOT, Some(&wanted)).await.refuses(404, "not_found", "");
}

#[tokio::test]
async fn overrides_are_said_and_taken_back_for_ones_own_tenant() {
    let (_folder, server) = start(RestOptions::default()).await;
    let path = "/api/v1/images/ami-1/overrides/openshift";
    let said = json!({"is": true, "reason": "it is a node"});
    server.ask("PUT", path, READER, Some(&said)).await.refuses(403, "scope", "write");
    server.ask("PUT", &format!("{path}?tenant=beta"), ALICE, Some(&said)).await.refuses(404, "not_found", "");
    server.ask("PUT", "/api/v1/images/ami-unused/overrides/rhel", ALICE, Some(&said)).await.refuses(404, "not_found", "");
    server.ask("PUT", "/api/v1/images/ami-1/overrides/windows", ALICE, Some(&said)).await.refuses(404, "not_found", "");
    server.ask("PUT", path, ALICE, Some(&json!({"is": null}))).await.refuses(400, "bad_body", "boolean");
    assert_eq!(server.ask("PUT", path, ALICE, Some(&said)).await.ok(200)["image_id"], "ami-1");
    server.ask("PUT", path, ROOT, Some(&said)).await.ok(200);
    server.ask("PUT", &format!("{path}?tenant=beta"), ROOT, Some(&said)).await.ok(200);
    server.ask("DELETE", path, ALICE, None).await.refuses(404, "not_found", "");
    assert_eq!(server.ask("DELETE", "/api/v1/images/ami-1/overrides/rhel", ALICE, None).await.status, 204);
    let expected = [
        "override ami-1 openshift Some(true) of Some(\"acme\") by alice",
        "override ami-1 openshift Some(true) of None by root",
        "override ami-1 openshift Some(true) of Some(\"beta\") by root",
        "override ami-1 rhel None of Some(\"acme\") by alice",
    ];
    assert_eq!(server.backend.asked(), expected);
}

#[tokio::test]
async fn gaps_are_those_that_are_open_unless_others_are_asked_for() {
    let (_folder, server) = start(RestOptions::default()).await;
    assert_eq!(server.get("/api/v1/gaps", ALICE).await.ok(200)["rows"], json!([]));
    for (token, account) in [(ALICE, ACME_ACCOUNT), (BOB, BETA_ACCOUNT)] {
        let closed = server.get("/api/v1/gaps?open=false", token).await.ok(200);
        assert_eq!(accounts_of(&closed, "rows"), [account]);
    }
}
