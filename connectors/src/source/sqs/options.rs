//! How to collect from a queue, and what is refused before anything is asked of AWS.

use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::limits::{DRAIN_LIMIT, QUEUE_BATCH_MAX};

/// The longest visibility timeout that SQS knows.
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 3600);
/// The shortest that leaves a heartbeat time to arrive.
const VISIBILITY_MIN: Duration = Duration::from_secs(2);
/// The longest that SQS waits for messages.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// How to collect from a queue. The names are those of the configuration, `source.sqs.*` and `source.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsOptions {
    /// The queue: `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`.
    pub queue_url: String,
    /// The queue's region; absent when the URL tells it.
    pub region: Option<String>,
    /// How long a message is hidden from other readers. It is renewed at half of it while the message is worked on.
    pub visibility_timeout: Duration,
    /// How long a request waits for messages.
    pub wait_time: Duration,
    /// Messages that one request gives, at most 10.
    pub max_messages: usize,
    /// Objects that are fetched and decoded at the same time.
    pub workers: usize,
    /// How often a message is received before an object that is gone is given up.
    pub max_receive_count: u32,
    /// The buckets that notifications may name, as names or globs. Nothing else is ever asked of S3.
    pub buckets: Vec<String>,
    /// Keys that are read, as globs, instead of those that CloudTrail writes.
    pub include: Vec<String>,
    /// The account that must own the buckets: a bucket that somebody else made under a known name is not read.
    pub expected_bucket_owner: Option<String>,
    /// Whether the requester pays for reading.
    pub request_payer: bool,
    /// Another endpoint than AWS's, for S3 and SQS. S3 is then addressed by path.
    pub endpoint: Option<String>,
    /// How long finishing what is being committed may take once asked to stop.
    pub drain: Duration,
}

impl SqsOptions {
    /// The options that most users keep.
    pub fn new(queue_url: impl Into<String>, buckets: Vec<String>) -> Self {
        Self {
            queue_url: queue_url.into(),
            region: None,
            visibility_timeout: Duration::from_secs(300),
            wait_time: WAIT_MAX,
            max_messages: QUEUE_BATCH_MAX,
            workers: 4 * std::thread::available_parallelism().map_or(1, usize::from),
            max_receive_count: 5,
            buckets,
            include: Vec::new(),
            expected_bucket_owner: None,
            request_payer: false,
            endpoint: None,
            drain: DRAIN_LIMIT,
        }
    }

    /// Holds the options against what SQS and S3 take.
    ///
    /// # Errors
    /// [`OptionsError`], the first that is found.
    pub fn check(&self) -> Result<Checked, OptionsError> {
        let url = &self.queue_url;
        let after_scheme = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let named = after_scheme.and_then(|rest| rest.split_once('/')).is_some_and(|(host, path)| !host.is_empty() && !path.is_empty());
        if !named {
            return Err(OptionsError::QueueUrl { url: url.clone() });
        }
        let region = self.region();
        if region.is_none() && self.endpoint.is_none() {
            return Err(OptionsError::Region { url: url.clone() });
        }
        let between = |option, value: Duration, least: Duration, most: Duration| {
            let (seconds, least, most) = (value.as_secs(), least.as_secs(), most.as_secs());
            let within = (least..=most).contains(&seconds);
            if within { Ok(()) } else { Err(OptionsError::Seconds { option, seconds, least, most }) }
        };
        between("visibility_timeout", self.visibility_timeout, VISIBILITY_MIN, VISIBILITY_MAX)?;
        between("wait_time", self.wait_time, Duration::ZERO, WAIT_MAX)?;
        if self.buckets.is_empty() {
            return Err(OptionsError::NoBuckets);
        }
        self.check_objects()
    }

    fn region(&self) -> Option<String> {
        self.region.clone().or_else(|| region_of_queue(&self.queue_url))
    }

    /// Holds against the limits what is asked of objects, wherever their names come from.
    ///
    /// # Errors
    /// [`OptionsError`], the first that is found.
    pub fn check_objects(&self) -> Result<Checked, OptionsError> {
        let within = |option, value: usize, most: usize| {
            if (1..=most).contains(&value) { Ok(()) } else { Err(OptionsError::Count { option, value, most }) }
        };
        within("max_messages", self.max_messages, QUEUE_BATCH_MAX)?;
        within("workers", self.workers, 1_024)?;
        within("max_receive_count", self.max_receive_count as usize, 1_000)?;
        if let Some(owner) = &self.expected_bucket_owner
            && !(owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(OptionsError::Owner { owner: owner.clone() });
        }
        Ok(Checked {
            region: self.region(),
            buckets: globs("buckets", &self.buckets)?,
            include: if self.include.is_empty() { None } else { Some(globs("include", &self.include)?) },
        })
    }

    /// The queue's name, for dead letters and messages: what follows the URL's last slash.
    pub fn queue_name(&self) -> &str {
        self.queue_url.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.queue_url)
    }
}

/// What was read out of options that hold.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The queue's region; absent only where an endpoint is given.
    pub region: Option<String>,
    /// The buckets that may be read.
    pub buckets: GlobSet,
    /// The keys that are read, where it is not CloudTrail's own that are.
    pub include: Option<GlobSet>,
}

fn globs(option: &'static str, patterns: &[String]) -> Result<GlobSet, OptionsError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| OptionsError::Glob { option, cause: error.to_string() })?);
    }
    set.build().map_err(|error| OptionsError::Glob { option, cause: error.to_string() })
}

/// The region in `https://sqs.REGION.amazonaws.com/...`, also `.amazonaws.com.cn`, and the old form `https://REGION.queue.amazonaws.com`.
fn region_of_queue(url: &str) -> Option<String> {
    let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let region = match labels.as_slice() {
        ["sqs" | "sqs-fips", region, "amazonaws", "com", ..] => region,
        ["queue", "amazonaws", "com"] => "us-east-1",
        [region, "queue", "amazonaws", "com", ..] => region,
        _ => return None,
    };
    Some((*region).to_owned())
}

/// Why options are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The URL is none.
    #[error("source.sqs.queue_url: {url:?} is no queue's URL; write https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")]
    QueueUrl {
        /// What was given.
        url: String,
    },
    /// The region is not told.
    #[error("source.sqs.queue_url: {url} does not tell the queue's region; set aws.region")]
    Region {
        /// The URL.
        url: String,
    },
    /// A time is out of bounds.
    #[error("source.sqs.{option}: {seconds} s is not between {least} s and {most} s")]
    Seconds {
        /// Which.
        option: &'static str,
        /// What was given.
        seconds: u64,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// A number is out of bounds.
    #[error("source.{option}: {value} is not between 1 and {most}")]
    Count {
        /// Which.
        option: &'static str,
        /// What was given.
        value: usize,
        /// The most.
        most: usize,
    },
    /// No bucket may be read.
    #[error("source.sqs.buckets names no bucket: a notification may only lead to buckets that are listed; list the trails' buckets")]
    NoBuckets,
    /// The owner is no account.
    #[error("source.sqs.expected_bucket_owner: {owner:?} is no AWS account; write its twelve digits, in quotes")]
    Owner {
        /// What was given.
        owner: String,
    },
    /// A pattern cannot be read.
    #[error("source.{option}: {cause}; write names or globs such as AWSLogs/**/*.json.gz")]
    Glob {
        /// Which.
        option: &'static str,
        /// Why.
        cause: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SqsOptions {
        SqsOptions::new("https://sqs.eu-west-1.amazonaws.com/123456789012/trail", vec!["trail-*".into()])
    }

    #[test]
    fn the_region_comes_from_the_url_unless_it_is_given() {
        let region = |url: &str| region_of_queue(url);
        assert_eq!(options().check().unwrap().region.as_deref(), Some("eu-west-1"));
        assert_eq!(region("https://sqs.cn-north-1.amazonaws.com.cn/1/q").as_deref(), Some("cn-north-1"));
        assert_eq!(region("https://us-west-2.queue.amazonaws.com/1/q").as_deref(), Some("us-west-2"));
        assert_eq!(region("http://127.0.0.1:5055/1/q"), None);
        let given = SqsOptions { region: Some("us-gov-west-1".into()), ..options() };
        assert_eq!(given.check().unwrap().region.as_deref(), Some("us-gov-west-1"));
        let local = SqsOptions { queue_url: "http://127.0.0.1:5055/1/q".into(), ..options() };
        assert!(matches!(local.check(), Err(OptionsError::Region { .. })));
        assert_eq!(SqsOptions { endpoint: Some("http://127.0.0.1:5055".into()), ..local }.check().unwrap().region, None);
    }

    #[test]
    fn what_aws_would_refuse_is_refused_before_it_is_asked() {
        let refused = |change: fn(&mut SqsOptions)| {
            let mut options = options();
            change(&mut options);
            options.check().unwrap_err().to_string()
        };
        assert!(refused(|o| o.queue_url = "trail".into()).starts_with("source.sqs.queue_url"));
        assert!(refused(|o| o.max_messages = 11).starts_with("source.max_messages: 11"));
        assert!(refused(|o| o.max_messages = 0).contains("between 1 and 10"));
        assert!(refused(|o| o.wait_time = Duration::from_secs(21)).contains("wait_time: 21 s"));
        assert!(refused(|o| o.visibility_timeout = Duration::from_secs(1)).contains("visibility_timeout: 1 s"));
        assert!(refused(|o| o.buckets = Vec::new()).contains("names no bucket"));
        assert!(refused(|o| o.expected_bucket_owner = Some("12345".into())).contains("twelve digits"));
        assert!(refused(|o| o.include = vec!["[".into()]).starts_with("source.include"));
    }
}
