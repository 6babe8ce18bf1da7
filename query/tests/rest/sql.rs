//! SQL that users write.

use std::time::Duration;

use cloudigrade_query::rest::RestOptions;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::backend::{ACME_ACCOUNT, ALICE, BETA_ACCOUNT, BOB, ROOT};
use crate::server::{Answer, Server};
use crate::{accounts_of, start};

async fn ask(server: &Server, token: &str, body: Value) -> Answer {
    server.ask("POST", "/api/v1/sql", token, Some(&body)).await
}

#[tokio::test]
async fn each_user_asks_of_their_own_tables() {
    let (_folder, server) = start(RestOptions::default()).await;
    let query = json!({"query": "SELECT DISTINCT account_id FROM instance_intervals ORDER BY account_id"});
    assert_eq!(accounts_of(&ask(&server, ALICE, query.clone()).await.ok(200), "rows"), [ACME_ACCOUNT]);
    assert_eq!(accounts_of(&ask(&server, BOB, query.clone()).await.ok(200), "rows"), [BETA_ACCOUNT]);
    assert_eq!(accounts_of(&ask(&server, ROOT, query.clone()).await.ok(200), "rows"), [ACME_ACCOUNT, BETA_ACCOUNT]);
    assert_eq!(ask(&server, "", query).await.status, 401);
}

#[tokio::test]
async fn an_answer_tells_its_columns_and_what_it_was_made_of() {
    let (_folder, server) = start(RestOptions::default()).await;
    let told =
        ask(&server, ALICE, json!({"query": "SELECT account_id, count(*) AS runs FROM instance_intervals GROUP BY 1"})).await.ok(200);
    assert_eq!(told["columns"], json!([{"name": "account_id", "type": "Utf8View"}, {"name": "runs", "type": "Int64"}]));
    assert_eq!(told["rows"], json!([{"account_id": ACME_ACCOUNT, "runs": 10}]));
    assert_eq!(told["complete_through"], "2024-03-20T00:00:00Z");
    let again = format!("/api/v1/sql?as_of={}", told["snapshot"].as_str().unwrap());
    let same = server.ask("POST", &again, ALICE, Some(&json!({"query": "SELECT 1 AS one"}))).await.ok(200);
    assert_eq!(same["snapshot"], told["snapshot"]);
}

#[tokio::test]
async fn parameters_stand_wherever_a_constant_may() {
    let (_folder, server) = start(RestOptions::default()).await;
    let query = "SELECT count(*) AS n FROM usage($1, $2, 'day', 'UTC') WHERE instance_id <> $3 AND runtime_seconds > $4";
    let given = json!(["2024-03-01", "2024-04-01", "' OR true --", 0]);
    assert_eq!(ask(&server, ALICE, json!({"query": query, "parameters": given})).await.ok(200)["rows"], json!([{"n": 10}]));
    ask(&server, ALICE, json!({"query": query, "parameters": []})).await.refuses(400, "bad_parameter", "takes 4 parameters");
    ask(&server, ALICE, json!({"query": "SELECT $1", "parameters": [[1]]})).await.refuses(400, "bad_body", "");
}

#[tokio::test]
async fn a_query_may_come_as_it_is() {
    let (_folder, server) = start(RestOptions::default()).await;
    for media_type in ["application/sql", "text/plain; charset=utf-8"] {
        let headers = format!("Authorization: Bearer {ALICE}\r\nContent-Type: {media_type}\r\nAccept: text/csv\r\n");
        let told = server.send("POST", "/api/v1/sql", &headers, b"SELECT 1 AS one, 'a' AS two").await;
        assert_eq!((told.status, told.text()), (200, "one,two\n1,a\n"), "{media_type}");
    }
    let headers = format!("Authorization: Bearer {ALICE}\r\nContent-Type: text/html\r\n");
    server.send("POST", "/api/v1/sql", &headers, b"SELECT 1").await.refuses(415, "unsupported_media_type", "");
}

#[tokio::test]
async fn rows_come_in_every_format() {
    let (_folder, server) = start(RestOptions::default()).await;
    let query = json!({"query": "SELECT value FROM generate_series(1, 20000)"});
    let formats: [(&str, &[u8], usize); 4] =
        [("ndjson", b"{\"value\":1}\n", 20_000), ("csv", b"value\n1\n", 20_001), ("parquet", b"PAR1", 0), ("arrow", b"", 0)];
    for (format, begin, lines) in formats {
        let told = server.ask("POST", &format!("/api/v1/sql?format={format}"), ALICE, Some(&query)).await;
        assert_eq!(told.status, 200, "{format}");
        assert!(told.body.starts_with(begin) && !told.body.is_empty(), "{format}");
        if lines > 0 {
            assert_eq!(told.text().lines().count(), lines, "{format}");
        }
    }
}

#[tokio::test]
async fn nothing_is_changed_and_what_is_wrong_is_told() {
    let (_folder, server) = start(RestOptions::default()).await;
    let refused =
        async |query: &str, status, code: &str, part: &str| ask(&server, ROOT, json!({"query": query})).await.refuses(status, code, part);
    refused("COPY (SELECT 1) TO '/tmp/x'", 400, "refused", "read-only").await;
    refused("DROP TABLE accounts", 400, "refused", "read-only").await;
    refused("SET datafusion.runtime.memory_limit = '1G'", 400, "refused", "read-only").await;
    refused("EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'", 400, "refused", "").await;
    refused("SELECT FROM accounts WHERE (", 400, "syntax", "").await;
    refused("SELECT * FROM nothing", 400, "bad_parameter", "nothing").await;
    refused("SELECT * FROM '/etc/passwd'", 400, "bad_parameter", "").await;
    refused("SELECT 1/0", 422, "execution", "zero").await;
    refused("SELECT * FROM usage('2024-03-01', 'never')", 400, "bad_parameter", "never").await;
}

#[tokio::test]
async fn limits_are_lowered_by_the_request_and_never_raised() {
    let (_folder, server) = start(RestOptions::default()).await;
    let many = "SELECT value FROM generate_series(1, 100)";
    ask(&server, ALICE, json!({"query": many, "max_rows": 99})).await.refuses(422, "limit", "99 rows");
    assert_eq!(ask(&server, ALICE, json!({"query": many, "max_rows": 100})).await.ok(200)["rows"].as_array().unwrap().len(), 100);
    ask(&server, ALICE, json!({"query": many, "max_rows": 1_000_001})).await.refuses(400, "bad_body", "max_rows");
    ask(&server, ALICE, json!({"query": many, "timeout_seconds": 3600})).await.refuses(400, "bad_body", "timeout_seconds");
    let endless = "SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value * b.value % 7 = 3";
    ask(&server, ALICE, json!({"query": endless, "timeout_seconds": 1})).await.refuses(422, "limit", "longer than");
}

#[tokio::test]
async fn what_fails_after_the_first_rows_ends_the_connection_before_the_body_is_whole() {
    let (_folder, server) = start(RestOptions::default()).await;
    let query = "SELECT value, 1 / (value - 90000) AS failing FROM generate_series(1, 100000)";
    for format in ["json", "ndjson", "csv"] {
        let head = format!(
            "POST /api/v1/sql?format={format} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {ALICE}\r\nContent-Type: application/sql\r\nContent-Length: {}\r\n\r\n{query}",
            query.len()
        );
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = Vec::new();
        // A reset is as good an end as any.
        _ = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut told)).await.unwrap();
        assert!(told.starts_with(b"HTTP/1.1 200"), "{format}: {}", String::from_utf8_lossy(&told[..told.len().min(300)]));
        assert!(!told.ends_with(b"0\r\n\r\n"), "{format}: the body looks whole");
    }
}
