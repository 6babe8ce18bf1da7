//! What requests must be like, and what answers always are.

use cloudigrade_query::rest::RestOptions;
use serde_json::json;

use crate::backend::{ACME_ACCOUNT, ALICE, ROOT};
use crate::{MARCH, limits, start};

#[tokio::test]
async fn wrong_requests_are_refused_with_what_is_wrong() {
    let (_folder, server) = start(RestOptions::default()).await;
    let report = async |query: &str| server.get(&format!("/api/v1/report/usage?{query}"), ALICE).await;
    report("start=2024-03-01").await.refuses(400, "bad_parameter", "\"end\" is missing");
    report("start=2024-03-02&end=2024-03-01").await.refuses(400, "bad_parameter", "not after its start");
    report(&format!("{MARCH}&tz=Europe/Berln")).await.refuses(400, "bad_parameter", "did you mean \"Europe/Berlin\"");
    report(&format!("{MARCH}&granularity=week")).await.refuses(400, "bad_parameter", "\"month\"");
    report(&format!("{MARCH}&by=colour")).await.refuses(400, "bad_parameter", "colour");
    report(&format!("{MARCH}&by=account,account")).await.refuses(400, "bad_parameter", "twice");
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
