//! Reads again what a dead letter is about.

use std::path::Path;
use std::sync::Arc;

use aws_config::SdkConfig;
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt};
use globset::GlobSet;

use super::feed::{Delivery, Feed, Location, Object};
use super::folder::FolderFeed;
use super::sqs::fetch::S3Objects;
use super::sqs::notification::ObjectRef;
use super::sqs::objects::{FetchError, Objects};
use super::sqs::{OptionsError, SqsOptions, describe};

/// Reads objects by what dead letters say of them.
pub trait Again: Send + Sync {
    /// Reads the object at a URI, or its version.
    ///
    /// # Errors
    /// [`NotRead`].
    fn read<'a>(&'a self, uri: &'a str, version: Option<&'a str>) -> BoxFuture<'a, Result<(Object, Bytes), NotRead>>;
}

/// Why something was not read again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotRead {
    /// The letter is about a message, not about an object.
    #[error("{uri} is no object that can be read again; look at its first bytes, and drop the letter")]
    NoObject {
        /// What the letter is about.
        uri: String,
    },
    /// The bucket is not listed.
    #[error("{uri}: its bucket is not listed; if it is yours, add it to source.sqs.buckets or source.list.places")]
    BucketNotAllowed {
        /// The object.
        uri: String,
    },
    /// S3 does not give it.
    #[error("{uri}: {error}")]
    Fetch {
        /// The object.
        uri: String,
        /// Why.
        error: FetchError,
    },
    /// The disk does not give it.
    #[error("{uri}: {cause}")]
    File {
        /// The file.
        uri: String,
        /// Why.
        cause: String,
    },
}

/// Buckets of S3 and local folders.
pub struct Places {
    objects: Arc<dyn Objects>,
    allowed: Option<GlobSet>,
}

impl Places {
    /// Places as `config` reaches them. With the options of a source, only the buckets that it may read are read.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn new(config: &SdkConfig, options: Option<&SqsOptions>) -> Result<Self, OptionsError> {
        let allowed = options.map(|options| options.check_objects().map(|checked| checked.buckets)).transpose()?;
        let plain = SqsOptions::new(String::new(), Vec::new());
        Ok(Self::of(Arc::new(S3Objects::new(config, options.unwrap_or(&plain))), allowed))
    }

    /// Places whose buckets are these.
    pub fn of(objects: Arc<dyn Objects>, allowed: Option<GlobSet>) -> Self {
        Self { objects, allowed }
    }

    async fn read_from_bucket(&self, bucket: String, key: String, version: Option<&str>) -> Result<(Object, Bytes), NotRead> {
        let named = ObjectRef { bucket, key, version: version.map(str::to_owned), ..ObjectRef::default() };
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.is_match(&named.bucket)) {
            return Err(NotRead::BucketNotAllowed { uri: named.uri() });
        }
        let failed = |error| NotRead::Fetch { uri: named.uri(), error };
        let opened = self.objects.open(&named).await.map_err(failed)?;
        let head = opened.head().clone();
        let content = opened.read().await.map_err(failed)?;
        Ok((describe(&named, &head, Some(&content)), content))
    }
}

impl Again for Places {
    fn read<'a>(&'a self, uri: &'a str, version: Option<&'a str>) -> BoxFuture<'a, Result<(Object, Bytes), NotRead>> {
        async move {
            match uri.parse() {
                Ok(Location::S3 { bucket, prefix }) if !prefix.is_empty() => self.read_from_bucket(bucket, prefix, version).await,
                Ok(Location::Local(path)) if path.is_absolute() => {
                    let read = tokio::task::spawn_blocking(move || from_disk(&path)).await;
                    read.unwrap_or_else(|error| Err(NotRead::File { uri: uri.to_owned(), cause: error.to_string() }))
                }
                _ => Err(NotRead::NoObject { uri: uri.to_owned() }),
            }
        }
        .boxed()
    }
}

fn from_disk(path: &Path) -> Result<(Object, Bytes), NotRead> {
    let failed = |cause: String| NotRead::File { uri: path.display().to_string(), cause };
    let feed = FolderFeed::open(path, Arc::new(|_| Ok(false))).map_err(|error| failed(error.to_string()))?;
    match feed.next().map_err(|error| failed(error.to_string()))? {
        Some(Delivery::Object(object, content)) => Ok((object, content)),
        Some(Delivery::Unreadable(_, cause)) => Err(failed(cause)),
        Some(Delivery::TooLarge(object, _)) => Err(failed(format!("{} bytes are over the limit for one object", object.size))),
        Some(Delivery::Known(_)) | None => Err(failed("it is no file".to_owned())),
    }
}
