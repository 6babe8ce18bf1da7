//! Claim: over HTTP everybody sees what is theirs and nothing else, failures tell what is wrong and nothing else, and no client can harm
//! another.
#![allow(clippy::unwrap_used, reason = "a test fails where its data do not read")]

#[path = "common/backend.rs"]
mod backend;
mod common;
#[path = "common/server.rs"]
mod server;

use std::time::Duration;

use backend::{ACME_ACCOUNT, ALICE, BETA_ACCOUNT, BOB, READER, ROOT};
use cloudigrade_query::Tables;
use cloudigrade_query::rest::{Parts, RequestLimits, RestOptions};
use common::{Run, write_accounts, write_tables};
use serde_json::{Value, json};
use server::{Server, now, queries};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MARCH: &str = "start=2024-03-01&end=2024-04-01";

/// Two tenants with an account each; ten runs in one, one in the other.
async fn tables() -> (TempDir, Tables) {
    let folder = tempfile::tempdir().unwrap();
    let mut runs: Vec<Run> = (0..10)
        .map(|hour| {
            let (start, end) = (format!("2024-03-02T{hour:02}:00:00Z"), format!("2024-03-02T{hour:02}:30:00Z"));
            Run::new(&format!("i-acme{hour}"), &start, Some(&end)).of(ACME_ACCOUNT, "eu-west-1")
        })
        .collect();
    runs.push(Run::new("i-beta", "2024-03-02T00:00:00Z", Some("2024-03-02T01:00:00Z")).of(BETA_ACCOUNT, "us-east-1"));
    let coverage = [(ACME_ACCOUNT, "eu-west-1", "2024-03-20T00:00:00Z"), (BETA_ACCOUNT, "us-east-1", "2024-03-10T00:00:00Z")];
    write_tables(folder.path(), &runs, &coverage);
    write_accounts(folder.path(), &[("acme", ACME_ACCOUNT, Vec::new()), ("beta", BETA_ACCOUNT, Vec::new())]);
    let tables = Tables::open_dir(folder.path()).await.unwrap();
    (folder, tables)
}

async fn start(options: RestOptions) -> (TempDir, Server) {
    let (folder, tables) = tables().await;
    (folder, Server::start(tables, options).await)
}

fn limits(change: impl FnOnce(&mut RequestLimits)) -> RestOptions {
    let mut options = RestOptions::default();
    change(&mut options.limits);
    options
}

fn accounts_of(document: &Value, list: &str) -> Vec<String> {
    let mut accounts: Vec<String> =
        document[list].as_array().unwrap().iter().map(|row| row["account_id"].as_str().unwrap().to_owned()).collect();
    accounts.dedup();
    accounts
}

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
    let backend = std::sync::Arc::new(backend::FakeBackend::new());
    let parts = Parts {
        tables: std::sync::Arc::new(tables),
        queries: queries(),
        backend: None,
        now,
        metrics: std::sync::Arc::new(String::new),
        problems: std::sync::Arc::new(|| vec![json!({"code": "no_queue"})]),
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
    assert_eq!(server.backend.asked(), ["revoke a token of alice"]);
}

#[tokio::test]
async fn users_are_managed_by_superusers_alone() {
    let (_folder, server) = start(RestOptions::default()).await;
    let new = json!({"name": "carol", "tenant": "acme", "password": "a long one"});
    server.ask("POST", "/api/v1/users", ALICE, Some(&new)).await.refuses(403, "forbidden", "");
    assert_eq!(server.ask("POST", "/api/v1/users", ROOT, Some(&new)).await.ok(201)["name"], "carol");
    server.ask("POST", "/api/v1/users", ROOT, Some(&new)).await.refuses(400, "bad_parameter", "of this name");
    assert_eq!(server.get("/api/v1/users?limit=2&offset=2", ROOT).await.ok(200)["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.ask("PATCH", "/api/v1/users/carol", ROOT, Some(&json!({"disabled": true}))).await.ok(200)["disabled"], true);
    let password = json!({"password": "another long one"});
    assert_eq!(server.ask("PUT", "/api/v1/users/carol/password", ROOT, Some(&password)).await.status, 204);
    server.ask("PUT", "/api/v1/users/nobody/password", ROOT, Some(&password)).await.refuses(404, "not_found", "");
}

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
async fn wrong_requests_are_refused_with_what_is_wrong() {
    let (_folder, server) = start(RestOptions::default()).await;
    let report = async |query: &str| server.get(&format!("/api/v1/report/usage?{query}"), ALICE).await;
    report("start=2024-03-01").await.refuses(400, "bad_parameter", "\"end\" is missing");
    report("start=2024-03-02&end=2024-03-01").await.refuses(400, "bad_parameter", "not after its start");
    report(&format!("{MARCH}&tz=Europe/Berln")).await.refuses(400, "bad_parameter", "did you mean \"Europe/Berlin\"");
    report(&format!("{MARCH}&granularity=week")).await.refuses(400, "bad_parameter", "\"month\"");
    report(&format!("{MARCH}&by=colour")).await.refuses(400, "bad_parameter", "colour");
    report(&format!("{MARCH}&format=table")).await.refuses(400, "bad_parameter", "ndjson");
    report(&format!("{MARCH}&colour=red")).await.refuses(400, "bad_parameter", "no parameter \"colour\"");
    report(&format!("{MARCH}&start=2024-03-01")).await.refuses(400, "bad_parameter", "given twice");
    report(&format!("{MARCH}&account=%00")).await.ok(200);
    report(&format!("{MARCH}&account=%FF")).await.refuses(400, "bad_parameter", "UTF-8");
    report(&format!("{MARCH}&account='%20OR%201=1--")).await.ok(200);
    for query in ["limit=0", "limit=1001", "limit=x", "limit=", "offset=-1", "offset=99999999999999999999", "from=soon"] {
        server.get(&format!("/api/v1/runs?{query}"), ALICE).await.refuses(400, "bad_parameter", "");
    }
    assert_eq!(server.get("/api/v1/runs?account='%20OR%201=1--", ALICE).await.ok(200)["rows"], json!([]));
    server.get("/api/v1/report/nothing", ALICE).await.refuses(404, "not_found", "");
    server.get("/", ALICE).await.refuses(404, "not_found", "");
    // A trailing slash is part of the path; the old APIs' dialect is that of paths with one.
    let slash = server.get("/api/v1/runs/", ALICE).await;
    assert_eq!((slash.status, slash.json()), (404, json!({"detail": "Not found."})));
}

#[tokio::test]
async fn methods_that_a_path_does_not_have_are_refused_with_those_it_has() {
    let (_folder, server) = start(RestOptions::default()).await;
    let wrong = server.ask("DELETE", "/api/v1/accounts", ALICE, None).await;
    wrong.refuses(405, "method_not_allowed", "DELETE");
    assert_eq!(wrong.header("allow"), "GET, HEAD, OPTIONS, POST");
    for method in ["TRACE", "PUT", "BREW"] {
        let wrong = server.ask(method, "/healthz", "", None).await;
        assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD, OPTIONS"), "{method}");
    }
    let options = server.ask("OPTIONS", "/api/v1/accounts", "", None).await;
    assert_eq!((options.status, options.header("allow")), (200, "GET, HEAD, OPTIONS, POST"));
    let head = server.ask("HEAD", "/healthz", "", None).await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "15"));
}

#[tokio::test]
async fn parts_of_a_path_are_decoded_one_by_one() {
    let (_folder, server) = start(RestOptions::default()).await;
    let path = format!("/api/v1/accounts/%30{}", &ACME_ACCOUNT[1..]);
    assert_eq!(server.get(&path, ALICE).await.ok(200)["account_id"], ACME_ACCOUNT);
    server.get("/api/v1/users/a%2Fb", ROOT).await.refuses(404, "not_found", "");
    server.get("/api/v1%2Fusers", ROOT).await.refuses(404, "not_found", "");
    server.get("/api/v1/users/%FF", ROOT).await.refuses(404, "not_found", "");
    server.get("/api//v1/users", ROOT).await.refuses(404, "not_found", "");
}

#[tokio::test]
async fn every_answer_names_its_request_and_is_kept_by_nobody() {
    let (_folder, server) = start(RestOptions::default()).await;
    let chosen = server.send("GET", "/healthz", "X-Request-Id: abc-123_4.5\r\n", b"").await;
    assert_eq!(chosen.header("x-request-id"), "abc-123_4.5");
    for bad in ["a b", "<script>", &"x".repeat(129)] {
        let answer = server.send("GET", "/healthz", &format!("X-Request-Id: {bad}\r\n"), b"").await;
        let made = answer.header("x-request-id");
        assert_eq!((made.len(), made.as_bytes()[14]), (36, b'4'), "{made}");
    }
    for path in ["/healthz", "/nothing", "/api/v1/runs", "/api/cloudigrade/v2/nothing/"] {
        let answer = server.get(path, "").await;
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert_eq!(answer.header("x-cloudigrade-request-id").is_empty(), !path.contains("cloudigrade"), "{path}");
    }
    let problem = server.send("GET", "/api/v1/runs", "X-Request-Id: mine\r\n", b"").await;
    assert_eq!(problem.json()["request_id"], "mine");
}

#[tokio::test]
async fn only_pages_of_allowed_origins_read_answers() {
    let (_folder, server) = start(RestOptions { cors: vec!["https://reports.example.com".to_owned()], ..RestOptions::default() }).await;
    let from = async |method: &str, origin: &str, more: &str| {
        server.send(method, "/api/v1/accounts", &format!("Origin: {origin}\r\n{more}"), b"").await
    };
    let allowed = from("GET", "https://reports.example.com", "").await;
    assert_eq!(allowed.header("access-control-allow-origin"), "https://reports.example.com");
    for origin in ["https://evil.example.com", "null", "https://reports.example.com.evil.example"] {
        assert_eq!(from("GET", origin, "").await.header("access-control-allow-origin"), "", "{origin}");
    }
    let preflight = from("OPTIONS", "https://reports.example.com", "Access-Control-Request-Method: POST\r\n").await;
    assert_eq!((preflight.status, preflight.header("access-control-allow-methods")), (204, "GET, HEAD, OPTIONS, POST"));
}

#[tokio::test]
async fn answers_are_compressed_where_it_is_taken_and_worth_it() {
    let (_folder, server) = start(RestOptions::default()).await;
    let ask = async |path: &str, encoding: &str| {
        server.send("GET", path, &format!("Authorization: Token {ALICE}\r\nAccept-Encoding: {encoding}\r\n"), b"").await
    };
    let plain = server.get("/openapi.json", "").await;
    let packed = ask("/openapi.json", "br;q=1, gzip").await;
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "accept-encoding"));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() * 2 < plain.body.len());
    for (path, encoding) in
        [("/openapi.json", "gzip;q=0"), ("/openapi.json", "br"), ("/healthz", "gzip"), ("/api/v1/runs?format=parquet", "gzip")]
    {
        assert_eq!(ask(path, encoding).await.header("content-encoding"), "", "{path} {encoding}");
    }
}

#[tokio::test]
async fn requests_that_are_too_large_are_refused() {
    let (_folder, server) = start(limits(|limits| limits.body_bytes = 1000)).await;
    let headers = format!("Authorization: Token {ALICE}\r\nContent-Type: application/json\r\n");
    let large = vec![b' '; 1001];
    server.send("POST", "/api/v1/accounts", &headers, &large).await.refuses(413, "too_large", "1000 bytes");
    let chunked = format!(
        "POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Transfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        " ".repeat(1001)
    );
    server.raw(chunked.as_bytes()).await.refuses(413, "too_large", "1000 bytes");
    let path = format!("/api/v1/runs?account={}", "x".repeat(9000));
    server.get(&path, ALICE).await.refuses(414, "uri_too_long", "8192 bytes");
    let head = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: {}\r\n\r\n", "x".repeat(40_000));
    assert_eq!(server.raw(head.as_bytes()).await.status, 431);
    let many: String = (0..101).map(|at| format!("X-{at}: 1\r\n")).collect();
    assert_eq!(server.send("GET", "/healthz", &many, b"").await.status, 431);
    let wrong = server.send("POST", "/api/v1/accounts", &headers.replace("application/json", "text/plain"), b"{}").await;
    wrong.refuses(415, "unsupported_media_type", "text/plain");
    for body in [&b"{"[..], b"[]", b"null", b"{\"arn\":1}", b"{\"arn\":\"x\",\"colour\":1}", b"\xff", b""] {
        server.send("POST", "/api/v1/accounts", &headers, body).await.refuses(400, "bad_body", "");
    }
}

#[tokio::test]
async fn a_client_that_sends_slowly_is_given_up_and_others_are_answered_meanwhile() {
    let (_folder, server) = start(limits(|limits| {
        limits.head_within = Duration::from_millis(300);
        limits.body_within = Duration::from_millis(300);
    }))
    .await;
    let mut head = TcpStream::connect(server.address).await.unwrap();
    head.write_all(b"GET /healthz HTTP/1.1\r\nHost:").await.unwrap();
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let body = server.raw(
        format!("POST /api/v1/accounts HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Token {ALICE}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{{")
            .into_bytes()
            .leak(),
    );
    assert_eq!(server.get("/healthz", "").await.status, 200);
    body.await.refuses(408, "body_timeout", "");
    for stream in [&mut head, &mut idle] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection is closed");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_those_within() {
    let (_folder, server) = start(limits(|limits| limits.connections = 1)).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    let waiting = tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut byte)).await;
    assert!(waiting.is_err(), "it waits");
    drop(first);
    let answered = tokio::time::timeout(Duration::from_secs(30), second.read_exact(&mut byte)).await;
    assert!(answered.is_ok_and(|read| read.is_ok()), "it is answered");
}

#[tokio::test]
async fn it_stops_when_it_is_told_to_even_with_idle_connections() {
    let (_folder, mut server) = start(RestOptions::default()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(server.get("/healthz", "").await.status, 200);
    server.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(30), &mut server.ended).await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn the_description_is_that_of_the_resources() {
    let (_folder, server) = start(RestOptions::default()).await;
    let document = server.get("/openapi.json", "").await.ok(200);
    assert_eq!(document["openapi"], "3.1.0");
    let v2 = server.get("/api/cloudigrade/v2/openapi.json", "").await.ok(200);
    assert!(v2["paths"].as_object().unwrap().keys().all(|path| path.starts_with("/api/cloudigrade/v2/")));
    // Each operation without a body is there, and refuses whoever proves nothing unless it is open to all.
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let path = path.replace(['{', '}'], "");
            let answer = server.ask(&method.to_uppercase(), &path, "", None).await;
            let open = operation["security"] == json!([]);
            assert_ne!(answer.status, 405, "{method} {path}");
            assert_eq!(
                answer.status == 401,
                !open || path == "/api/v1/tokens" && answer.status == 401,
                "{method} {path}: {}",
                answer.status
            );
            assert!(operation["responses"].get(answer.status.to_string()).is_some(), "{method} {path} does not tell of {}", answer.status);
        }
    }
}
