//! Where log files and digests are: a folder, or a bucket.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::{Attribute, GetResult, ObjectStore, ObjectStoreExt};
use walkdir::WalkDir;

use crate::limits::{INFLATED_BYTES_MAX, VERIFIED_OBJECTS_MAX};
use crate::source::folder::is_log_name;
use crate::source::s3::{self, S3Options};
use crate::source::{FeedError, Location};

/// What the metadata of a digest's object calls its signature.
const SIGNATURE: &str = "signature";
/// What a file with the signature has behind the digest's name.
const SIGNATURE_ENDING: &str = ".signature";
/// Bytes of a file with a signature.
const SIGNATURE_FILE_BYTES_MAX: u64 = 16 << 10;

/// An object as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its bytes.
    pub content: Bytes,
    /// The signature that lies beside it, in hexadecimal digits.
    pub signature: Option<String>,
}

/// A place with log files and digests. Several threads may read at the same time.
pub trait Archive: Send + Sync {
    /// The URIs of all log files and digests.
    ///
    /// # Errors
    /// [`ArchiveError::TooMany`], and when the place cannot be listed.
    fn list(&self) -> Result<BTreeSet<String>, ArchiveError>;

    /// An object; `None`: there is none.
    ///
    /// # Errors
    /// [`ArchiveError::Object`].
    fn read(&self, uri: &str) -> Result<Option<Stored>, ArchiveError>;
}

/// Why a place cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be listed.
    #[error(transparent)]
    Place(#[from] FeedError),
    /// There is too much.
    #[error("there are more than {limit} objects; verify them part by part, for example one region or month at a time")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// One object cannot be read.
    #[error("{uri}: cannot be read: {cause}")]
    Object {
        /// The object.
        uri: String,
        /// Why.
        cause: String,
    },
}

/// Opens a place.
///
/// # Errors
/// [`ArchiveError::Place`].
pub fn open(location: &Location, options: &S3Options) -> Result<Box<dyn Archive>, ArchiveError> {
    Ok(match location {
        Location::Local(path) => Box::new(FolderArchive::open(path)?),
        Location::S3 { bucket, prefix } => Box::new(BucketArchive::open(bucket, prefix, options)?),
    })
}

/// A folder and all below it.
pub struct FolderArchive {
    folder: PathBuf,
}

impl FolderArchive {
    /// A folder.
    ///
    /// # Errors
    /// [`ArchiveError::Place`].
    pub fn open(folder: &Path) -> Result<Self, ArchiveError> {
        crate::source::feed::check_local(folder)?;
        let unreachable = |error: std::io::Error| FeedError::Unreachable { path: folder.to_owned(), cause: error.to_string() };
        Ok(Self { folder: folder.canonicalize().map_err(unreachable)? })
    }
}

impl Archive for FolderArchive {
    fn list(&self) -> Result<BTreeSet<String>, ArchiveError> {
        let mut found = BTreeSet::new();
        for entry in WalkDir::new(&self.folder) {
            let entry = entry.map_err(|error| FeedError::Unreachable {
                path: error.path().unwrap_or(&self.folder).to_owned(),
                cause: error.to_string(),
            })?;
            let path = entry.path().to_string_lossy();
            if entry.file_type().is_file() && is_log_name(&path) {
                insert(&mut found, path.into_owned())?;
            }
        }
        Ok(found)
    }

    fn read(&self, uri: &str) -> Result<Option<Stored>, ArchiveError> {
        let unread = |error: std::io::Error| ArchiveError::Object { uri: uri.to_owned(), cause: error.to_string() };
        let Some(content) = read_file(uri, INFLATED_BYTES_MAX as u64).map_err(unread)? else { return Ok(None) };
        let signature = read_file(&format!("{uri}{SIGNATURE_ENDING}"), SIGNATURE_FILE_BYTES_MAX).map_err(unread)?;
        let signature = signature.map(|digits| String::from_utf8_lossy(&digits).trim().to_owned());
        Ok(Some(Stored { content: content.into(), signature }))
    }
}

/// A file's bytes, at most so many; `None`: there is none.
fn read_file(path: &str, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(std::io::Error::other(format!("it is over the limit of {limit} bytes")));
    }
    Ok(Some(content))
}

/// The objects of a bucket below a prefix.
pub struct BucketArchive {
    store: Arc<AmazonS3>,
    bucket: String,
    prefix: String,
    runtime: tokio::runtime::Handle,
}

impl BucketArchive {
    /// A bucket, or a folder of it.
    ///
    /// # Errors
    /// [`ArchiveError::Place`] for settings that make no client.
    pub fn open(bucket: &str, prefix: &str, options: &S3Options) -> Result<Self, ArchiveError> {
        let store = Arc::new(s3::client(bucket, prefix, options)?);
        Ok(Self { store, bucket: bucket.to_owned(), prefix: prefix.to_owned(), runtime: options.runtime.clone() })
    }

    async fn get(&self, key: &str) -> object_store::Result<Option<Stored>> {
        let found: GetResult = match self.store.get(&s3::path_of(key)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if found.meta.size > INFLATED_BYTES_MAX as u64 {
            let source = format!("it has {} bytes, over the limit of {INFLATED_BYTES_MAX}", found.meta.size).into();
            return Err(object_store::Error::Generic { store: "S3", source });
        }
        let signature = found.attributes.get(&Attribute::Metadata(SIGNATURE.into())).map(|value| value.to_string());
        Ok(Some(Stored { content: found.bytes().await?, signature }))
    }
}

impl Archive for BucketArchive {
    fn list(&self) -> Result<BTreeSet<String>, ArchiveError> {
        let prefix = s3::path_of(&self.prefix);
        let mut listed = self.store.list(Some(&prefix));
        let mut found = BTreeSet::new();
        let failed = |error| s3::bucket_error(&self.bucket, &self.prefix, &error);
        while let Some(meta) = self.runtime.block_on(listed.try_next()).map_err(failed)? {
            if is_log_name(meta.location.as_ref()) {
                insert(&mut found, format!("s3://{}/{}", self.bucket, meta.location))?;
            }
        }
        Ok(found)
    }

    fn read(&self, uri: &str) -> Result<Option<Stored>, ArchiveError> {
        let unread = |cause: String| ArchiveError::Object { uri: uri.to_owned(), cause };
        let key = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).filter(|(bucket, _)| *bucket == self.bucket);
        let Some((_, key)) = key else { return Err(unread(format!("it is not in the bucket {}", self.bucket))) };
        self.runtime.block_on(self.get(key)).map_err(|error| unread(s3::root_cause(&error)))
    }
}

fn insert(found: &mut BTreeSet<String>, uri: String) -> Result<(), ArchiveError> {
    if found.len() == VERIFIED_OBJECTS_MAX {
        return Err(ArchiveError::TooMany { limit: VERIFIED_OBJECTS_MAX });
    }
    found.insert(uri);
    Ok(())
}
