//! A server of one test, and a client that sends exactly what it is told.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its server does not answer")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cloudigrade_query::rest::{Parts, Rest, RestOptions, serve};
use cloudigrade_query::{QueryRuntime, Tables};
use cloudigrade_schemas::UtcSecond;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::backend::FakeBackend;

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A server that ends when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    pub backend: Arc<FakeBackend>,
    pub stop: Option<oneshot::Sender<()>>,
    pub ended: tokio::task::JoinHandle<()>,
}

/// What time it is for these servers.
pub fn now() -> UtcSecond {
    UtcSecond(1_893_456_000)
}

/// Threads for questions.
pub fn queries() -> Arc<QueryRuntime> {
    Arc::new(QueryRuntime::new(NonZeroUsize::MIN).unwrap())
}

impl Server {
    pub async fn start(tables: Tables, options: RestOptions) -> Self {
        let backend = Arc::new(FakeBackend::new());
        let parts = Parts {
            tables: Arc::new(tables),
            queries: queries(),
            backend: Some(backend.clone()),
            now,
            metrics: Arc::new(|| "counted 1\n".to_owned()),
            problems: Arc::new(Vec::new),
        };
        Self::of(parts, options, backend).await
    }

    pub async fn of(parts: Parts, options: RestOptions, backend: Arc<FakeBackend>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // Dropping the sender stops it too.
            stopped.await.ok();
        };
        let ended = tokio::spawn(serve(Rest::new(parts, options), listener, stopped));
        Self { address, backend, stop: Some(stop), ended }
    }

    /// Asks with a token.
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, None).await
    }

    /// Asks with a token and a body of JSON.
    pub async fn ask(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let authorization = if token.is_empty() { String::new() } else { format!("Authorization: Token {token}\r\n") };
        self.send(method, path, &format!("{authorization}{kind}"), body.as_bytes()).await
    }

    /// Asks with headers and a body.
    pub async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}{length}\r\n", self.address);
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// Sends bytes and reads until the server closes the connection.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(ANSWER_WITHIN, stream.read_to_end(&mut answer)).await.expect("it answers");
        // A server that refuses a body it does not read may reset the connection once it has answered.
        assert!(read.is_ok() || !answer.is_empty(), "{read:?}");
        Answer::read(&answer)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {bytes:?}"));
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        let mut answer = Self { status, headers: lines.filter_map(header).collect(), body: bytes[end + 4..].to_vec() };
        if answer.header("transfer-encoding") == "chunked" {
            answer.body = unchunked(&answer.body);
        }
        answer
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Checks its status and gives its document.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Checks that it refuses with a status, a stable code and a message that contains this, in the dialect of the new resources.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str, part: &str) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", String::from_utf8_lossy(&self.body));
        let problem = self.json();
        assert_eq!(
            (self.status, problem["code"].as_str(), problem["status"].as_u64()),
            (status, Some(code), Some(status.into())),
            "{problem}"
        );
        assert!(problem["detail"].as_str().unwrap().contains(part), "should say {part:?}: {problem}");
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|window| window == b"\r\n").expect("the length of a piece");
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[line + 2..line + 2 + length]);
        body = &body[line + 2 + length + 2..];
    }
}
