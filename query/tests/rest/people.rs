//! Who sees and changes what.

use std::sync::Arc;

use cloudigrade_query::rest::{Parts, RestOptions};
use serde_json::json;

use crate::backend::{ACME_ACCOUNT, ALICE, BETA_ACCOUNT, BOB, FakeBackend, READER, ROOT};
use crate::server::{Server, now, queries};
use crate::{MARCH, accounts_of, start, tables};

#[tokio::test]
async fn everybody_sees_their_own_and_the_operator_sees_all() {
    let (_folder, server) = start(RestOptions::default()).await;
    for path in [
        &format!("/api/v1/report/usage?{MARCH}&granularity=month&by=account"),
        &format!("/api/v1/report/concurrency?{MARCH}&granularity=month&by=account"),
        "/api/v1/runs",
        "/api/v1/complete-through",
    ] {
        assert_eq!(accounts_of(&server.get(path, ALICE).await.ok(200), "rows"), [ACME_ACCOUNT], "{path}");
        assert_eq!(accounts_of(&server.get(path, BOB).await.ok(200), "rows"), [BETA_ACCOUNT], "{path}");
        let mut all = accounts_of(&server.get(path, ROOT).await.ok(200), "rows");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all, [ACME_ACCOUNT, BETA_ACCOUNT], "{path}");
    }
    assert_eq!(accounts_of(&server.get("/api/v1/accounts", ALICE).await.ok(200), "items"), [ACME_ACCOUNT]);
    assert_eq!(accounts_of(&server.get("/api/v1/accounts", ROOT).await.ok(200), "items"), [ACME_ACCOUNT, BETA_ACCOUNT]);
    // Filters and other tenants' names find nothing of theirs.
    let others = server.get(&format!("/api/v1/runs?account={BETA_ACCOUNT}"), ALICE).await.ok(200);
    assert_eq!(others["rows"], json!([]));
    for path in [format!("/api/v1/accounts/{BETA_ACCOUNT}"), "/api/v1/accounts?tenant=beta".to_owned()] {
        server.get(&path, ALICE).await.refuses(404, "not_found", "Not found.");
    }
    assert_eq!(server.get(&format!("/api/v1/accounts/{BETA_ACCOUNT}?tenant=beta"), ROOT).await.ok(200)["tenant"], "beta");
    for (method, body) in [("PATCH", Some(json!({"name": "mine"}))), ("DELETE", None)] {
        let path = format!("/api/v1/accounts/{BETA_ACCOUNT}");
        server.ask(method, &path, ALICE, body.as_ref()).await.refuses(404, "not_found", "");
    }
    assert_eq!(server.backend.asked(), [""; 0]);
}

#[tokio::test]
async fn whoever_proves_nothing_gets_nothing() {
    let (_folder, server) = start(RestOptions::default()).await;
    let path = format!("/api/v1/report/usage?{MARCH}");
    let ask = async |headers: &str| server.send("GET", &path, headers, b"").await;
    let nobody = ask("").await;
    nobody.refuses(401, "unauthenticated", "credentials were not provided");
    assert_eq!(nobody.header("www-authenticate"), "Bearer");
    for (header, says) in [
        ("Token", "No credentials provided."),
        ("Token a b", "should not contain spaces"),
        ("Token 0000000000000000000000000000000000000000", "Invalid token."),
        ("Bearer ' OR 1=1", "should not contain spaces"),
        ("Bearer x", "Invalid token."),
        ("Basic YWxpY2U6eA==", "not provided"),
    ] {
        ask(&format!("Authorization: {header}\r\n")).await.refuses(401, "unauthenticated", says);
    }
    for scheme in ["Token", "token", "Bearer", "bearer"] {
        assert_eq!(ask(&format!("Authorization: {scheme} {ALICE}\r\n")).await.status, 200, "{scheme}");
        assert_eq!(ask(&format!("Authorization: {scheme} {}\r\n", ALICE.to_uppercase())).await.status, 200, "{scheme}");
    }
    // An identity that nobody enabled proves nothing.
    let identity = "X-RH-IDENTITY: eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6ImFjbWUifX0=\r\n";
    ask(identity).await.refuses(401, "unauthenticated", "not provided");
    for path in ["/api/v1/users", "/api/v1/dead-letters"] {
        server.get(path, ALICE).await.refuses(403, "forbidden", "permission");
        server.get(path, ROOT).await.ok(200);
    }
    let renaming = json!({"name": "x"});
    let path = format!("/api/v1/accounts/{ACME_ACCOUNT}");
    server.ask("PATCH", &path, READER, Some(&renaming)).await.refuses(403, "scope", "write");
    server.ask("PATCH", &path, ALICE, Some(&renaming)).await.ok(200);
}

#[tokio::test]
async fn an_open_server_shows_everything_and_changes_nothing() {
    let (_folder, server) = start(RestOptions { open: true, ..RestOptions::default() }).await;
    assert_eq!(server.get("/api/v1/complete-through", "").await.ok(200)["rows"].as_array().unwrap().len(), 2);
    assert_eq!(server.get("/api/v1/complete-through", BOB).await.ok(200)["rows"].as_array().unwrap().len(), 1);
    let registration = json!({"arn": "arn:aws:iam::000000000056:role/r"});
    server.ask("POST", "/api/v1/accounts", "", Some(&registration)).await.refuses(401, "unauthenticated", "");
    server.get("/api/v1/complete-through", &"0".repeat(40)).await.refuses(401, "unauthenticated", "Invalid token.");
}

#[tokio::test]
async fn a_server_without_a_log_reads_and_says_that_it_only_reads() {
    let (_folder, tables) = tables().await;
    let backend = Arc::new(FakeBackend::new());
    let parts = Parts {
        tables: Arc::new(tables),
        queries: queries(),
        backend: None,
        now,
        metrics: Arc::new(String::new),
        problems: Arc::new(|| vec![json!({"code": "no_queue"})]),
    };
    let server = Server::of(parts, RestOptions { open: true, ..RestOptions::default() }, backend).await;
    server.get(&format!("/api/v1/report/usage?{MARCH}"), "").await.ok(200);
    server.get("/api/v1/accounts", "").await.refuses(503, "read_only", "only reads");
    assert_eq!(server.get("/readyz", "").await.ok(503)["problems"][0]["code"], "no_queue");
}

#[tokio::test]
async fn accounts_are_registered_changed_and_forgotten() {
    let (_folder, server) = start(RestOptions::default()).await;
    let registration = json!({"arn": "arn:aws:iam::000000000056:role/r", "name": "third"});
    let made = server.ask("POST", "/api/v1/accounts", ALICE, Some(&registration)).await.ok(201);
    assert_eq!((made["tenant"].as_str(), made["account_id"].as_str()), (Some("acme"), Some("000000000056")));
    let wrong = server.ask("POST", "/api/v1/accounts", ALICE, Some(&json!({"arn": "nonsense"}))).await;
    wrong.refuses(400, "bad_parameter", "Invalid ARN.");
    assert_eq!(wrong.json()["errors"], json!({"account_arn": ["Invalid ARN."]}));
    let path = "/api/v1/accounts/000000000056";
    let act = async |action: &str| server.ask("POST", &format!("{path}/actions"), ALICE, Some(&json!({"action": action}))).await;
    assert_eq!(act("pause").await.ok(200)["state"], "paused");
    assert_eq!(act("verify").await.ok(200)["state"], "enabled");
    act("explode").await.refuses(400, "bad_body", "explode");
    assert_eq!(server.ask("DELETE", path, ALICE, None).await.status, 204);
    server.ask("DELETE", path, ALICE, None).await.refuses(404, "not_found", "");
    server.get("/api/v1/accounts/12", ALICE).await.refuses(404, "not_found", "");
    let expected = [
        "register acme/000000000056 by alice",
        "Pause acme/000000000056 by alice",
        "Verify acme/000000000056 by alice",
        "delete acme/000000000056 by alice",
    ];
    assert_eq!(server.backend.asked(), expected);
}

#[tokio::test]
async fn tokens_are_made_shown_and_ended_by_their_owner() {
    let (_folder, server) = start(RestOptions::default()).await;
    let log_in = async |password: &str| {
        let body = json!({"name": "alice", "password": password, "scope": "write", "label": "report"});
        server.ask("POST", "/api/v1/tokens", "", Some(&body)).await
    };
    let made = log_in("correct horse").await.ok(201);
    assert_eq!((made["token"].as_str(), made["scope"].as_str(), made["label"].as_str()), (Some(ALICE), Some("write"), Some("report")));
    log_in("wrong").await.refuses(401, "credentials", "wrong");
    let often = log_in("too often").await;
    often.refuses(429, "too_many_attempts", "30 s");
    assert_eq!(often.header("retry-after"), "30");
    let tokens = server.get("/api/v1/tokens", ALICE).await.ok(200);
    let hash = tokens["items"][0]["hash"].as_str().unwrap().to_owned();
    assert_eq!(server.ask("DELETE", &format!("/api/v1/tokens/{hash}"), ALICE, None).await.status, 204);
    server.ask("DELETE", &format!("/api/v1/tokens/{}", "b".repeat(64)), ALICE, None).await.refuses(404, "not_found", "");
    assert_eq!(server.get("/api/v1/me", READER).await.ok(200)["scope"], "read");
    assert_eq!(server.backend.asked(), ["log in alice to write", "revoke a token of alice"]);
}

#[tokio::test]
async fn users_are_managed_by_superusers_alone() {
    let (_folder, server) = start(RestOptions::default()).await;
    let new = json!({"name": "carol", "tenant": "acme", "password": "a long one"});
    server.ask("POST", "/api/v1/users", ALICE, Some(&new)).await.refuses(403, "forbidden", "");
    assert_eq!(server.ask("POST", "/api/v1/users", ROOT, Some(&new)).await.ok(201)["name"], "carol");
    server.ask("POST", "/api/v1/users", ROOT, Some(&new)).await.refuses(409, "duplicate", "of this name");
    assert_eq!(server.get("/api/v1/users?limit=2&offset=2", ROOT).await.ok(200)["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.ask("PATCH", "/api/v1/users/carol", ROOT, Some(&json!({"disabled": true}))).await.ok(200)["disabled"], true);
    let password = json!({"password": "another long one"});
    assert_eq!(server.ask("PUT", "/api/v1/users/carol/password", ROOT, Some(&password)).await.status, 204);
    server.ask("PUT", "/api/v1/users/nobody/password", ROOT, Some(&password)).await.refuses(404, "not_found", "");
}
