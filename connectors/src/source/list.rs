//! Objects that are named one by one, wherever each is.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3;

use super::feed::{Delivery, Feed, FeedError, Object};
use super::ledger::Known;
use super::s3::{self, S3Options};
use super::{Location, folder};

/// Gives named objects, each once. Those that are not there are passed over and counted: what names them says that they are missing.
pub struct ListFeed {
    locations: Vec<Location>,
    next: AtomicUsize,
    absent: Arc<AtomicUsize>,
    buckets: Mutex<HashMap<String, Arc<AmazonS3>>>,
    s3: S3Options,
    known: Known,
}

impl ListFeed {
    /// A feed over objects: `s3://bucket/key`, or paths of files.
    ///
    /// # Errors
    /// [`FeedError::NoBucket`].
    pub fn open<'a>(uris: impl IntoIterator<Item = &'a str>, s3: &S3Options, known: Known) -> Result<Self, FeedError> {
        let locations = uris.into_iter().map(str::parse).collect::<Result<Vec<Location>, _>>()?;
        let (next, absent) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        Ok(Self { locations, next, absent, buckets: Mutex::default(), s3: s3.clone(), known })
    }

    /// Counts how many were not there, while the objects are read and afterwards.
    pub fn absent(&self) -> Arc<AtomicUsize> {
        self.absent.clone()
    }

    /// What is at a location; `None`: nothing.
    fn read(&self, location: &Location) -> Result<Option<Delivery>, FeedError> {
        match location {
            Location::Local(path) => self.read_file(path),
            Location::S3 { bucket, prefix: key } => {
                let store = self.bucket(bucket, key)?;
                self.s3.runtime.block_on(self.fetch(&store, bucket, key))
            }
        }
    }

    fn read_file(&self, path: &Path) -> Result<Option<Delivery>, FeedError> {
        match path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Ok(Some(Delivery::Unreadable(folder::unread(path), error.to_string()))),
            Ok(metadata) => {
                let object = folder::describe(path, &metadata);
                let is_known = (self.known)(&object)?;
                Ok(Some(if is_known { Delivery::Known(object) } else { folder::read(path, object) }))
            }
        }
    }

    async fn fetch(&self, store: &AmazonS3, bucket: &str, key: &str) -> Result<Option<Delivery>, FeedError> {
        let path = s3::path_of(key);
        let meta = match store.head(&path).await {
            Ok(meta) => meta,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => {
                let uri = format!("s3://{bucket}/{key}");
                let object = Object { uri, version: None, fingerprint: String::new(), size: 0 };
                return Ok(Some(Delivery::Unreadable(object, s3::root_cause(&error))));
            }
        };
        let object = s3::describe(bucket, &meta);
        let is_known = (self.known)(&object)?;
        Ok(Some(if is_known { Delivery::Known(object) } else { s3::fetch(store, &meta, object).await }))
    }

    fn bucket(&self, bucket: &str, key: &str) -> Result<Arc<AmazonS3>, FeedError> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = buckets.get(bucket) {
            return Ok(store.clone());
        }
        let store = Arc::new(s3::client(bucket, key, &self.s3)?);
        buckets.insert(bucket.to_owned(), store.clone());
        Ok(store)
    }
}

impl Feed for ListFeed {
    fn next(&self) -> Result<Option<Delivery>, FeedError> {
        loop {
            let Some(location) = self.locations.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return Ok(None) };
            if let Some(delivery) = self.read(location)? {
                return Ok(Some(delivery));
            }
            self.absent.fetch_add(1, Ordering::Relaxed);
        }
    }
}
