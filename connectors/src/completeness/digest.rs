//! One digest file of CloudTrail: which log files were delivered in its time, and which digest came before it.
//!
//! CloudTrail writes a digest about once an hour for each region of a trail with log file validation, also for an hour without log files.
//! This module knows no place where digests lie and no clock: a text in, [`Digest`] out.

use cloudigrade_schemas::UtcSecond;
use serde::Deserialize;

use super::place::{S3Place, key_of_uri};
use crate::limits::{DIGEST_BYTES_MAX, DIGEST_LOG_FILES_MAX};

/// What the key of a digest ends with that names log files which the digest of their hour had left out.
const BACKFILL_ENDING: &str = "_backfill.json.gz";
/// The folder of digests in a bucket. The region is the one below it.
const DIGEST_FOLDER: &str = "CloudTrail-Digest";
/// Bytes of `_20150817T150131Z` at the end of a digest's name.
const STAMP_LEN: usize = 17;

/// A digest file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// The account whose log files it names; of an organisation's trail the member.
    pub account_id: String,
    /// The region whose log files it names.
    pub region: String,
    /// It names the log files delivered from then on,
    pub start: UtcSecond,
    /// until then.
    pub end: UtcSecond,
    /// [`Self::end`] as it is written, which is part of what is signed.
    pub end_text: String,
    /// Where CloudTrail put it.
    pub place: S3Place,
    /// The digest before it; `None` where a chain begins: a trail was started or changed.
    pub previous: Option<Previous>,
    /// Names the public key of its signature.
    pub fingerprint: String,
    /// The log files.
    pub log_files: Vec<LogFile>,
}

/// What a digest says of the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Where CloudTrail put it.
    pub place: S3Place,
    /// SHA-256 of its text, in hexadecimal digits.
    pub hash: Option<String>,
    /// Its signature, in hexadecimal digits.
    pub signature: Option<String>,
}

/// What a digest says of a log file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where CloudTrail put it.
    pub place: S3Place,
    /// SHA-256 of its text, in hexadecimal digits.
    pub hash: String,
    /// The time of its oldest event, where it was told.
    pub oldest: Option<UtcSecond>,
}

/// Why an object is no digest that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// It is too large.
    #[error("the digest has {size} bytes, over the limit of {limit}; CloudTrail's are far smaller: check what wrote the object")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// It names too many log files.
    #[error(
        "the digest names {count} log files, over the limit of {limit}; CloudTrail writes fewer in an hour: check what wrote the object"
    )]
    TooManyLogFiles {
        /// How many it names.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// It is not JSON, or a field is absent or of another kind.
    #[error("the digest cannot be read: {cause}; fetch the object from its origin again")]
    Malformed {
        /// Why.
        cause: String,
    },
    /// A time is none, or they are the wrong way round.
    #[error("the digest is for the time from {start:?} until {end:?}, which is no stretch of time; fetch the object from its origin again")]
    BadTime {
        /// Its start, as written.
        start: String,
        /// Its end, as written.
        end: String,
    },
    /// Its path does not say the region.
    #[error("the digest's path {key:?} names no region below a folder CloudTrail-Digest, or its account {account:?} is none")]
    NoRegion {
        /// Its path.
        key: String,
        /// Its account.
        account: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    aws_account_id: String,
    digest_start_time: String,
    digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    bucket: String,
    #[serde(rename = "digestS3Object")]
    object: Option<String>,
    digest_public_key_fingerprint: Option<String>,
    #[serde(rename = "previousDigestS3Bucket")]
    previous_bucket: Option<String>,
    #[serde(rename = "previousDigestS3Object")]
    previous_object: Option<String>,
    previous_digest_hash_value: Option<String>,
    previous_digest_signature: Option<String>,
    #[serde(default)]
    log_files: Option<Vec<RawLogFile>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLogFile {
    #[serde(rename = "s3Bucket")]
    bucket: String,
    #[serde(rename = "s3Object")]
    object: String,
    hash_value: Option<String>,
    oldest_event_time: Option<String>,
}

impl Digest {
    /// Reads a digest's text, which was inflated before. `uri` is where it was found; it is asked only where the digest does not say where
    /// it was put.
    ///
    /// # Errors
    /// [`DigestError`].
    pub fn parse(text: &[u8], uri: &str) -> Result<Self, DigestError> {
        if text.len() > DIGEST_BYTES_MAX {
            return Err(DigestError::TooLarge { size: text.len(), limit: DIGEST_BYTES_MAX });
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let raw: Raw = serde_json::from_slice(text).map_err(|error| DigestError::Malformed { cause: error.to_string() })?;
        let log_files = raw.log_files.unwrap_or_default();
        if log_files.len() > DIGEST_LOG_FILES_MAX {
            return Err(DigestError::TooManyLogFiles { count: log_files.len(), limit: DIGEST_LOG_FILES_MAX });
        }
        let times = UtcSecond::parse_prefix(&raw.digest_start_time).ok().zip(UtcSecond::parse_prefix(&raw.digest_end_time).ok());
        let Some((start, end)) = times.filter(|(start, end)| start <= end) else {
            return Err(DigestError::BadTime { start: cut(&raw.digest_start_time), end: cut(&raw.digest_end_time) });
        };
        let key = raw.object.unwrap_or_else(|| key_of_uri(uri).to_owned());
        let region = region_of(&key).filter(|_| is_name(&raw.aws_account_id));
        let Some(region) = region.map(str::to_owned) else {
            return Err(DigestError::NoRegion { key, account: cut(&raw.aws_account_id) });
        };
        let previous_bucket = raw.previous_bucket.unwrap_or_else(|| raw.bucket.clone());
        let previous = raw.previous_object.map(|key| Previous {
            place: S3Place { bucket: previous_bucket, key },
            hash: raw.previous_digest_hash_value.map(|hash| hash.to_ascii_lowercase()),
            signature: raw.previous_digest_signature,
        });
        let log_file = |file: RawLogFile| LogFile {
            place: S3Place { bucket: file.bucket, key: file.object },
            hash: file.hash_value.unwrap_or_default().to_ascii_lowercase(),
            oldest: file.oldest_event_time.and_then(|time| UtcSecond::parse_prefix(&time).ok()),
        };
        Ok(Self {
            account_id: raw.aws_account_id,
            region,
            start,
            end,
            end_text: raw.digest_end_time,
            place: S3Place { bucket: raw.bucket, key },
            previous,
            fingerprint: raw.digest_public_key_fingerprint.unwrap_or_default().to_ascii_lowercase(),
            log_files: log_files.into_iter().map(log_file).collect(),
        })
    }

    /// When the oldest event happened that its log files tell of, where they say so. CloudTrail delivers some minutes late, so this is
    /// mostly before [`Self::start`].
    pub fn oldest_event(&self) -> Option<UtcSecond> {
        self.log_files.iter().filter_map(|file| file.oldest).min()
    }
}

/// Whether a digest, by its path, is one of those that come beside the hourly ones. They have a chain of their own.
pub fn is_backfill(path: &str) -> bool {
    path.ends_with(BACKFILL_ENDING)
}

/// Whether a file, by its name alone, is a digest.
pub fn is_digest_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.contains("_CloudTrail-Digest_")
}

/// What the paths of all digests of one chain share: the trail, its account and region, and where they lie.
pub fn chain_of(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, ending) = match name.strip_suffix(BACKFILL_ENDING) {
        Some(stem) => (stem, BACKFILL_ENDING),
        None => (name.split_once('.').map_or(name, |(stem, _)| stem), ""),
    };
    let Some(trail) = without_stamp(stem) else { return format!("{folder}/{ending}") };
    let mut folder = folder;
    for digits in [2, 2, 4] {
        let date = folder.rsplit_once('/').filter(|(_, part)| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()));
        match date {
            Some((above, _)) => folder = above,
            None => break,
        }
    }
    format!("{folder}/{trail}{ending}")
}

/// A digest's name without the time at its end, if it ends with one.
fn without_stamp(stem: &str) -> Option<&str> {
    let at = stem.len().checked_sub(STAMP_LEN)?;
    let (trail, stamp) = stem.split_at_checked(at)?;
    let shape = stamp.bytes().enumerate().all(|(at, byte)| match at {
        0 => byte == b'_',
        9 => byte == b'T',
        16 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    shape.then_some(trail)
}

/// The region that a digest's path names.
fn region_of(key: &str) -> Option<&str> {
    let mut parts = key.split('/').skip_while(|part| *part != DIGEST_FOLDER);
    parts.next()?;
    parts.next().filter(|region| is_name(region))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "AWSLogs/1/CloudTrail-Digest/us-east-2/2015/08/17/1_CloudTrail-Digest_us-east-2_all_us-east-2_20150817T150131Z.json.gz";

    fn text(change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
        let mut digest = serde_json::json!({
            "awsAccountId": "1", "digestStartTime": "2015-08-17T14:01:31Z", "digestEndTime": "2015-08-17T15:01:31Z",
            "digestS3Bucket": "b", "digestS3Object": KEY, "digestPublicKeyFingerprint": "31E8", "digestSignatureAlgorithm": "SHA256withRSA",
            "newestEventTime": "2015-08-17T14:52:27Z", "oldestEventTime": "2015-08-17T14:42:27Z",
            "previousDigestS3Bucket": "b", "previousDigestS3Object": "k", "previousDigestHashValue": "97FB",
            "previousDigestHashAlgorithm": "SHA-256", "previousDigestSignature": "5088",
            "logFiles": [{"s3Bucket": "b", "s3Object": "l", "hashValue": "9BB6", "hashAlgorithm": "SHA-256",
                "newestEventTime": "2015-08-17T14:52:27Z", "oldestEventTime": "2015-08-17T14:42:27Z"}],
        });
        change(&mut digest);
        digest.to_string().into_bytes()
    }

    #[test]
    fn a_digest_names_its_time_its_log_files_and_the_one_before_it() {
        let digest = Digest::parse(&text(|_| {}), "s3://b/k").unwrap();
        assert_eq!((digest.account_id.as_str(), digest.region.as_str(), digest.place.key.as_str()), ("1", "us-east-2", KEY));
        assert_eq!((digest.start.to_string(), digest.end.to_string()), ("2015-08-17T14:01:31Z".into(), "2015-08-17T15:01:31Z".into()));
        assert_eq!(digest.previous.as_ref().unwrap().hash.as_deref(), Some("97fb"));
        assert_eq!(digest.log_files[0].hash, "9bb6");
        assert_eq!(digest.oldest_event().unwrap().to_string(), "2015-08-17T14:42:27Z");
    }

    #[test]
    fn a_digest_begins_a_chain_where_it_names_none_before_it_and_an_empty_hour_has_one_too() {
        let starts = text(|digest| {
            for field in ["previousDigestS3Bucket", "previousDigestS3Object", "previousDigestHashValue", "previousDigestSignature"] {
                digest[field] = serde_json::Value::Null;
            }
            digest["logFiles"] = serde_json::json!([]);
            digest["oldestEventTime"] = serde_json::Value::Null;
        });
        let digest = Digest::parse(&starts, "s3://b/k").unwrap();
        assert_eq!((digest.previous, digest.log_files.len()), (None, 0));
    }

    #[test]
    fn a_digest_that_does_not_say_where_it_was_put_lies_where_it_was_found() {
        let without = text(|digest| _ = digest.as_object_mut().unwrap().remove("digestS3Object"));
        assert_eq!(Digest::parse(&without, &format!("s3://b/{KEY}")).unwrap().place.key, KEY);
        assert!(matches!(Digest::parse(&without, "/x.json"), Err(DigestError::NoRegion { .. })));
    }

    #[test]
    fn what_is_no_digest_says_why() {
        assert!(matches!(Digest::parse(b"{", "x"), Err(DigestError::Malformed { .. })));
        assert!(matches!(Digest::parse(b"{}", "x"), Err(DigestError::Malformed { .. })));
        let times = text(|digest| digest["digestEndTime"] = "2015-08-17T13:00:00Z".into());
        assert!(matches!(Digest::parse(&times, "x"), Err(DigestError::BadTime { .. })));
        let account = text(|digest| digest["awsAccountId"] = "1/2".into());
        assert!(matches!(Digest::parse(&account, "x"), Err(DigestError::NoRegion { .. })));
        let file = serde_json::json!({"s3Bucket": "b", "s3Object": "l"});
        let many = text(|digest| digest["logFiles"] = vec![file.clone(); DIGEST_LOG_FILES_MAX + 1].into());
        assert!(matches!(Digest::parse(&many, "x"), Err(DigestError::TooManyLogFiles { .. })));
        assert!(matches!(Digest::parse(&vec![b' '; DIGEST_BYTES_MAX + 1], "x"), Err(DigestError::TooLarge { .. })));
    }

    #[test]
    fn paths_of_one_chain_differ_in_their_time_alone() {
        let chain = chain_of(&format!("s3://b/{KEY}"));
        assert_eq!(chain, "s3://b/AWSLogs/1/CloudTrail-Digest/us-east-2/1_CloudTrail-Digest_us-east-2_all_us-east-2");
        assert_eq!(chain_of(&format!("s3://b/{}", KEY.replace("2015/08/17", "2016/01/01").replace("20150817T15", "20160101T16"))), chain);
        assert_ne!(chain_of(&format!("s3://b/{}", KEY.replace("_all_", "_other_"))), chain);
        let backfill = KEY.replace(".json.gz", "_backfill.json.gz");
        assert!(is_backfill(&backfill) && !is_backfill(KEY));
        assert_eq!(chain_of(&format!("s3://b/{backfill}")), format!("{chain}_backfill.json.gz"));
        assert_eq!(chain_of("/x/renamed.json"), "/x/");
        assert!(is_digest_name(KEY) && !is_digest_name("1_CloudTrail_us-east-2_20150817T1500Z_x.json.gz"));
    }
}
