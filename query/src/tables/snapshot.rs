//! All tables at one version each.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use cloudigrade_schemas::table::INSTANCE_TYPES;
use cloudigrade_schemas::{UtcSecond, instance_type};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::as_of::{SnapshotToken, number_of_tables};
use super::catalogue::{self, Catalogue};
use super::contract::visible_schema;
use super::files::FileSet;
use super::registrations::Registrations;
use super::stored::{ACCOUNTS_AT, COVERAGE_AT, FileSets, IMAGES_AT, Versions, no_files};
use super::view::Parts;
use crate::error::QueryError;
use crate::fold::Reach;

/// All tables at one version each, and what is read of the small ones at once.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) files: FileSets,
    pub(super) coverage: Vec<RecordBatch>,
    /// What `coverage` says, for the folds.
    pub(super) reach: Arc<Reach>,
    pub(super) registrations: Arc<Registrations>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) instance_types: RecordBatch,
    /// What was worked out for viewers, the one that was looked for last at the end.
    pub(super) views: Mutex<Vec<Arc<Parts>>>,
}

impl Snapshot {
    /// Tables in which nothing is.
    pub(super) fn empty() -> Result<Self, QueryError> {
        Ok(Self {
            files: no_files()?,
            coverage: Vec::new(),
            reach: Arc::default(),
            registrations: Arc::default(),
            catalogue: Arc::default(),
            instance_types: instance_types()?,
            views: Mutex::default(),
        })
    }

    /// The tables with these files. What is the same as in another snapshot is taken from it.
    pub(super) async fn of(files: FileSets, last: &Self, runtime: &Arc<RuntimeEnv>) -> Result<Self, QueryError> {
        let is_same = |at: usize| Arc::ptr_eq(&files[at], &last.files[at]);
        let (coverage, reach) = if is_same(COVERAGE_AT) {
            (last.coverage.clone(), Arc::clone(&last.reach))
        } else {
            let rows = read_all(runtime, &files[COVERAGE_AT], &[]).await?;
            let reach = Arc::new(read_reach(&rows)?);
            (rows, reach)
        };
        let registrations = if is_same(ACCOUNTS_AT) {
            Arc::clone(&last.registrations)
        } else {
            Arc::new(Registrations::read(&read_all(runtime, &files[ACCOUNTS_AT], &[]).await?)?)
        };
        let catalogue = if is_same(IMAGES_AT) {
            Arc::clone(&last.catalogue)
        } else {
            Arc::new(Catalogue::read(&read_all(runtime, &files[IMAGES_AT], &catalogue::COLUMNS).await?)?)
        };
        let instance_types = last.instance_types.clone();
        Ok(Self { files, coverage, reach, registrations, catalogue, instance_types, views: Mutex::default() })
    }

    /// The version of each table.
    pub(super) fn versions(&self) -> Versions {
        std::array::from_fn(|at| self.files[at].version)
    }

    /// A number of the tables, as tokens tell it.
    pub(super) fn number_of_tables(&self) -> u32 {
        number_of_tables(self.files.iter().map(|files| files.id.as_deref()))
    }

    /// What names this for whoever asked at a moment.
    pub(crate) fn token(&self, now: UtcSecond) -> SnapshotToken {
        SnapshotToken { versions: self.versions(), tables: self.number_of_tables(), now }
    }
}

/// The rows of a table: all that SQL shows of it, or some of the columns of its files.
async fn read_all(runtime: &Arc<RuntimeEnv>, files: &Arc<FileSet>, columns: &[&str]) -> Result<Vec<RecordBatch>, QueryError> {
    let session = SessionContext::new_with_config_rt(SessionConfig::new(), Arc::clone(runtime));
    let rows = async {
        // The visible columns come first in the files.
        let read = match columns {
            [] => (0..files.table.columns.len()).collect(),
            _ => columns.iter().map(|name| files.schema.index_of(name)).collect::<Result<_, ArrowError>>()?,
        };
        let scan = files.scan(&session.state(), |_| true, read, None, None).await?;
        collect(scan, session.task_ctx()).await
    };
    rows.await.map_err(|error| QueryError::from_reading(&error))
}

/// The reference data as rows.
fn instance_types() -> Result<RecordBatch, QueryError> {
    let texts = |text: fn(instance_type::InstanceType) -> &'static str| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(instance_type::all().map(text)))
    };
    let integers = |integer: fn(instance_type::InstanceType) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(instance_type::all().map(integer)))
    };
    let columns = vec![
        texts(|t| t.name),
        integers(|t| i64::from(t.vcpu)),
        // Memory sizes are far below 2^63 MiB.
        integers(|t| t.memory_mib as i64),
        texts(|t| t.architecture),
    ];
    RecordBatch::try_new(visible_schema(&INSTANCE_TYPES), columns).map_err(QueryError::storage)
}

fn read_reach(rows: &[RecordBatch]) -> Result<Reach, QueryError> {
    let mut reach = Reach::default();
    for batch in rows {
        let columns = (
            batch.column(0).as_string_view_opt(),
            batch.column(1).as_string_view_opt(),
            batch.column(2).as_primitive_opt::<TimestampMicrosecondType>(),
        );
        let (Some(accounts), Some(regions), Some(through)) = columns else {
            return Err(QueryError::Storage { message: "the table coverage has unexpected columns".into() });
        };
        for row in 0..batch.num_rows() {
            reach.insert(accounts.value(row), regions.value(row), through.value(row).div_euclid(1_000_000));
        }
    }
    Ok(reach)
}
