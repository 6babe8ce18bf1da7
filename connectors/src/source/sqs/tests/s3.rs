//! The S3 and SQS clients against recorded answers, over HTTP on this machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::source::sqs::classify::Class;
use crate::source::sqs::fetch::S3Objects;
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::objects::{FetchError, Objects};
use crate::source::sqs::options::SqsOptions;
use crate::source::sqs::queue::{Queue, QueueError, SqsQueue};

/// A server that gives the same recorded answers to every run of requests, and keeps the requests.
struct Recorded {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// An answer: status, headers, body.
type Answer = (u16, &'static str, String);

async fn recorded(answers: impl IntoIterator<Item = Answer>) -> Recorded {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(answers.into_iter().collect()));
    let kept = requests.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answers.clone(), kept.clone()));
        }
    });
    Recorded { url, requests }
}

/// One request a connection.
async fn serve(mut stream: TcpStream, answers: Arc<Mutex<VecDeque<Answer>>>, requests: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap_or(0);
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if read == 0 || whole(&text) {
            break;
        }
    }
    let Some((status, headers, body)) = answers.lock().unwrap().pop_front() else { return };
    requests.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
    let length =
        if headers.to_lowercase().contains("content-length") { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let answer = format!("HTTP/1.1 {status} Said\r\n{headers}{length}connection: close\r\n\r\n{body}");
    // A client that has heard enough may be gone.
    drop(stream.write_all(answer.as_bytes()).await);
}

fn whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ").and_then(|n| n.trim().parse().ok()));
    body.len() >= length.unwrap_or(0)
}

fn config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test")))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .build()
}

fn options() -> SqsOptions {
    SqsOptions::new("https://sqs.us-east-1.amazonaws.com/000000000012/q", vec!["trail".into()])
}

fn object() -> ObjectRef {
    ObjectRef { bucket: "trail".into(), key: "AWSLogs/a b+c/x.json.gz".into(), ..ObjectRef::default() }
}

async fn get(recorded: &Recorded, object: &ObjectRef, options: &SqsOptions) -> Result<Bytes, FetchError> {
    S3Objects::new(&config(&recorded.url), options).open(object).await?.read().await
}

fn xml(code: &str, message: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>R</RequestId><HostId>H</HostId></Error>"
    )
}

async fn class_of(status: u16, body: String) -> (Class, String) {
    let recorded = recorded([(status, "content-type: application/xml\r\n", body)]).await;
    let error = get(&recorded, &object(), &options()).await.unwrap_err();
    (error.class(), error.to_string())
}

#[tokio::test]
async fn recorded_refusals_have_the_classes_of_the_table() {
    let denied_by_key = "User: arn:aws:sts::000000000012:assumed-role/cloudigrade/s is not authorized to perform: kms:Decrypt on resource: arn:aws:kms:us-east-1:000000000034:key/k because no resource-based policy allows the kms:Decrypt action";
    let (class, said) = class_of(403, xml("AccessDenied", denied_by_key)).await;
    assert_eq!(class, Class::Environment);
    assert!(said.contains("arn:aws:kms:us-east-1:000000000034:key/k") && said.contains("allow kms:Decrypt"), "{said}");
    let environment = [
        (403, "AccessDenied", "Access Denied"),
        (400, "KMS.DisabledException", "arn:aws:kms:us-east-1:000000000034:key/k is disabled."),
        (400, "KMS.KMSInvalidStateException", "arn:aws:kms:us-east-1:000000000034:key/k is pending deletion."),
        (400, "ExpiredToken", "The provided token has expired."),
        (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
        (404, "NoSuchBucket", "The specified bucket does not exist"),
        (403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
    ];
    for (status, code, message) in environment {
        let (class, said) = class_of(status, xml(code, message)).await;
        assert_eq!(class, Class::Environment, "{said}");
        assert!(said.starts_with(&format!("{code}: {message}")), "{said}");
    }
    for (status, code) in [(404, "NoSuchKey"), (404, "NoSuchVersion")] {
        assert_eq!(class_of(status, xml(code, "The specified key does not exist.")).await.0, Class::Gone);
    }
    for (status, code) in [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout")] {
        assert_eq!(class_of(status, xml(code, "Please reduce your request rate.")).await.0, Class::Transient);
    }
    assert_eq!(class_of(502, "<html>Bad Gateway</html>".into()).await.0, Class::Transient);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_does_not_hold_its_checksum_is_tried_again() {
    let broken = recorded([(200, "content-length: 100\r\netag: \"e\"\r\n", "only this".into())]).await;
    let error = get(&broken, &object(), &options()).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    let wrong = recorded([(200, "etag: \"e\"\r\nx-amz-checksum-crc32: AAAAAA==\r\n", "not that content".into())]).await;
    let error = get(&wrong, &object(), &options()).await.unwrap_err();
    assert_eq!(error.class(), Class::Transient, "{error}");
    let nobody = Recorded { url: "http://127.0.0.1:9".into(), requests: Arc::default() };
    assert_eq!(get(&nobody, &object(), &options()).await.unwrap_err().class(), Class::Transient);
}

#[tokio::test]
async fn a_bucket_in_another_region_is_followed_once_and_remembered() {
    let moved =
        (301, "x-amz-bucket-region: eu-west-1\r\n", xml("PermanentRedirect", "The bucket must be addressed using the specified endpoint."));
    let found = (200, "etag: \"e\"\r\n", "content".to_owned());
    let server = recorded([moved.clone(), found.clone(), found]).await;
    let objects = S3Objects::new(&config(&server.url), &options());
    for _ in 0..2 {
        let content = objects.open(&object()).await.unwrap().read().await.unwrap();
        assert_eq!(content, "content");
    }
    let regions: Vec<String> = server.requests.lock().unwrap().iter().map(|request| signed_for(request)).collect();
    assert_eq!(regions, ["us-east-1", "eu-west-1", "eu-west-1"]);

    let again = (301, "x-amz-bucket-region: ap-south-1\r\n", xml("PermanentRedirect", "The bucket is elsewhere."));
    let server = recorded([moved, again]).await;
    let error = get(&server, &object(), &options()).await.unwrap_err();
    assert_eq!(error.class(), Class::Environment);
    assert!(error.to_string().starts_with("WrongRegion: bucket trail is neither in us-east-1 nor in eu-west-1"), "{error}");
}

fn signed_for(request: &str) -> String {
    let scope = request.split("Credential=").nth(1).unwrap();
    scope.split('/').nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn the_version_the_owner_and_the_payer_are_told_and_the_key_is_encoded() {
    let server = recorded([(200, "etag: \"e\"\r\nx-amz-version-id: v7\r\n", "content".into())]).await;
    let options = SqsOptions { expected_bucket_owner: Some("000000000012".into()), request_payer: true, ..options() };
    let named = ObjectRef { version: Some("v7".into()), region: Some("eu-central-1".into()), ..object() };
    let opened = S3Objects::new(&config(&server.url), &options).open(&named).await.unwrap();
    assert_eq!((opened.head().size, opened.head().etag.as_deref(), opened.head().version.as_deref()), (Some(7), Some("e"), Some("v7")));
    let request = server.requests.lock().unwrap()[0].clone();
    let line = request.lines().next().unwrap();
    assert!(line.starts_with("GET /trail/AWSLogs/a%20b%2Bc/x.json.gz?") && line.contains("versionId=v7"), "{line}");
    assert!(
        request.contains("x-amz-expected-bucket-owner: 000000000012") && request.contains("x-amz-request-payer: requester"),
        "{request}"
    );
    assert_eq!(signed_for(&request), "eu-central-1", "the notification knows the bucket's region");
}

fn queue(server: &Recorded) -> SqsQueue {
    let options = options();
    SqsQueue::new(&config(&server.url), &options, &options.check().unwrap())
}

const JSON: &str = "content-type: application/x-amz-json-1.0\r\n";

#[tokio::test]
async fn messages_come_with_how_often_and_when() {
    let body = r#"{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b","Attributes":{"ApproximateReceiveCount":"3","SentTimestamp":"1700000000123"}}]}"#;
    let server = recorded([(200, JSON, body.into()), (200, JSON, "{}".into())]).await;
    let queue = queue(&server);
    let [message] = &queue.receive(10).await.unwrap()[..] else { panic!() };
    assert_eq!((message.receive_count, message.sent_at_ms, message.receipt.as_str()), (3, Some(1_700_000_000_123), "r"));
    assert_eq!(queue.receive(10).await.unwrap(), []);
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.contains(r#""WaitTimeSeconds":20"#) && request.contains(r#""VisibilityTimeout":300"#), "{request}");
}

#[tokio::test]
async fn of_a_batch_of_deletes_each_has_its_own_result() {
    let body = r#"{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","SenderFault":true,"Code":"ReceiptHandleIsInvalid","Message":"no"},{"Id":"2","SenderFault":false,"Code":"InternalError"}]}"#;
    let server = recorded([(200, JSON, body.into())]).await;
    let results = queue(&server).delete(["a", "b", "c", "d"].map(str::to_owned).into()).await.unwrap();
    assert!(matches!(results[..], [Ok(()), Err(QueueError::NotOurs), Err(_), Err(_)]), "{results:?}");
    assert!(results[2..].iter().all(|result| result.as_ref().is_err_and(QueueError::is_transient)), "{results:?}");
}

#[tokio::test]
async fn a_receipt_that_is_not_valid_any_more_is_told_apart() {
    let invalid = r#"{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"The input receipt handle is invalid."}"#;
    let expired = r#"{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"Value r for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility timeout change."}"#;
    let missing = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}"#;
    let server = recorded([(400, JSON, invalid.into()), (400, JSON, expired.into()), (400, JSON, missing.into())]).await;
    let queue = queue(&server);
    let hide = async || queue.hide("r".into(), Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(hide().await, QueueError::NotOurs));
    assert!(matches!(hide().await, QueueError::NotOurs));
    let missing = hide().await;
    assert!(missing.to_string().contains("check the queue's URL"), "{missing}");
}
