//! Files on a local disk.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use walkdir::WalkDir;

use super::feed::{Delivery, Feed, FeedError, Object};
use super::ledger::Known;
use crate::limits::{FIRST_BYTES_OF_LARGE, INFLATED_BYTES_MAX};

/// What names of log files end with. A folder may hold other files; a file that is named itself is read whatever its name.
const LOG_ENDINGS: [&str; 5] = [".json.gz", ".json", ".gz", ".ndjson", ".jsonl"];

/// The files below a path, in the order of their names.
pub struct FolderFeed {
    walk: Mutex<walkdir::IntoIter>,
    named: PathBuf,
    known: Known,
}

impl FolderFeed {
    /// A feed over a file, or a folder and all below it.
    ///
    /// # Errors
    /// [`FeedError::NoSuchPath`], [`FeedError::Unreachable`].
    pub fn open(path: &Path, known: Known) -> Result<Self, FeedError> {
        check_local(path)?;
        // The same file is the same object from wherever it is named.
        let named = path.canonicalize().map_err(|error| FeedError::Unreachable { path: path.to_owned(), cause: error.to_string() })?;
        Ok(Self { walk: Mutex::new(WalkDir::new(&named).sort_by_file_name().into_iter()), named, known })
    }

    fn is_log(&self, path: &Path) -> bool {
        path == self.named || is_log_name(&path.to_string_lossy())
    }
}

/// Whether there is something at a path.
///
/// # Errors
/// [`FeedError::NoSuchPath`], [`FeedError::Unreachable`].
pub fn check_local(path: &Path) -> Result<(), FeedError> {
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => FeedError::NoSuchPath { path: path.to_owned() },
        _ => FeedError::Unreachable { path: path.to_owned(), cause: error.to_string() },
    });
    found.map(drop)
}

/// Whether a path or key is one that log files have. The logs of Delta tables are JSON too, but none of ours.
pub fn is_log_name(name: &str) -> bool {
    if name.split('/').any(|part| part == "_delta_log") {
        return false;
    }
    let name = name.to_ascii_lowercase();
    LOG_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

impl Feed for FolderFeed {
    fn next(&self) -> Result<Option<Delivery>, FeedError> {
        loop {
            let entry = self.walk.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(entry) = entry else { return Ok(None) };
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(&self.named);
                    return Ok(Some(Delivery::Unreadable(unread(path), error.to_string())));
                }
            };
            if !entry.file_type().is_file() || !self.is_log(entry.path()) {
                continue;
            }
            let object = match entry.metadata() {
                Ok(metadata) => describe(entry.path(), &metadata),
                Err(error) => return Ok(Some(Delivery::Unreadable(unread(entry.path()), error.to_string()))),
            };
            if (self.known)(&object)? {
                return Ok(Some(Delivery::Known(object)));
            }
            return Ok(Some(read(entry.path(), object)));
        }
    }
}

pub(super) fn unread(path: &Path) -> Object {
    Object { uri: path.to_string_lossy().into_owned(), version: None, fingerprint: String::new(), size: 0 }
}

pub(super) fn describe(path: &Path, metadata: &Metadata) -> Object {
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let changed = changed.map_or(0, |since| since.as_nanos());
    let size = metadata.len();
    Object { uri: path.to_string_lossy().into_owned(), version: None, fingerprint: format!("{size}-{changed}"), size }
}

/// Reads a file, but never more than the limit, even of one that grows while it is read.
pub(super) fn read(path: &Path, object: Object) -> Delivery {
    let limit = if object.size > INFLATED_BYTES_MAX as u64 { FIRST_BYTES_OF_LARGE as u64 } else { INFLATED_BYTES_MAX as u64 };
    let mut content = Vec::with_capacity(object.size.min(limit) as usize + 1);
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut content));
    match read {
        Err(error) => Delivery::Unreadable(object, error.to_string()),
        Ok(_) if object.size > INFLATED_BYTES_MAX as u64 => Delivery::TooLarge(object, content.into()),
        Ok(_) => Delivery::Object(object, Bytes::from(content)),
    }
}
