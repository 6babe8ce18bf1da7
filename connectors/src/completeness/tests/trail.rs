//! A trail of CloudTrail: log files, and the chain of digests that it signs.

use std::io::Write;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use cloudigrade_schemas::UtcSecond;
use sha2::{Digest as _, Sha256};

pub(in crate::completeness) const BUCKET: &str = "trail-bucket";
pub(in crate::completeness) const ACCOUNT: &str = "000000000001";
pub(in crate::completeness) const REGION: &str = "us-east-1";
/// 2024-03-01T00:00:00Z.
const START: i64 = 1_709_251_200;
pub(in crate::completeness) const HOUR: i64 = 3600;

/// An object of the bucket that a trail writes to.
#[derive(Clone, Debug)]
pub(in crate::completeness) struct Put {
    pub key: String,
    pub content: Vec<u8>,
    pub signature: Option<String>,
}

/// A trail of one region that writes log files and digests.
pub(in crate::completeness) struct Trail {
    pub pair: KeyPair,
    pub fingerprint: String,
    pub digests: Vec<Put>,
    pub logs: Vec<Put>,
}

pub(in crate::completeness) fn sign(pair: &KeyPair, text: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature).unwrap();
    signature
}

pub(in crate::completeness) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(in crate::completeness) fn at(second: i64) -> UtcSecond {
    UtcSecond(START + second)
}

fn compact(moment: UtcSecond) -> String {
    moment.to_string().replace(['-', ':'], "")
}

fn day(moment: UtcSecond) -> String {
    moment.to_string()[..10].replace('-', "/")
}

impl Trail {
    /// A trail that wrote so many log files in each hour.
    pub fn new(files: &[usize]) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let mut trail = Self { pair, fingerprint: "31e8b5433410dfb61a9dc45cc65b22ff".into(), digests: Vec::new(), logs: Vec::new() };
        for (hour, files) in files.iter().enumerate() {
            let hour = i64::try_from(hour).unwrap() * HOUR;
            let logs: Vec<Put> = (0..*files).map(|file| log_file(hour, i64::try_from(file).unwrap())).collect();
            trail.digest(at(hour), at(hour + HOUR), &logs);
            trail.logs.extend(logs);
        }
        trail
    }

    pub fn digest(&mut self, start: UtcSecond, end: UtcSecond, logs: &[Put]) {
        let key = format!(
            "AWSLogs/{ACCOUNT}/CloudTrail-Digest/{REGION}/{}/{ACCOUNT}_CloudTrail-Digest_{REGION}_all_{REGION}_{}.json.gz",
            day(end),
            compact(end)
        );
        let previous = self.digests.last();
        let log_files: Vec<_> = logs.iter().map(|log| serde_json::json!({
            "s3Bucket": BUCKET, "s3Object": log.key, "hashValue": hexadecimal(&Sha256::digest(inflated(&log.content))), "hashAlgorithm": "SHA-256",
            "newestEventTime": end.to_string(), "oldestEventTime": UtcSecond(start.0 - 300).to_string(),
        })).collect();
        let text = serde_json::json!({
            "awsAccountId": ACCOUNT, "digestStartTime": start.to_string(), "digestEndTime": end.to_string(),
            "digestS3Bucket": BUCKET, "digestS3Object": key, "digestPublicKeyFingerprint": self.fingerprint,
            "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": null, "oldestEventTime": null,
            "previousDigestS3Bucket": previous.map(|_| BUCKET), "previousDigestS3Object": previous.map(|previous| &previous.key),
            "previousDigestHashValue": previous.map(|previous| hexadecimal(&Sha256::digest(inflated(&previous.content)))),
            "previousDigestHashAlgorithm": previous.map(|_| "SHA-256"),
            "previousDigestSignature": previous.and_then(|previous| previous.signature.as_deref()),
            "logFiles": log_files,
        })
        .to_string();
        let previous = previous.and_then(|previous| previous.signature.as_deref()).unwrap_or("null");
        let signed = format!("{end}\n{BUCKET}/{key}\n{}\n{previous}", hexadecimal(&Sha256::digest(text.as_bytes())));
        let signature = Some(hexadecimal(&sign(&self.pair, signed.as_bytes())));
        self.digests.push(Put { key, content: gzip(text.as_bytes()), signature });
    }

    pub fn all(&self) -> impl Iterator<Item = &Put> {
        self.digests.iter().chain(&self.logs)
    }
}

pub(in crate::completeness) fn inflated(content: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(content), &mut text).unwrap();
    text
}

pub(in crate::completeness) fn log_file(hour: i64, file: i64) -> Put {
    let delivered = at(hour + file * 300 + 300);
    let key = format!(
        "AWSLogs/{ACCOUNT}/CloudTrail/{REGION}/{}/{ACCOUNT}_CloudTrail_{REGION}_{}_{hour}x{file}.json.gz",
        day(delivered),
        compact(delivered).replace("00Z", "Z")
    );
    let record = serde_json::json!({"Records": [{
        "eventVersion": "1.08", "eventSource": "ec2.amazonaws.com", "eventName": "DescribeRegions", "awsRegion": REGION,
        "recipientAccountId": ACCOUNT, "eventTime": UtcSecond(delivered.0 - 200).to_string(), "eventID": format!("{hour}-{file}"),
    }]});
    Put { key, content: gzip(record.to_string().as_bytes()), signature: None }
}
