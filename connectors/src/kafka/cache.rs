//! The cache of state: what the changelogs say, by key, in a local redb file.
//!
//! For each store and partition it knows up to which offset of the changelog it goes. State and offset change in one write, and only after
//! the commit that the changes are of: the cache may be behind the log, or lost, but is never ahead of it. So most writes are not synced;
//! what a crash takes is read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cloudigrade_pipeline::log::{KeyValue, Store};
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::limits as l;

const META: TableDefinition<'static, &str, &str> = TableDefinition::new("meta");
/// Key in [`META`]: the id of the log whose state this is.
const META_LOG: &str = "log";
/// (store, partition, key) to value.
const STATE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("state");
/// (store, partition) to the offset of the changelog up to which [`STATE`] goes.
const APPLIED: TableDefinition<'static, &[u8], u64> = TableDefinition::new("applied");
/// Ends a store's name. UTF-8 never contains it.
const NAME_END: u8 = 0xff;
const FILE: &str = "kafka-state.redb";

/// A store's partition.
pub(super) type Shelf = (Store, u32);
/// A key with its new value, or `None` to delete it.
pub(super) type Change = (Vec<u8>, Option<Vec<u8>>);

/// Why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Another process has it.
    #[error("the cache of state in {path} is in use by another process: give each process a folder of its own")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The disk failed.
    #[error("the cache of state in {path} cannot be opened: {cause}")]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// The cache.
pub(super) struct Cache {
    db: Database,
    unsynced: AtomicU64,
}

fn prefix((store, partition): Shelf) -> Vec<u8> {
    [store.0.as_bytes(), &[NAME_END], &partition.to_be_bytes()].concat()
}

fn key_of(shelf: Shelf, key: &[u8]) -> Vec<u8> {
    [&prefix(shelf), key].concat()
}

impl Cache {
    /// Opens the cache in a folder, or makes it. One that is damaged, or of another log, is thrown away.
    pub(super) fn open(folder: &Path, log: &str) -> Result<Self, CacheError> {
        let path = folder.join(FILE);
        let failed = |cause: &dyn ToString| CacheError::Failed { path: path.clone(), cause: cause.to_string() };
        fs::create_dir_all(folder).map_err(|cause| failed(&cause))?;
        let throw_away = |why: &str| {
            tracing::info!("the cache of state in {} is made anew: {why}", path.display());
            fs::remove_file(&path).map_err(|cause| failed(&cause))
        };
        let open = || {
            let mut builder = Database::builder();
            builder.set_cache_size(l::KAFKA_STATE_CACHE_BYTES);
            builder.create(&path)
        };
        let db = match open() {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(CacheError::InUse { path }),
            Err(DatabaseError::Storage(redb::StorageError::Io(cause))) if cause.kind() != std::io::ErrorKind::InvalidData => {
                return Err(failed(&cause));
            }
            Err(error) => {
                throw_away(&error.to_string())?;
                open().map_err(|error| failed(&error))?
            }
            Ok(db) => db,
        };
        let cache = Self { db, unsynced: AtomicU64::new(0) };
        match cache.log() {
            Ok(Some(of)) if of == log => return Ok(cache),
            Ok(None) => {
                cache.begin(log).map_err(|error| failed(&error))?;
                return Ok(cache);
            }
            Ok(Some(_)) => {}
            Err(error) => tracing::info!("the cache of state cannot be read: {error}"),
        }
        drop(cache);
        throw_away("it is not of this log")?;
        let cache = Self { db: open().map_err(|error| failed(&error))?, unsynced: AtomicU64::new(0) };
        cache.begin(log).map_err(|error| failed(&error))?;
        Ok(cache)
    }

    /// A cache that is gone with its process.
    pub(super) fn in_memory(log: &str) -> Result<Self, CacheError> {
        let failed = |cause: &dyn ToString| CacheError::Failed { path: PathBuf::from("memory"), cause: cause.to_string() };
        let mut builder = Database::builder();
        builder.set_cache_size(l::KAFKA_STATE_CACHE_BYTES);
        let db = builder.create_with_backend(redb::backends::InMemoryBackend::new()).map_err(|error| failed(&error))?;
        let cache = Self { db, unsynced: AtomicU64::new(0) };
        cache.begin(log).map_err(|error| failed(&error))?;
        Ok(cache)
    }

    fn log(&self) -> Result<Option<String>, redb::Error> {
        let txn = self.db.begin_read()?;
        let meta = match txn.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            meta => meta?,
        };
        Ok(meta.get(META_LOG)?.map(|id| id.value().to_owned()))
    }

    fn begin(&self, log: &str) -> Result<(), redb::Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_quick_repair(true);
        txn.open_table(META)?.insert(META_LOG, log)?;
        txn.open_table(STATE)?;
        txn.open_table(APPLIED)?;
        Ok(txn.commit()?)
    }

    /// Up to which offset of its changelog a shelf goes.
    pub(super) fn applied(&self, shelf: Shelf) -> Result<u64, redb::Error> {
        let table = self.db.begin_read()?.open_table(APPLIED)?;
        Ok(table.get(prefix(shelf).as_slice())?.map_or(0, |offset| offset.value()))
    }

    /// Applies what the changelog says between two offsets. Does nothing, and says so, when the shelf is not at the first of them: somebody
    /// else moved it.
    pub(super) fn apply(&self, shelf: Shelf, from: u64, upto: u64, changes: &[Change]) -> Result<bool, redb::Error> {
        let mut txn = self.db.begin_write()?;
        let unsynced = self.unsynced.fetch_add(1, Ordering::Relaxed) + 1;
        if unsynced.is_multiple_of(l::KAFKA_CACHE_WRITES_UNSYNCED) {
            txn.set_quick_repair(true);
        } else {
            txn.set_durability(Durability::None).map_err(|error| redb::Error::Corrupted(error.to_string()))?;
        }
        let prefix = prefix(shelf);
        {
            let mut applied = txn.open_table(APPLIED)?;
            if applied.get(prefix.as_slice())?.map_or(0, |offset| offset.value()) != from {
                return Ok(false);
            }
            let mut state = txn.open_table(STATE)?;
            for (key, value) in changes {
                let key = key_of(shelf, key);
                match value {
                    Some(value) => state.insert(key.as_slice(), value.as_slice())?,
                    None => state.remove(key.as_slice())?,
                };
            }
            applied.insert(prefix.as_slice(), upto)?;
        }
        txn.commit()?;
        Ok(true)
    }

    /// Forgets a shelf.
    pub(super) fn forget(&self, shelf: Shelf) -> Result<(), redb::Error> {
        let txn = self.db.begin_write()?;
        let prefix = prefix(shelf);
        {
            let mut state = txn.open_table(STATE)?;
            let mut beyond = prefix.clone();
            // The partition's next neighbour begins here; behind the last one there is none.
            let bounded = beyond.iter_mut().rev().take(4).any(|byte| {
                *byte = byte.wrapping_add(1);
                *byte != 0
            });
            if bounded {
                state.retain_in::<&[u8], _>(prefix.as_slice()..beyond.as_slice(), |_, _| false)?;
            }
            txn.open_table(APPLIED)?.remove(prefix.as_slice())?;
        }
        Ok(txn.commit()?)
    }

    /// The value of a key.
    pub(super) fn get(&self, shelf: Shelf, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let table = self.db.begin_read()?.open_table(STATE)?;
        Ok(table.get(key_of(shelf, key).as_slice())?.map(|value| value.value().to_vec()))
    }

    /// All keys that begin with a prefix, in order, with their values.
    pub(super) fn scan(&self, shelf: Shelf, key_prefix: &[u8]) -> Result<Vec<KeyValue>, redb::Error> {
        let table = self.db.begin_read()?.open_table(STATE)?;
        let first = key_of(shelf, key_prefix);
        let key_at = first.len() - key_prefix.len();
        let mut found = Vec::new();
        for stored in table.range::<&[u8]>(first.as_slice()..)? {
            let (key, value) = stored?;
            if !key.value().starts_with(&first) {
                break;
            }
            found.push((key.value()[key_at..].to_vec(), value.value().to_vec()));
        }
        Ok(found)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let sync = || -> Result<(), redb::Error> {
            let mut txn = self.db.begin_write()?;
            txn.set_quick_repair(true);
            Ok(txn.commit()?)
        };
        if let Err(error) = sync() {
            tracing::info!("the cache of state was not synced, the next start reads more of the changelogs: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELF: Shelf = (Store("s"), 0xff);
    const NEXT: Shelf = (Store("s"), 0x100);

    #[test]
    fn changes_are_applied_from_where_the_shelf_is_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), "log").unwrap();
        let put = |value: &str| [(b"k".to_vec(), Some(value.as_bytes().to_vec()))];
        assert!(cache.apply(SHELF, 0, 5, &put("a")).unwrap());
        assert!(!cache.apply(SHELF, 0, 7, &put("b")).unwrap());
        assert_eq!((cache.applied(SHELF).unwrap(), cache.get(SHELF, b"k").unwrap()), (5, Some(b"a".to_vec())));
    }

    #[test]
    fn a_shelf_is_forgotten_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), "log").unwrap();
        for shelf in [SHELF, NEXT] {
            cache.apply(shelf, 0, 5, &[(vec![0xff; 9], Some(vec![1])), (vec![], Some(vec![]))]).unwrap();
        }
        cache.forget(SHELF).unwrap();
        assert_eq!((cache.applied(SHELF).unwrap(), cache.scan(SHELF, b"").unwrap().len()), (0, 0));
        assert_eq!((cache.applied(NEXT).unwrap(), cache.scan(NEXT, b"").unwrap().len()), (5, 2));
    }

    #[test]
    fn a_cache_of_another_log_or_a_damaged_one_is_made_anew_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), "log").unwrap();
        cache.apply(SHELF, 0, 5, &[]).unwrap();
        assert!(matches!(Cache::open(folder.path(), "log"), Err(CacheError::InUse { .. })));
        drop(cache);
        assert_eq!(Cache::open(folder.path(), "log").unwrap().applied(SHELF).unwrap(), 5);
        assert_eq!(Cache::open(folder.path(), "other").unwrap().applied(SHELF).unwrap(), 0);
        fs::write(folder.path().join(FILE), b"this is no cache").unwrap();
        assert_eq!(Cache::open(folder.path(), "other").unwrap().applied(SHELF).unwrap(), 0);
    }
}
