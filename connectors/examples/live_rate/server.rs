//! As much of S3 and SQS as the source asks for, from memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What a key begins with; the number of the object follows.
const PREFIX: &str = "AWSLogs/000000000012/CloudTrail/us-east-1/2024/03/01/";

/// A queue with a message for each object, and the bucket that holds them.
pub struct Stub {
    url: String,
    files: Vec<Bytes>,
    objects: usize,
    given: AtomicUsize,
    deleted: AtomicUsize,
    changed: Notify,
}

impl Stub {
    /// Begins to answer, on a port of its own.
    pub async fn start(files: Vec<Bytes>, objects: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stub = Arc::new(Self { url, files, objects, given: AtomicUsize::new(0), deleted: AtomicUsize::new(0), changed: Notify::new() });
        let answering = stub.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(answering.clone().serve(stream));
            }
        });
        stub
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many messages are deleted.
    pub fn deleted(&self) -> usize {
        self.deleted.load(Ordering::Relaxed)
    }

    /// Waits until so many messages are deleted.
    pub async fn all_deleted(&self, messages: usize) {
        loop {
            let changed = self.changed.notified();
            if self.deleted() >= messages {
                return;
            }
            changed.await;
        }
    }

    /// One connection: request after request.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let mut received = Vec::new();
        loop {
            let Some((head, body)) = next_request(&mut stream, &mut received).await else { return };
            let (kind, etag, content) = self.answer(&head, &body).await;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{etag}content-length: {}\r\n\r\n", content.len());
            // A client that stops is gone.
            if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&content).await.is_err() {
                return;
            }
        }
    }

    async fn answer(&self, head: &str, body: &[u8]) -> (&'static str, String, Bytes) {
        const JSON: &str = "application/x-amz-json-1.0";
        if let Some(number) = head.split(PREFIX).nth(1).filter(|_| head.starts_with("GET ")) {
            let number: usize = number.split('.').next().unwrap().parse().unwrap();
            return ("application/gzip", format!("etag: \"e{number}\"\r\n"), self.files[number % self.files.len()].clone());
        }
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = match head.split("AmazonSQS.").nth(1).and_then(|target| target.split("\r\n").next()) {
            Some("ReceiveMessage") => self.receive(asked["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize).await,
            Some("DeleteMessageBatch") => {
                let entries = asked["Entries"].as_array().cloned().unwrap_or_default();
                self.deleted.fetch_add(entries.len(), Ordering::Relaxed);
                self.changed.notify_waiters();
                let done: Vec<Value> = entries.iter().map(|entry| json!({"Id": entry["Id"]})).collect();
                json!({"Successful": done, "Failed": []})
            }
            _ => json!({}),
        };
        (JSON, String::new(), answer.to_string().into())
    }

    /// Messages while there are some; then none, as slowly as SQS says so.
    async fn receive(&self, most: usize) -> Value {
        let first = self.given.fetch_add(most, Ordering::Relaxed);
        if first >= self.objects {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            return json!({});
        }
        let messages: Vec<Value> = (first..(first + most).min(self.objects)).map(|number| self.message(number)).collect();
        json!({ "Messages": messages })
    }

    fn message(&self, number: usize) -> Value {
        let size = self.files[number % self.files.len()].len();
        let object = json!({"key": format!("{PREFIX}{number}.json.gz"), "size": size, "eTag": format!("e{number}")});
        let record = json!({"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": "2024-03-01T09:00:00.000Z",
            "eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bucket"}, "object": object}});
        let attributes = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"});
        let body = json!({ "Records": [record] }).to_string();
        json!({"MessageId": number.to_string(), "ReceiptHandle": number.to_string(), "Body": body, "Attributes": attributes})
    }
}

/// The head and the body of the next request; `None` when the client is gone.
async fn next_request(stream: &mut TcpStream, received: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let whole = end + 4 + length.unwrap_or(0);
            if received.len() >= whole {
                let body = received[end + 4..whole].to_vec();
                received.drain(..whole);
                return Some((head, body));
            }
        }
        let mut piece = [0; 16 << 10];
        let read = stream.read(&mut piece).await.unwrap_or(0);
        if read == 0 {
            return None;
        }
        received.extend_from_slice(&piece[..read]);
    }
}
