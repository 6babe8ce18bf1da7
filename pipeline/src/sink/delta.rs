//! One Delta table: its files, how far it was applied, and commits of both together.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use cloudigrade_schemas::{Month, Topic};
use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, Remove, StructType, Transaction, engine::arrow_conversion::TryIntoKernel};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use futures::future::try_join_all;
use object_store::ObjectStoreExt;

use super::columns::{arrow_schema, partition_columns};
use super::group::{Change, Kind};
use super::merge::{self, NewFile};
use super::slice::{Cell, Slice};
use super::threads::on_threads;
use super::{SinkError, TableRoot, delta_table, history};
use crate::limits::{SUPERSEDED_MAX, SYNCS_AT_ONCE_MAX};

/// A Delta table that this process writes.
pub struct DeltaWriter {
    kind: Kind,
    topic: Topic,
    root: TableRoot,
    table: DeltaTable,
    files: BTreeMap<Cell, BTreeMap<Slice, Remove>>,
    positions: BTreeMap<u32, u64>,
}

impl DeltaWriter {
    /// Opens the table, or makes it. Where another process writes it at that moment, it is looked at anew.
    pub async fn open(root: &TableRoot, kind: Kind, topic: Topic, partitions: u32) -> Result<Self, SinkError> {
        let mut attempts = 1;
        loop {
            match Self::open_once(root, kind, topic, partitions).await {
                Err(SinkError::Superseded { .. }) if attempts < SUPERSEDED_MAX => attempts += 1,
                opened => return opened,
            }
        }
    }

    async fn open_once(root: &TableRoot, kind: Kind, topic: Topic, partitions: u32) -> Result<Self, SinkError> {
        let url = root.table_url(kind.name());
        let mut table = delta_table(root.store(), &url).map_err(SinkError::delta("opening", kind.name()))?;
        let exists = async |table: &DeltaTable| table.verify_deltatable_existence().await.map_err(SinkError::delta("opening", kind.name()));
        let mut existed = exists(&table).await?;
        if !existed {
            match create(table.clone(), kind, root.history()).await {
                Ok(made) => table = made,
                // Somebody else made it at the same time.
                Err(_) if exists(&table).await? => existed = true,
                Err(error) => return Err(error),
            }
        }
        if existed {
            table.load().await.map_err(|error| SinkError::Damaged { table: kind.name(), cause: error.to_string() })?;
        }
        let positions = (0..partitions).map(|partition| (partition, 0)).collect();
        let mut writer = Self { kind, topic, root: root.clone(), table, files: BTreeMap::new(), positions };
        if existed {
            writer.positions = writer.read_positions().await?;
            writer.files = writer.read_files()?;
            writer.add_new_columns().await?;
            writer.set_properties().await?;
        }
        Ok(writer)
    }

    /// Tells a table that an earlier version made of the columns which have come since. Its files stay: what they lack is null.
    async fn add_new_columns(&mut self) -> Result<(), SinkError> {
        let name = self.kind.name();
        let known = self.table.snapshot().map_err(SinkError::delta("reading", name))?.schema();
        let columns = contract_columns(self.kind)?;
        let new: Vec<_> = columns.fields().filter(|column| known.field(column.name()).is_none()).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let add = self.table.clone().add_columns().with_fields(new).with_commit_properties(self.properties(&self.positions));
        self.table = add.await.map_err(SinkError::delta("adding columns to", name))?;
        self.sync_commit(self.version())
    }

    /// Tells a table what it keeps of its past, where it was told otherwise or not at all.
    async fn set_properties(&mut self) -> Result<(), SinkError> {
        let failed = SinkError::delta("setting properties of", self.kind.name());
        let new = history::properties_to_set(&self.table, self.root.history()).map_err(&failed)?;
        if new.is_empty() {
            return Ok(());
        }
        let set = self.table.clone().set_tbl_properties().with_properties(new).with_commit_properties(self.properties(&self.positions));
        self.table = set.await.map_err(&failed)?;
        self.sync_commit(self.version())
    }

    fn sync_commit(&self, version: u64) -> Result<(), SinkError> {
        let name = self.kind.name();
        self.root.sync(&self.root.file_path(name, &commit_path(version))).map_err(SinkError::storage("writing", name))
    }

    /// Which table it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The next offset of a partition to apply.
    pub fn position(&self, partition: u32) -> u64 {
        self.positions.get(&partition).copied().unwrap_or(0)
    }

    /// The files that some changes rewrite, at most one change of each instance and month.
    pub fn files_of<'a>(&self, changes: &[&'a Change<'a>]) -> Vec<FileChanges<'a>> {
        by_file(&self.files, changes).into_iter().collect()
    }

    /// Writes the files that take the place of one. Nothing refers to them before [`Self::apply`].
    pub async fn rewrite(&self, ((cell, slice), changes): &FileChanges<'_>) -> Result<Rewritten, SinkError> {
        let old = self.files.get(cell).and_then(|slices| slices.get(slice)).cloned();
        let existing = match &old {
            Some(old) => Some(self.read(&old.path).await?),
            None => None,
        };
        let mut rewritten = Rewritten::default();
        let Some(new) = merge::rewrite(self.kind, *slice, existing, changes)? else { return Ok(rewritten) };
        let adds: Vec<Add> = new.iter().map(|file| self.add_of(*cell, file)).collect();
        // A file is named by its content: the same name is the same rows.
        if old.as_ref().is_some_and(|old| adds.iter().any(|add| add.path == old.path)) {
            return Ok(rewritten);
        }
        let replaced_at = Some(chrono::Utc::now().timestamp_millis());
        rewritten.actions.extend(old.map(|old| Action::Remove(Remove { deletion_timestamp: replaced_at, ..old })));
        for (add, file) in adds.into_iter().zip(new) {
            rewritten.paths.push(self.write(&add.path, file.bytes).await?);
            rewritten.actions.push(Action::Add(add));
        }
        Ok(rewritten)
    }

    /// Makes rewritten files those of the table, and moves the positions, in one commit.
    ///
    /// Returns how many files were written.
    pub async fn apply(&mut self, rewritten: Vec<Rewritten>, positions: &BTreeMap<u32, u64>) -> Result<usize, SinkError> {
        let (actions, written): (Vec<_>, Vec<_>) = rewritten.into_iter().map(|file| (file.actions, file.paths)).unzip();
        let written = written.concat();
        self.sync_all(&written)?;
        let moved =
            self.positions.iter().map(|(partition, here)| (*partition, (*here).max(positions.get(partition).copied().unwrap_or(0))));
        self.commit(actions.concat(), moved.collect()).await?;
        Ok(written.len())
    }

    /// Makes written files durable, several at a time: each waits for the disk.
    fn sync_all(&self, paths: &[object_store::path::Path]) -> Result<(), SinkError> {
        let share = paths.len().div_ceil(SYNCS_AT_ONCE_MAX).max(1);
        let failed = SinkError::storage("writing", self.kind.name());
        let sync = |paths: &[object_store::path::Path]| paths.iter().try_for_each(|path| self.root.sync(path)).map_err(&failed);
        on_threads(self.kind.name(), paths.chunks(share).map(|paths| || sync(paths)))?.into_iter().collect()
    }

    /// Drops all rows and goes back to where the partitions of the log begin.
    pub async fn clear(&mut self, begins: &BTreeMap<u32, u64>) -> Result<(), SinkError> {
        self.clean_before_checkpoint().await?;
        let removed = self.files.values().flat_map(BTreeMap::values).cloned().map(Action::Remove).collect();
        let begin = |partition: &u32| (*partition, begins.get(partition).copied().unwrap_or(0));
        self.commit(removed, self.positions.keys().map(begin).collect()).await
    }

    /// Commits with the positions of all partitions, so that the latest commit tells all of them, then learns from the table what it now holds.
    async fn commit(&mut self, actions: Vec<Action>, positions: BTreeMap<u32, u64>) -> Result<(), SinkError> {
        let name = self.kind.name();
        let properties = self.properties(&positions);
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(owned(partition_columns(&self.kind.table()))),
            predicate: None,
        };
        let state = self.table.snapshot().map_err(SinkError::delta("writing", name))?;
        let commit = CommitBuilder::from(properties).with_actions(actions).build(Some(state), self.table.log_store(), operation);
        let done = commit.await.map_err(SinkError::delta("writing", name))?;
        self.sync_commit(done.version())?;
        self.table.state = Some(done.snapshot());
        self.files = self.read_files()?;
        self.positions = positions;
        Ok(())
    }

    /// What a commit tells beside its actions: the positions. What is to be committed was made for what the table holds now: a commit that meets
    /// another is not repeated.
    fn properties(&self, positions: &BTreeMap<u32, u64>) -> CommitProperties {
        let applied = positions.iter().map(|(partition, next)| Transaction::new(app_id(self.topic, *partition), *next as i64));
        CommitProperties::default().with_application_transactions(applied.collect()).with_max_retries(0)
    }

    /// The table's version.
    pub fn version(&self) -> u64 {
        self.table.version().unwrap_or_default()
    }

    /// If the next commit makes a checkpoint, deletes the files that were replaced longer ago than [`TableRoot::history`]: the checkpoint may
    /// forget them, and what the log does not name is never deleted. Not between [`Self::rewrite`] and [`Self::apply`]: a new file may have
    /// the name of a replaced one.
    pub async fn clean_before_checkpoint(&mut self) -> Result<(), SinkError> {
        if history::checkpoint_follows(self.version()) {
            self.drop_replaced_files(self.root.history()).await?;
        }
        Ok(())
    }

    /// Deletes the files that were replaced longer ago than this. Who still reads a version that had them cannot go on.
    ///
    /// Returns how many were deleted.
    pub async fn drop_replaced_files(&mut self, replaced_for: Duration) -> Result<usize, SinkError> {
        let failed = SinkError::delta("deleting replaced files of", self.kind.name());
        let retention = chrono::Duration::from_std(replaced_for).unwrap_or(chrono::Duration::MAX);
        let vacuum = self.table.clone().vacuum().with_retention_period(retention).with_enforce_retention_duration(false);
        let (table, deleted) = vacuum.with_commit_properties(self.properties(&self.positions)).await.map_err(&failed)?;
        self.table = table;
        Ok(deleted.files_deleted.len())
    }

    fn read_files(&self) -> Result<BTreeMap<Cell, BTreeMap<Slice, Remove>>, SinkError> {
        let mut files: BTreeMap<Cell, BTreeMap<Slice, Remove>> = BTreeMap::new();
        let state = self.table.snapshot().map_err(SinkError::delta("reading", self.kind.name()))?;
        for file in state.log_data() {
            let damaged = |what: &str| SinkError::Damaged { table: self.kind.name(), cause: format!("file {}: {what}", file.path()) };
            let slice = Slice::of_file(&file.path()).ok_or_else(|| damaged("its name tells no slice"))?;
            let values = file.partition_values_map();
            let value = |name: &str| values.get(name).and_then(Option::as_deref);
            let cell = match partition_columns(&self.kind.table()).is_empty() {
                true => Cell { month: Month::Open, bucket: 0 },
                false => Cell {
                    month: value("month").and_then(Month::parse).ok_or_else(|| damaged("no month"))?,
                    bucket: value("bucket").and_then(|bucket| bucket.parse().ok()).ok_or_else(|| damaged("no bucket"))?,
                },
            };
            files.entry(cell).or_default().insert(slice, file.remove_action(true));
        }
        Ok(files)
    }

    async fn read_positions(&self) -> Result<BTreeMap<u32, u64>, SinkError> {
        let state = self.table.snapshot().map_err(SinkError::delta("reading", self.kind.name()))?;
        let latest = self.read(&commit_path(state.version())).await;
        let told = latest.map(|commit| positions_told(self.topic, &commit)).unwrap_or_default();
        if told.keys().eq(self.positions.keys()) {
            return Ok(told);
        }
        // Somebody else made the latest commit, as a compaction would: Delta knows the positions from earlier ones.
        let log_store = self.table.log_store();
        let position = async |partition: &u32| {
            let applied = state.transaction_version(log_store.as_ref(), app_id(self.topic, *partition)).await;
            let next = applied.map_err(SinkError::delta("reading", self.kind.name()))?.and_then(|next| u64::try_from(next).ok());
            Ok::<_, SinkError>((*partition, next.unwrap_or(0)))
        };
        Ok(try_join_all(self.positions.keys().map(position)).await?.into_iter().collect())
    }

    async fn read(&self, relative: &str) -> Result<Bytes, SinkError> {
        let path = self.root.file_path(self.kind.name(), relative);
        let storage = SinkError::storage("reading", self.kind.name());
        self.root.store().get(&path).await.map_err(&storage)?.bytes().await.map_err(&storage)
    }

    async fn write(&self, relative: &str, bytes: Bytes) -> Result<object_store::path::Path, SinkError> {
        let path = self.root.file_path(self.kind.name(), relative);
        self.root.store().put(&path, bytes.into()).await.map_err(SinkError::storage("writing", self.kind.name()))?;
        Ok(path)
    }

    fn add_of(&self, cell: Cell, file: &NewFile) -> Add {
        let tag = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&file.bytes));
        let name = file.slice.file_name(&tag);
        let values = [("month", cell.month.to_string()), ("bucket", cell.bucket.to_string())];
        let values: Vec<_> = values.into_iter().filter(|(name, _)| partition_columns(&self.kind.table()).contains(name)).collect();
        let folders: String = values.iter().map(|(name, value)| format!("{name}={value}/")).collect();
        Add {
            path: format!("{folders}{name}"),
            partition_values: values.into_iter().map(|(name, value)| (name.to_owned(), Some(value))).collect(),
            size: file.bytes.len() as i64,
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(format!("{{\"numRecords\":{}}}", file.rows)),
            ..Add::default()
        }
    }
}

/// A file, by what it holds, and the changes of it.
pub type FileChanges<'a> = ((Cell, Slice), Vec<&'a Change<'a>>);

/// What came of rewriting a file.
#[derive(Default)]
pub struct Rewritten {
    actions: Vec<Action>,
    paths: Vec<object_store::path::Path>,
}

/// Assigns changes to the files that hold their instances' rows, or would.
fn by_file<'a>(
    files: &BTreeMap<Cell, BTreeMap<Slice, Remove>>,
    changes: &[&'a Change<'a>],
) -> BTreeMap<(Cell, Slice), Vec<&'a Change<'a>>> {
    let none = BTreeMap::new();
    let mut grouped: BTreeMap<(Cell, Slice), Vec<&Change<'_>>> = BTreeMap::new();
    for change in changes {
        let slices = files.get(&change.cell).unwrap_or(&none);
        let slice = Slice::for_hash(Slice::hash(&change.key), slices.keys().copied());
        grouped.entry((change.cell, slice)).or_default().push(change);
    }
    grouped
}

fn commit_path(version: deltalake_core::kernel::Version) -> String {
    format!("_delta_log/{version:020}.json")
}

/// The positions that a commit tells.
fn positions_told(topic: Topic, commit: &[u8]) -> BTreeMap<u32, u64> {
    #[derive(serde::Deserialize)]
    struct Line {
        txn: Option<Transaction>,
    }
    let lines = commit.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok()?.txn);
    let position = |txn: Transaction| {
        let partition = txn.app_id.strip_prefix(topic.name())?.strip_prefix('/')?.parse().ok()?;
        Some((partition, u64::try_from(txn.version).ok()?))
    };
    lines.filter_map(position).collect()
}

fn app_id(topic: Topic, partition: u32) -> String {
    format!("{}/{partition}", topic.name())
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The columns of the SQL contract, as Delta has them.
fn contract_columns(kind: Kind) -> Result<StructType, SinkError> {
    arrow_schema(&kind.table()).as_ref().try_into_kernel().map_err(SinkError::arrow(kind.name()))
}

async fn create(table: DeltaTable, kind: Kind, history: Duration) -> Result<DeltaTable, SinkError> {
    let columns = contract_columns(kind)?;
    let create = table.create().with_table_name(kind.name()).with_comment(kind.table().meaning).with_columns(columns.fields().cloned());
    let properties = history::properties(history).into_iter().map(|(name, value)| (name, Some(value)));
    // Repeated behind a table that somebody else has made meanwhile, it would be told anew what it is, and be another one for its readers.
    let create = create.with_configuration(properties).with_commit_properties(CommitProperties::default().with_max_retries(0));
    create.with_partition_columns(partition_columns(&kind.table())).await.map_err(SinkError::delta("making", kind.name()))
}
