//! Opening: finding, making and refusing files.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::num::NonZeroU32;
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use cloudigrade_schemas::topic::DEFAULT_PARTITIONS;
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend};

use crate::embedded::failure::is_full;
use crate::embedded::layout;
use crate::embedded::moved::{self, MOVED_FORMAT};
use crate::embedded::writer::Writer;
use crate::embedded::{EmbeddedLog, Handle, Shared};
use crate::limits;

/// The file in a log's folder.
/// The name of the file in its folder.
pub const FILE_NAME: &str = "log.redb";

/// The file that a log on other storage is said to be.
const NO_PATH: &str = "storage without a path";

/// The lock on a whole storage.
const WHOLE: (Bound<u64>, Bound<u64>) = (Bound::Unbounded, Bound::Unbounded);

/// The bytes by which redb knows its files; they are written last when a file is made.
const MAGIC_LEN: usize = 9;
/// Length of redb's header, in bytes. Behind it a file that was never finished holds nothing but zeros.
const HEADER_LEN: usize = 320;

/// How a log is opened.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedOptions {
    /// How many partitions each topic of a new log gets; a log that exists keeps its own.
    pub partitions: NonZeroU32,
    /// Page cache, in bytes.
    pub cache_bytes: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        const PARTITIONS: NonZeroU32 = match NonZeroU32::new(DEFAULT_PARTITIONS) {
            Some(partitions) => partitions,
            None => NonZeroU32::MIN,
        };
        Self { partitions: PARTITIONS, cache_bytes: limits::EMBEDDED_CACHE_BYTES }
    }
}

/// Why a log can not be opened, named for what the reader does next.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or this one, has it open.
    #[error("{path} is in use by another cloudigrade: stop that one first, or use another data folder")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote it. Nothing was changed.
    #[error("{path} has format {found}, this program knows up to {known}: use the newer cloudigrade that wrote it; nothing was changed")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that this program reads.
        known: u64,
    },
    /// The log goes on somewhere else. Nothing was changed.
    #[error(
        "{path} was moved to {to}, where the log goes on: use that one (--log kafka); to go on with this file on purpose, without what was \
         written there since, run `cloudigrade migrate --undo`"
    )]
    Moved {
        /// The file.
        path: PathBuf,
        /// Where it went.
        to: String,
    },
    /// The file is something else. Nothing was changed.
    #[error("{path} is not a log of cloudigrade ({cause}): move it away, or use another data folder")]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The file is a log, but damaged.
    #[error("{path} is damaged ({cause}): restore the data folder from a backup, or ingest the sources again into a new one")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        cause: String,
    },
    /// There is no room.
    #[error("no space is left to open {path}: free space on its disk, then start again; what was committed is kept")]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{path} can not be opened: {cause}; check that the folder exists and may be written")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl EmbeddedLog {
    /// Opens the log in a folder, or makes folder and log. No other process or handle can open it before this one is dropped.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        Self::open_in(dir, options, false)
    }

    pub(super) fn open_in(dir: &Path, options: EmbeddedOptions, even_moved: bool) -> Result<Self, OpenError> {
        let path = dir.join(FILE_NAME);
        let failed = |cause| io_error(&path, cause);
        // The log names accounts, roles and external ids: nobody else's to read.
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        refuse_unchanged(&path, options, even_moved)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        let backend = FileBackend::new(file).map_err(|error| database_error(&path, error))?;
        let log = Self::open_at(&path, backend, options, even_moved)?;
        // A file is found after a power cut only if its folder's entry is durable too.
        sync_folder(dir).map_err(failed)?;
        Ok(log)
    }

    /// Opens or makes a log on any storage: for tests that crash it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_backend(backend: impl StorageBackend, options: EmbeddedOptions) -> Result<Self, OpenError> {
        Self::open_at(Path::new(NO_PATH), backend, options, false)
    }

    fn open_at(path: &Path, backend: impl StorageBackend, options: EmbeddedOptions, even_moved: bool) -> Result<Self, OpenError> {
        clear_unfinished(path, &backend)?;
        let opened = builder(options).create_with_backend(backend);
        let db = opened.map_err(|error| database_error(path, error))?;
        let failed = |error: redb::Error| storage_error(path, error);
        let partitions = match stored_partitions(path, &db, even_moved)? {
            Some(partitions) => partitions,
            None => make(&db, options.partitions.get()).map_err(failed)?,
        };
        let shared = Arc::new(Shared::new(db));
        let writer = Writer::new(Arc::clone(&shared)).map_err(failed)?;
        let (requests, waiting) = sync_channel(limits::COMMIT_QUEUE_MAX);
        let spawned = std::thread::Builder::new().name("embedded-log".into()).spawn(move || writer.run(&waiting));
        let writer = Some(spawned.map_err(|cause| io_error(path, cause))?);
        Ok(Self { handle: Arc::new(Handle { partitions, requests: Some(requests), writer, shared }) })
    }
}

fn builder(options: EmbeddedOptions) -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// Refuses a newer file, or one that was moved, before anything is written to it: opening for writing already marks the file as in use.
fn refuse_unchanged(path: &Path, options: EmbeddedOptions, even_moved: bool) -> Result<(), OpenError> {
    if !fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        return Ok(());
    }
    match builder(options).open_read_only(path) {
        Ok(db) => stored_partitions(path, &db, even_moved).map(|_| ()),
        // Only opening for writing can judge what a crash left.
        Err(DatabaseError::RepairAborted) => Ok(()),
        Err(DatabaseError::Storage(redb::StorageError::Io(error))) if error.kind() == io::ErrorKind::InvalidData => Ok(()),
        Err(error) => Err(database_error(path, error)),
    }
}

/// Empties a storage on which a log was being made when its process died: redb knows a file only once its header is complete, and
/// would refuse it for ever.
fn clear_unfinished(path: &Path, backend: &impl StorageBackend) -> Result<(), OpenError> {
    let failed = |cause| io_error(path, cause);
    if !is_unfinished(backend).map_err(failed)? {
        return Ok(());
    }
    let locked = match backend.try_lock_range(WHOLE.0, WHOLE.1) {
        Ok(true) => true,
        Ok(false) => return Err(OpenError::InUse { path: path.into() }),
        Err(redb::BackendError::Unsupported) => false,
        Err(error) => return Err(failed(error.into())),
    };
    // Looked at again under the lock: another process may have finished it meanwhile.
    if is_unfinished(backend).map_err(failed)? {
        backend.set_len(0).map_err(failed)?;
    }
    if locked {
        backend.unlock_range(WHOLE.0, WHOLE.1).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

fn is_unfinished(backend: &impl StorageBackend) -> io::Result<bool> {
    const CHUNK_LEN: usize = 64 << 10;
    let len = backend.len()?;
    let mut at = 0;
    let mut chunk = vec![0; CHUNK_LEN];
    while at < len {
        let chunk = &mut chunk[..CHUNK_LEN.min(usize::try_from(len - at).unwrap_or(CHUNK_LEN))];
        backend.read(at, chunk)?;
        let is_zero = |range: &[u8]| range.iter().all(|byte| *byte == 0);
        let (header, rest) = if at == 0 { chunk.split_at(HEADER_LEN.min(chunk.len())) } else { chunk.split_at(0) };
        if !is_zero(&header[..MAGIC_LEN.min(header.len())]) || !is_zero(rest) {
            return Ok(false);
        }
        at += chunk.len() as u64;
    }
    Ok(len > 0)
}

/// The number of partitions of the log in a database; `None` when nothing was ever put in it.
fn stored_partitions(path: &Path, db: &impl ReadableDatabase, even_moved: bool) -> Result<Option<u32>, OpenError> {
    let failed = |error: redb::Error| storage_error(path, error);
    let not_a_log = |cause: &str| OpenError::NotALog { path: path.into(), cause: cause.into() };
    let txn = db.begin_read().map_err(|error| failed(error.into()))?;
    let meta = match txn.open_table(layout::META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => {
            let is_empty = txn.list_tables().map_err(|error| failed(error.into()))?.next().is_none();
            return if is_empty { Ok(None) } else { Err(not_a_log("a redb database of something else")) };
        }
        Err(redb::TableError::Storage(error)) => return Err(failed(error.into())),
        Err(_) => return Err(not_a_log("a redb database of something else")),
    };
    let number = |name| meta.get(name).map(|found| found.map(|found| found.value())).map_err(|error| failed(error.into()));
    let mut found = number(layout::META_FORMAT)?.ok_or_else(|| not_a_log("it does not say its format"))?;
    if found & MOVED_FORMAT != 0 {
        let to = moved::read(db).map_err(failed)?.map_or_else(|| "another place".to_owned(), |moved| moved.to);
        if !even_moved {
            return Err(OpenError::Moved { path: path.into(), to });
        }
        found -= MOVED_FORMAT;
    }
    if found > layout::FORMAT {
        return Err(OpenError::NewerFormat { path: path.into(), found, known: layout::FORMAT });
    }
    let partitions = number(layout::META_PARTITIONS)?.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    match partitions {
        Some(partitions) => Ok(Some(partitions)),
        None => Err(OpenError::Corrupt { path: path.into(), cause: "it does not say its number of partitions".into() }),
    }
}

/// Makes all tables in one commit, so that no reader ever finds one missing.
fn make(db: &Database, partitions: u32) -> Result<u32, redb::Error> {
    let mut txn = db.begin_write()?;
    txn.set_quick_repair(true);
    {
        let mut meta = txn.open_table(layout::META)?;
        meta.insert(layout::META_FORMAT, layout::FORMAT)?;
        meta.insert(layout::META_PARTITIONS, u64::from(partitions))?;
        txn.open_table(layout::RECORDS)?;
        txn.open_table(layout::LATEST)?;
        txn.open_table(layout::ENDS)?;
        txn.open_table(layout::STATE)?;
        txn.open_table(layout::POSITIONS)?;
    }
    txn.commit()?;
    Ok(partitions)
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

fn database_error(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => OpenError::InUse { path: path.into() },
        DatabaseError::Storage(error) => storage_error(path, error.into()),
        other => OpenError::Corrupt { path: path.into(), cause: other.to_string() },
    }
}

fn storage_error(path: &Path, error: redb::Error) -> OpenError {
    match error {
        redb::Error::Io(cause) => io_error(path, cause),
        other => OpenError::Corrupt { path: path.into(), cause: other.to_string() },
    }
}

fn io_error(path: &Path, cause: io::Error) -> OpenError {
    let path = path.into();
    match cause.kind() {
        kind if is_full(kind) => OpenError::DiskFull { path },
        io::ErrorKind::InvalidData => OpenError::NotALog { path, cause: cause.to_string() },
        io::ErrorKind::UnexpectedEof => OpenError::Corrupt { path, cause: "it is cut short".into() },
        _ => OpenError::Io { path, cause },
    }
}
