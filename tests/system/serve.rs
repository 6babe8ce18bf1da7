//! Claim: HTTP answers with the numbers of the command line, refuses clearly, and ends cleanly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Data, Running, demo, scratch, string};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const MARCH: &str = "start=2024-03-01&end=2024-04-01";

/// A server that is ready.
struct Server {
    running: Running,
    address: SocketAddr,
    /// What it says on standard error from then on, once it has ended.
    says: JoinHandle<Vec<String>>,
}

impl Server {
    /// Starts a server at a port that the system chooses. It only reads, as several have the same data.
    fn start(data: &Data) -> Self {
        Self::of(&mut data.program(&["serve", "--listen", "127.0.0.1:0", "--read-only"]))
    }

    fn of(serve: &mut Command) -> Self {
        let mut running = Running::start(serve.stdout(Stdio::null()).stderr(Stdio::piped()));
        let mut lines = running.lines_of_stderr();
        let line = lines.next().expect("it says where it listens").expect("messages are UTF-8");
        let address = line.strip_prefix("listening at http://").and_then(|address| address.parse().ok());
        let says = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Self { running, address: address.unwrap_or_else(|| panic!("no address: {line}")), says }
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "")
    }

    fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(ANSWER_WITHIN)).expect("a time limit");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address)
            .expect("it takes requests");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        Answer::read(&String::from_utf8(answer).expect("text"))
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Checks that it refuses with a status, a stable code and a message that contains this.
    #[track_caller]
    fn refuses(&self, status: u16, code: &str, part: &str) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: Value = serde_json::from_str(&self.body).expect("JSON");
        assert_eq!((self.status, string(&problem, "code")), (status, code), "{problem}");
        assert!(string(&problem, "detail").contains(part), "should say {part:?}: {problem}");
    }
}

#[test]
fn reports_are_those_of_the_command_line_in_json_and_csv() {
    let server = Server::start(&demo().data);
    for (query, args) in [
        ("", &[][..]),
        ("&granularity=hour&tz=Europe%2FBerlin", &["--granularity", "hour", "--tz", "Europe/Berlin"]),
        ("&granularity=month&by=account,region", &["--granularity", "month", "--by", "account,region"]),
        ("&by=instance_type", &["--by", "instance_type"]),
    ] {
        for kind in ["usage", "concurrency"] {
            let asked = [&[kind, "--start", "2024-03-01", "--end", "2024-04-01"], args].concat();
            let path = format!("/api/v1/report/{kind}?{MARCH}{query}");
            let json = server.get(&path);
            assert_eq!(json.status, 200, "{path}");
            let json = json.json();
            assert_eq!(string(&json, "report"), kind);
            assert!(json["rows"].as_array() == Some(&demo().data.report(&asked)), "{path}");

            let csv = server.get(&format!("{path}&format=csv"));
            let printed = demo().data.run(&[&["report"], &asked[..], &["--format", "csv"]].concat()).ends_with(0);
            assert_eq!((csv.status, csv.header("content-type")), (200, "text/csv; charset=utf-8"), "{path}");
            assert!(csv.body == printed.text(), "{path}");
            assert_eq!(csv.header("x-complete-through"), string(&json, "complete_through"), "{path}");
        }
    }
    let accepted = server.request("GET", &format!("/api/v1/report/usage?{MARCH}"), "Accept: text/csv\r\n");
    assert_eq!(accepted.header("content-type"), "text/csv; charset=utf-8");
}

#[test]
fn an_answer_says_what_it_covers() {
    let server = Server::start(&demo().data);
    let answer = server.get("/api/v1/report/usage?start=2024-03-01&end=2024-03-03&tz=Europe/Berlin").json();
    let fields = ["start", "end", "granularity", "tz"].map(|name| string(&answer, name));
    assert_eq!(fields, ["2024-02-29T23:00:00Z", "2024-03-02T23:00:00Z", "day", "Europe/Berlin"]);
    assert!(answer["unknown_types"].is_array() && string(&answer, "complete_through") > "2024-03-31", "{answer}");
}

#[test]
fn wrong_requests_are_refused_with_what_is_wrong() {
    let server = Server::start(&demo().data);
    let report = |query: &str| server.get(&format!("/api/v1/report/usage?{query}"));
    report("start=2024-03-01").refuses(400, "bad_parameter", "\"end\" is missing");
    report("").refuses(400, "bad_parameter", "is missing");
    report("start=2024-03-02&end=2024-03-01").refuses(400, "bad_parameter", "not after its start");
    report("start=soon&end=2024-03-01").refuses(400, "bad_parameter", "\"soon\" is not a time");
    report(&format!("{MARCH}&tz=Europe/Berln")).refuses(400, "bad_parameter", "did you mean \"Europe/Berlin\"");
    report(&format!("{MARCH}&granularity=week")).refuses(400, "bad_parameter", "month");
    report(&format!("{MARCH}&by=colour")).refuses(400, "bad_parameter", "colour");
    report(&format!("{MARCH}&format=xlsx")).refuses(400, "bad_parameter", "ndjson");
    report(&format!("{MARCH}&colour=red")).refuses(400, "bad_parameter", "no parameter \"colour\"");
    report(&format!("{MARCH}&start=2024-03-01")).refuses(400, "bad_parameter", "given twice");
    server.get("/api/v1/report/nothing").refuses(404, "not_found", "Not found.");
    server.get("/").refuses(404, "not_found", "Not found.");
    for path in ["/healthz", "/metrics", "/api/v1/report/usage?start=2024-03-01&end=2024-03-02"] {
        let answer = server.request("POST", path, "Content-Length: 0\r\n");
        assert!(answer.header("allow").split(", ").any(|method| method == "GET"), "{path}");
        answer.refuses(405, "method_not_allowed", "POST");
    }
}

#[test]
fn health_and_metrics_answer() {
    let server = Server::start(&demo().data);
    let health = server.get("/healthz");
    assert_eq!((health.status, string(&health.json(), "status")), (200, "ok"));
    server.get("/no-such-page");

    let metrics = server.get("/metrics");
    assert_eq!((metrics.status, metrics.header("content-type")), (200, "text/plain; version=0.0.4; charset=utf-8"));
    for line in [
        r#"cloudigrade_http_requests_total{path="/healthz",status="200"} 1"#,
        r#"cloudigrade_http_requests_total{path="other",status="404"} 1"#,
    ] {
        assert!(metrics.body.lines().any(|known| known == line), "{line} is not in\n{}", metrics.body);
    }
}

fn logs_by_account() -> Vec<PathBuf> {
    let accounts = std::fs::read_dir(demo().logs.join("AWSLogs")).expect("accounts");
    let mut logs: Vec<_> = accounts.map(|entry| entry.expect("an account").path()).collect();
    logs.sort();
    logs
}

/// Data that no other test uses, of the demo's first account: a server that has the log has it for itself.
fn one_account() -> (TempDir, Data) {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.ingest(&logs_by_account()[0]);
    (folder, data)
}

#[test]
fn what_is_ingested_meanwhile_is_in_the_next_answer() {
    let (_folder, data) = one_account();
    let server = Server::start(&data);
    let path = format!("/api/v1/report/usage?{MARCH}&granularity=month&by=account");
    let accounts = || server.get(&path).json()["rows"].as_array().expect("rows").len();
    assert_eq!(accounts(), 1);
    data.ingest(&logs_by_account()[1]);
    assert_eq!(accounts(), 2);
}

#[test]
fn it_ends_cleanly_on_sigterm_and_on_ctrl_c() {
    for signal in ["TERM", "INT"] {
        let server = Server::start(&demo().data);
        assert_eq!(server.get("/healthz").status, 200);
        server.running.signal(signal);
        assert_eq!(server.running.code(), Some(0), "{signal}");
        assert!(TcpStream::connect(server.address).is_err(), "{signal}");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    demo().data.run(&["serve", "--listen", &address]).ends_with(6).says(&[&address, "another program listens there", "--listen"]);
}

#[test]
fn it_ends_when_asked_to_though_nobody_reads_its_messages_any_more() {
    let (_folder, data) = one_account();
    let mut serve = data.program(&["serve", "--listen", "127.0.0.1:0", "-v"]);
    let mut running = Running::start(serve.stdout(Stdio::null()).stderr(Stdio::piped()));
    drop(running.lines_of_stderr().next().expect("it says where it listens"));
    running.signal("TERM");
    assert_eq!(running.code(), Some(0));
}

#[test]
fn a_request_that_never_ends_keeps_it_from_ending_no_longer_than_the_limit() {
    let (_folder, data) = one_account();
    let mut serve = data.program(&["serve", "--listen", "127.0.0.1:0"]);
    // Less than the time in which a request's head must have come.
    let server = Server::of(serve.env("CLOUDIGRADE__SERVE__SHUTDOWN_LIMIT", "10s"));
    let mut stream = TcpStream::connect(server.address).expect("it listens");
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: ").expect("it takes requests");
    assert_eq!(server.get("/healthz").status, 200);
    server.running.signal("TERM");
    assert_eq!(server.running.code(), Some(0));
    let says = server.says.join().expect("it is read").join("\n");
    assert!(says.contains("requests were under way and are cut off"), "{says}");
}
