//! What to read, and what a place gives.

use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;

use super::folder::FolderFeed;
pub use super::folder::check_local;
use super::s3::{S3Feed, S3Options};

/// A place that holds CloudTrail files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file, or a folder with all below it.
    Local(PathBuf),
    /// An object of a bucket, or all objects below a folder of it.
    S3 {
        /// The bucket.
        bucket: String,
        /// The object's key or the folder; empty for the whole bucket. Whole path segments count: `AWSLogs/12` is not `AWSLogs/123`.
        prefix: String,
    },
}

impl FromStr for Location {
    type Err = FeedError;

    fn from_str(text: &str) -> Result<Self, FeedError> {
        let Some(rest) = text.strip_prefix("s3://") else { return Ok(Self::Local(text.into())) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(FeedError::NoBucket { location: text.to_owned() });
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// An object, before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `s3://bucket/key`, or an absolute path.
    pub uri: String,
    /// Its version, where the bucket is versioned.
    pub version: Option<String>,
    /// Changes when the content does: size and time of change, or size and ETag.
    pub fingerprint: String,
    /// Its size in bytes, as stored.
    pub size: u64,
}

/// What a feed gives next.
#[derive(Debug)]
pub enum Delivery {
    /// An object with its content.
    Object(Object, Bytes),
    /// An object that was read before, as it is now.
    Known(Object),
    /// An object that could not be read; the others can.
    Unreadable(Object, String),
    /// An object over the size limit; not read, but for its beginning.
    TooLarge(Object, Bytes),
}

/// Gives the objects of a place, each once. Several threads may ask at the same time.
pub trait Feed: Send + Sync {
    /// The next object; `None` at the end.
    ///
    /// # Errors
    /// Those that concern all objects to come.
    fn next(&self) -> Result<Option<Delivery>, FeedError>;
}

/// Why a place cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// There is nothing at the path.
    #[error("{}: no such file or folder", path.display())]
    NoSuchPath {
        /// The path.
        path: PathBuf,
    },
    /// The URL names no bucket.
    #[error("{location}: names no bucket; write s3://bucket/prefix")]
    NoBucket {
        /// The URL.
        location: String,
    },
    /// The path cannot be looked at.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreachable {
        /// The path.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The bucket cannot be listed.
    #[error("s3://{bucket}/{prefix} cannot be listed: {cause}; {help}")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
        /// Why.
        cause: String,
        /// What to do.
        help: &'static str,
    },
    /// The log, which knows what was read before, failed.
    #[error(transparent)]
    Log(#[from] cloudigrade_pipeline::log::LogError),
}

/// Opens a place. `known` says whether an object was read before, as it is now.
///
/// # Errors
/// [`FeedError`].
pub fn open(location: &Location, s3: &S3Options, known: super::ledger::Known) -> Result<Box<dyn Feed>, FeedError> {
    match location {
        Location::Local(path) => Ok(Box::new(FolderFeed::open(path, known)?)),
        Location::S3 { bucket, prefix } => Ok(Box::new(S3Feed::open(bucket, prefix, s3, known)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_path_or_a_bucket_with_a_prefix() {
        let s3 = |bucket: &str, prefix: &str| Location::S3 { bucket: bucket.into(), prefix: prefix.into() };
        assert_eq!("s3://b/AWSLogs/1".parse::<Location>().unwrap(), s3("b", "AWSLogs/1"));
        assert_eq!("s3://b".parse::<Location>().unwrap(), s3("b", ""));
        assert_eq!("logs/x".parse::<Location>().unwrap(), Location::Local("logs/x".into()));
        assert!("s3:///x".parse::<Location>().is_err());
    }
}
