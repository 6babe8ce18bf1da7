//! Moving a log to other storage: who this log is, and that it went somewhere else.
//!
//! A file that was moved has a format of its own, so that also a program that knows nothing of moving refuses it.

use std::path::Path;

use redb::{ReadableDatabase, ReadableTable, TableDefinition, TableError};

use crate::embedded::failure::reading;
use crate::embedded::open::EmbeddedOptions;
use crate::embedded::{EmbeddedLog, OpenError, layout};
use crate::log::LogError;

/// Added to the format of a file whose log was moved.
pub(super) const MOVED_FORMAT: u64 = 1 << 32;
/// Key in [`layout::META`]: a random number that no other log has, once somebody asked for it.
const META_IDENTITY: &str = "identity";
/// Texts about where a log went; made when it does.
const MOVED: TableDefinition<'static, &str, &str> = TableDefinition::new("moved");
/// Key in [`MOVED`]: where.
const MOVED_TO: &str = "to";
/// Key in [`MOVED`]: what the tables held then.
const MOVED_TABLES: &str = "tables";

/// Where a log went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Where, in words.
    pub to: String,
    /// What the tables held then, in the words of whoever moved it.
    pub tables: String,
}

/// The names of what is in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Stores that hold something.
    pub stores: Vec<String>,
    /// Tasks that have positions.
    pub tasks: Vec<String>,
}

impl EmbeddedLog {
    /// Opens a log that is there, also one that was moved: for whoever moves it, or takes that back.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_even_moved(dir: &Path, options: EmbeddedOptions) -> Result<Self, OpenError> {
        Self::open_in(dir, options, true)
    }

    /// Where this log went, if it did.
    ///
    /// # Errors
    /// [`LogError::Storage`].
    pub fn moved(&self) -> Result<Option<Moved>, LogError> {
        read(&self.handle.shared.db).map_err(reading)
    }

    /// Says that this log goes on somewhere else: from now on it is not opened any more but by [`Self::open_even_moved`].
    ///
    /// # Errors
    /// [`LogError::Storage`].
    pub fn mark_moved(&self, moved: &Moved) -> Result<(), LogError> {
        self.change(|txn| {
            let mut table = txn.open_table(MOVED)?;
            table.insert(MOVED_TO, moved.to.as_str())?;
            table.insert(MOVED_TABLES, moved.tables.as_str())?;
            txn.open_table(layout::META)?.insert(layout::META_FORMAT, layout::FORMAT | MOVED_FORMAT)?;
            Ok(())
        })
    }

    /// Takes back [`Self::mark_moved`].
    ///
    /// # Errors
    /// [`LogError::Storage`].
    pub fn take_back(&self) -> Result<(), LogError> {
        self.change(|txn| {
            txn.open_table(layout::META)?.insert(layout::META_FORMAT, layout::FORMAT)?;
            txn.delete_table(MOVED)?;
            Ok(())
        })
    }

    /// The number by which this log is known. `new` becomes it where it has none yet.
    ///
    /// # Errors
    /// [`LogError::Storage`].
    pub fn identity(&self, new: u64) -> Result<u64, LogError> {
        self.change(|txn| {
            let mut meta = txn.open_table(layout::META)?;
            let known = meta.get(META_IDENTITY)?.map(|known| known.value());
            if known.is_none() {
                meta.insert(META_IDENTITY, new)?;
            }
            Ok(known.unwrap_or(new))
        })
    }

    /// The names of all stores and tasks in the file, whichever version of the program they are of.
    ///
    /// # Errors
    /// [`LogError::Storage`].
    pub fn names(&self) -> Result<Names, LogError> {
        let names = || -> Result<Names, redb::Error> {
            let txn = self.handle.shared.db.begin_read()?;
            Ok(Names { stores: first_names(&txn.open_table(layout::STATE)?)?, tasks: first_names(&txn.open_table(layout::POSITIONS)?)? })
        };
        names().map_err(reading)
    }

    fn change<T>(&self, change: impl FnOnce(&redb::WriteTransaction) -> Result<T, redb::Error>) -> Result<T, LogError> {
        let changed = || -> Result<T, redb::Error> {
            let mut txn = self.handle.shared.db.begin_write()?;
            txn.set_quick_repair(true);
            let done = change(&txn)?;
            txn.commit()?;
            Ok(done)
        };
        changed().map_err(reading)
    }
}

/// Where the log in a database went.
pub(super) fn read(db: &impl ReadableDatabase) -> Result<Option<Moved>, redb::Error> {
    let table = match db.begin_read()?.open_table(MOVED) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        table => table?,
    };
    let text = |key| Ok::<_, redb::Error>(table.get(key)?.map(|text| text.value().to_owned()).unwrap_or_default());
    Ok(Some(Moved { to: text(MOVED_TO)?, tables: text(MOVED_TABLES)? }))
}

/// The names that keys begin with.
fn first_names<V: redb::Value + 'static>(table: &impl ReadableTable<&'static [u8], V>) -> Result<Vec<String>, redb::Error> {
    let (mut names, mut from) = (Vec::new(), Vec::new());
    while let Some(entry) = table.range::<&[u8]>(from.as_slice()..)?.next() {
        let key = entry?.0.value().to_vec();
        let name = layout::name_of(&key).ok_or_else(|| redb::Error::Corrupted(format!("{key:02x?} has no name")))?;
        from = layout::behind_name(name);
        names.push(name.to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::Topic;

    use super::*;
    use crate::log::{Log, Position, StateChange, Store, Task, TaskSpec, Txn};

    fn open(dir: &Path) -> Result<EmbeddedLog, OpenError> {
        EmbeddedLog::open(dir, EmbeddedOptions::default())
    }

    #[test]
    fn a_log_that_was_moved_is_refused_with_where_it_went_until_that_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let moved = Moved { to: "Kafka at broker:9092".to_owned(), tables: "digest".to_owned() };
        let log = open(folder.path()).unwrap();
        assert_eq!(log.moved().unwrap(), None);
        log.mark_moved(&moved).unwrap();
        drop(log);
        let refused = open(folder.path()).unwrap_err();
        assert!(matches!(&refused, OpenError::Moved { to, .. } if *to == moved.to), "{refused}");
        let log = EmbeddedLog::open_even_moved(folder.path(), EmbeddedOptions::default()).unwrap();
        assert_eq!(log.moved().unwrap(), Some(moved));
        log.take_back().unwrap();
        drop(log);
        assert_eq!(open(folder.path()).unwrap().moved().unwrap(), None);
    }

    #[test]
    fn a_log_keeps_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(open(folder.path()).unwrap().identity(7).unwrap(), 7);
        assert_eq!(open(folder.path()).unwrap().identity(8).unwrap(), 7);
    }

    #[test]
    fn all_names_in_the_file_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path()).unwrap();
        for name in ["b", "bc", "a"] {
            let mut task = log.open_task(TaskSpec::alone(name, &[Topic::Coverage]), &[0]).unwrap();
            let change = |partition| StateChange { store: Store(name), partition, key: vec![0xff; 9], value: Some(vec![1]) };
            let position = Position { topic: Topic::Coverage, partition: 0, offset: 1 };
            task.commit(Txn { state: vec![change(0), change(31)], positions: vec![position], ..Txn::default() }).unwrap();
        }
        let Names { mut stores, mut tasks } = log.names().unwrap();
        stores.sort_unstable();
        tasks.sort_unstable();
        assert_eq!((stores, tasks), (vec!["a".into(), "b".into(), "bc".into()], vec!["a".into(), "b".into(), "bc".into()]));
    }
}
