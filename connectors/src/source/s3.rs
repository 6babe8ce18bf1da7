//! Objects of an S3 bucket, by listing.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{StreamExt, future, stream};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::feed::{Delivery, Feed, FeedError, Object};
use super::folder::is_log_name;
use super::ledger::Known;
use crate::limits::{FIRST_BYTES_OF_LARGE, INFLATED_BYTES_MAX, S3_GETS_AT_ONCE_MAX};

/// How to reach S3. What is absent comes from the AWS environment variables.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Another endpoint than AWS's, `http://127.0.0.1:9000`.
    pub endpoint_url: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// The runtime that the requests run on.
    pub runtime: Handle,
}

/// What to do when a bucket does not answer.
const HELP: &str = "check the bucket's name and region, the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, or an instance role) and their s3:ListBucket and s3:GetObject, and --endpoint-url";

/// The objects of a bucket below a prefix. A few are fetched ahead.
pub struct S3Feed {
    deliveries: Mutex<mpsc::Receiver<Result<Delivery, FeedError>>>,
}

impl S3Feed {
    /// Starts listing and fetching.
    ///
    /// # Errors
    /// [`FeedError::Bucket`] for settings that make no client.
    pub fn open(bucket: &str, prefix: &str, options: &S3Options, known: Known) -> Result<Self, FeedError> {
        let place = Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        let store = Arc::new(client(bucket, prefix, options)?);
        // Room for what is being fetched and nothing more: the workers' pace is the pace of reading.
        let (sender, deliveries) = mpsc::channel(1);
        options.runtime.spawn(fetch_all(store, place, known, sender));
        Ok(Self { deliveries: Mutex::new(deliveries) })
    }
}

impl Feed for S3Feed {
    fn next(&self) -> Result<Option<Delivery>, FeedError> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv().transpose()
    }
}

/// A client of a bucket. `prefix` is what will be asked for, to be told in errors.
///
/// # Errors
/// [`FeedError::Bucket`] for settings that make no client.
pub(crate) fn client(bucket: &str, prefix: &str, options: &S3Options) -> Result<AmazonS3, FeedError> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    if let Some(endpoint) = options.endpoint_url.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL").ok()) {
        builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    let place = Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    builder.build().map_err(|error| place.error(&error))
}

/// A key or prefix as it is written in a bucket.
pub(crate) fn path_of(key: &str) -> object_store::path::Path {
    object_store::path::Path::parse(key).unwrap_or_else(|_| object_store::path::Path::from(key))
}

/// An error about a bucket.
pub(crate) fn bucket_error(bucket: &str, prefix: &str, error: &object_store::Error) -> FeedError {
    Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() }.error(error)
}

#[derive(Clone)]
struct Place {
    bucket: String,
    prefix: String,
}

impl Place {
    fn error(&self, error: &object_store::Error) -> FeedError {
        FeedError::Bucket { bucket: self.bucket.clone(), prefix: self.prefix.clone(), cause: root_cause(error), help: HELP }
    }
}

/// The innermost message: what the service said, without the layers that carried it.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

async fn fetch_all(store: Arc<AmazonS3>, place: Place, known: Known, sender: mpsc::Sender<Result<Delivery, FeedError>>) {
    let prefix = path_of(&place.prefix);
    // A listing gives what is below a prefix; an object that is named itself is not below it.
    let named = match is_log_name(&place.prefix) {
        true => Some(store.head(&prefix).await).filter(|named| !matches!(named, Err(object_store::Error::NotFound { .. }))),
        false => None,
    };
    let listed = stream::iter(named).chain(store.list(Some(&prefix)));
    let logs = listed.filter(|listed| future::ready(listed.as_ref().map_or(true, |meta| is_log_name(meta.location.as_ref()))));
    let fetched = logs.map(|listed| {
        let (store, place, known) = (store.clone(), place.clone(), known.clone());
        async move {
            let meta = listed.map_err(|error| place.error(&error))?;
            let object = describe(&place.bucket, &meta);
            match known(&object)? {
                true => Ok(Delivery::Known(object)),
                false => Ok(fetch(&store, &meta, object).await),
            }
        }
    });
    let mut fetched = std::pin::pin!(fetched.buffered(S3_GETS_AT_ONCE_MAX));
    while let Some(delivery) = fetched.next().await {
        let last = delivery.is_err();
        // A receiver that is gone wants no more.
        if sender.send(delivery).await.is_err() || last {
            return;
        }
    }
}

pub(super) fn describe(bucket: &str, meta: &ObjectMeta) -> Object {
    let etag = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.timestamp_millis().to_string());
    Object {
        uri: format!("s3://{bucket}/{}", meta.location),
        version: meta.version.clone(),
        fingerprint: format!("{}-{etag}", meta.size),
        size: meta.size,
    }
}

pub(super) async fn fetch(store: &AmazonS3, meta: &ObjectMeta, object: Object) -> Delivery {
    let too_large = meta.size > INFLATED_BYTES_MAX as u64;
    let content: object_store::Result<Bytes> = match too_large {
        true => store.get_range(&meta.location, 0..FIRST_BYTES_OF_LARGE as u64).await,
        false => match store.get(&meta.location).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        },
    };
    match content {
        Err(error) => Delivery::Unreadable(object, root_cause(&error)),
        Ok(content) if too_large => Delivery::TooLarge(object, content),
        Ok(content) => Delivery::Object(object, content),
    }
}
