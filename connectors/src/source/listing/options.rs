//! How to find new objects by listing, and what is refused before anything is listed.

use std::path::PathBuf;
use std::time::Duration;

use cloudigrade_schemas::UtcSecond;

use crate::limits::{
    LIST_FULL_EVERY, LIST_FULL_EVERY_MAX, LIST_INTERVAL, LIST_INTERVAL_MAX, LIST_INTERVAL_MIN, LIST_PLACES_MAX, LIST_RECENT_DAYS,
    LIST_RECENT_DAYS_MAX,
};
use crate::source::feed::Location;
use crate::source::sqs::{OptionsError, SqsOptions};

/// How long objects that are being worked on are kept from being given out again. There is no other reader, so it need not be short.
const KEPT: Duration = Duration::from_secs(12 * 3600);

/// How to find new objects by listing. The names are those of the configuration, `source.list.*` and `source.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOptions {
    /// What is listed: `s3://bucket/prefix`, or a folder's path.
    pub places: Vec<String>,
    /// How long after one listing the next begins.
    pub interval: Duration,
    /// Days, besides today, that each listing looks at.
    pub recent_days: u32,
    /// How often all of it is listed.
    pub full_every: Duration,
    /// What was delivered before is not read.
    pub since: Option<UtcSecond>,
    /// Objects that are fetched and decoded at the same time.
    pub workers: usize,
    /// Keys that are read, as globs, instead of those that CloudTrail writes.
    pub include: Vec<String>,
    /// The account that must own the buckets.
    pub expected_bucket_owner: Option<String>,
    /// Whether the requester pays for listing and reading.
    pub request_payer: bool,
    /// Another endpoint than AWS's.
    pub endpoint: Option<String>,
    /// How long finishing what is being committed may take once asked to stop.
    pub drain: Duration,
}

/// Places that hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder of a bucket; its prefix is empty or ends with a slash.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// A folder on the disk.
    Folder(PathBuf),
}

impl Place {
    /// As the configuration writes it.
    pub fn name(&self) -> String {
        match self {
            Self::Bucket { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
            Self::Folder(path) => path.display().to_string(),
        }
    }

    /// The place that a text names.
    ///
    /// # Errors
    /// [`ListError::Place`].
    pub fn of(text: &str) -> Result<Self, ListError> {
        match text.parse() {
            Ok(Location::S3 { bucket, prefix }) => {
                let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
                Ok(Self::Bucket { bucket, prefix: format!("{prefix}{slash}") })
            }
            Ok(Location::Local(path)) if !text.is_empty() => Ok(Self::Folder(path)),
            _ => Err(ListError::Place { place: text.to_owned() }),
        }
    }
}

/// Why options are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Nothing is to be listed, or too much.
    #[error("source.list.places names {count} places: name 1 to {LIST_PLACES_MAX}, each s3://bucket/prefix or a folder")]
    Places {
        /// How many there are.
        count: usize,
    },
    /// A place that is none.
    #[error("source.list.places: {place:?} is no place; write s3://bucket/prefix or a folder's path")]
    Place {
        /// What was given.
        place: String,
    },
    /// A time is out of bounds.
    #[error("source.list.{option}: {seconds} s is not between {least} s and {most} s")]
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
    /// Too many days.
    #[error("source.list.recent_days: {days} is more than {LIST_RECENT_DAYS_MAX}; what comes later than that is found by `full_every`")]
    Days {
        /// What was given.
        days: u32,
    },
    /// What both sources check.
    #[error(transparent)]
    Objects(#[from] OptionsError),
}

impl ListOptions {
    /// The options that most users keep.
    pub fn new(places: Vec<String>) -> Self {
        let sqs = SqsOptions::new(String::new(), Vec::new());
        Self {
            places,
            interval: LIST_INTERVAL,
            recent_days: LIST_RECENT_DAYS,
            full_every: LIST_FULL_EVERY,
            since: None,
            workers: sqs.workers,
            include: Vec::new(),
            expected_bucket_owner: None,
            request_payer: false,
            endpoint: None,
            drain: sqs.drain,
        }
    }

    /// Holds the options against the limits.
    ///
    /// # Errors
    /// [`ListError`], the first that is found.
    pub fn check(&self) -> Result<Vec<Place>, ListError> {
        if !(1..=LIST_PLACES_MAX).contains(&self.places.len()) {
            return Err(ListError::Places { count: self.places.len() });
        }
        let between = |option, value: Duration, least: Duration, most: Duration| {
            let (seconds, least, most) = (value.as_secs(), least.as_secs(), most.as_secs());
            if (least..=most).contains(&seconds) { Ok(()) } else { Err(ListError::Seconds { option, seconds, least, most }) }
        };
        between("interval", self.interval, LIST_INTERVAL_MIN, LIST_INTERVAL_MAX)?;
        between("full_every", self.full_every, LIST_INTERVAL_MIN, LIST_FULL_EVERY_MAX)?;
        if self.recent_days > LIST_RECENT_DAYS_MAX {
            return Err(ListError::Days { days: self.recent_days });
        }
        let places = self.places.iter().map(|place| Place::of(place)).collect::<Result<Vec<_>, _>>()?;
        self.objects().check_objects()?;
        Ok(places)
    }

    /// How what is found is read.
    pub fn objects(&self) -> SqsOptions {
        let bucket = |place: &String| match Place::of(place) {
            // A name is no glob: what a bucket's name cannot hold stands for itself.
            Ok(Place::Bucket { bucket, .. }) => Some(globset::escape(&bucket)),
            _ => None,
        };
        SqsOptions {
            visibility_timeout: KEPT,
            workers: self.workers,
            include: self.include.clone(),
            expected_bucket_owner: self.expected_bucket_owner.clone(),
            request_payer: self.request_payer,
            endpoint: self.endpoint.clone(),
            drain: self.drain,
            // An object that was listed and is not there was deleted: once more is enough.
            max_receive_count: 2,
            ..SqsOptions::new("list", self.places.iter().filter_map(bucket).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_listed_is_refused_before_anything_is_asked() {
        let good = ListOptions::new(vec!["s3://trail/pre".into(), "/logs".into()]);
        assert_eq!(good.check().unwrap(), [Place::Bucket { bucket: "trail".into(), prefix: "pre/".into() }, Place::Folder("/logs".into())]);
        assert_eq!(good.objects().buckets, ["trail"]);
        let refused = |options: ListOptions| options.check().unwrap_err().to_string();
        assert!(refused(ListOptions::new(Vec::new())).contains("names 0 places"));
        assert!(refused(ListOptions::new(vec!["s3:///x".into()])).contains("is no place"));
        assert!(refused(ListOptions { interval: Duration::ZERO, ..good.clone() }).contains("interval: 0 s"));
        assert!(refused(ListOptions { recent_days: 400, ..good.clone() }).contains("recent_days: 400"));
        assert!(refused(ListOptions { expected_bucket_owner: Some("1".into()), ..good }).contains("twelve digits"));
    }
}
