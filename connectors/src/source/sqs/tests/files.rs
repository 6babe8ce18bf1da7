//! Log files and the notifications that name them.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

pub fn etag(content: &[u8]) -> String {
    format!("{:08x}", content.iter().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte))))
}

/// A log file of CloudTrail with one start of an instance for each event id.
pub fn log_file(event_ids: &[&str]) -> Bytes {
    let record = |id: &&str| {
        json!({"eventVersion": "1.08", "eventTime": "2024-03-01T09:00:00Z", "eventSource": "ec2.amazonaws.com", "eventName": "StartInstances",
            "awsRegion": "us-east-1", "eventID": id, "recipientAccountId": "000000000012",
            "responseElements": {"instancesSet": {"items": [{"instanceId": "i-1"}]}}})
    };
    gzip(json!({"Records": event_ids.iter().map(record).collect::<Vec<_>>()}).to_string().as_bytes())
}

pub fn gzip(text: &[u8]) -> Bytes {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(text).unwrap();
    gz.finish().unwrap().into()
}

/// The key of a log file.
pub fn key(name: &str) -> String {
    format!("AWSLogs/000000000012/CloudTrail/us-east-1/2024/03/01/{name}.json.gz")
}

pub fn uri(name: &str) -> String {
    format!("s3://trail/{}", key(name))
}

/// A notification of S3 for log files of these names, whose content is told when it is given.
pub fn notify(names: &[&str], content: Option<&Bytes>) -> String {
    let record = |name: &&str| {
        let mut record = json!({"eventName": "ObjectCreated:Put", "eventTime": "2023-11-14T22:13:20Z", "s3": {"bucket": {"name": "trail"}, "object": {"key": key(name)}}});
        if let Some(content) = content {
            record["s3"]["object"]["size"] = content.len().into();
            record["s3"]["object"]["eTag"] = etag(content).into();
        }
        record
    };
    json!({"Records": names.iter().map(record).collect::<Vec<_>>()}).to_string()
}
