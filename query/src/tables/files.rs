//! The files of one stored table at one version, and how they are scanned.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use cloudigrade_schemas::Month;
use cloudigrade_schemas::table::Table;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result, Statistics, ToDFSchema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use deltalake_core::DeltaTable;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::as_of::AsOfError;
use super::contract::file_schema;
use super::nulls::AskColumns;
use crate::error::QueryError;
use crate::limits::{FOOTER_HINT_BYTES, LOOKS_AT_ONCE_MAX};

/// The partition columns of the stored tables.
const PARTITIONS: [&str; 2] = ["month", "bucket"];

/// One live file of a table.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    meta: ObjectMeta,
    /// The month that all rows lie in; `None` in a table that is not partitioned.
    pub(crate) month: Option<Month>,
    rows: Option<usize>,
}

/// The live files of a table at one version. A table that nothing was written to has none.
#[derive(Clone, Debug)]
pub(crate) struct FileSet {
    pub(crate) table: Table,
    /// The columns of the files.
    pub(crate) schema: SchemaRef,
    pub(crate) files: Vec<DataFile>,
    /// The version in the table's log; `None` if there is no table yet.
    pub(crate) version: Option<u64>,
    /// What Delta calls the table; another after it was made anew.
    pub(crate) id: Option<String>,
    /// Files that later versions no longer have, and which may be deleted: they are looked for before a scan.
    doubtful: HashSet<Path>,
    store: ObjectStoreUrl,
}

impl FileSet {
    /// Reads the live files from a loaded table; `None` stands for a table that does not exist.
    pub(crate) fn new(table: Table, delta: Option<&DeltaTable>) -> Result<Self, QueryError> {
        let store = store_url(&table)?;
        let (mut files, mut version, mut id) = (Vec::new(), None, None);
        if let Some(delta) = delta {
            let snapshot = delta.snapshot().map_err(QueryError::storage)?;
            version = Some(snapshot.version());
            id = Some(snapshot.metadata().id().to_owned());
            files = snapshot.log_data().iter().map(|file| read_file(&file)).collect::<Result<_, _>>()?;
            files.sort_by(|a: &DataFile, b| a.meta.location.cmp(&b.meta.location));
        }
        Ok(Self { table, schema: file_schema(&table, &PARTITIONS), files, version, id, doubtful: HashSet::new(), store })
    }

    /// Takes it for an earlier version of a table: its files may be gone, but for those that the newest has too.
    pub(crate) fn doubting(mut self, newest: &Self) -> Self {
        let kept: HashSet<_> = newest.files.iter().map(|file| &file.meta.location).collect();
        self.doubtful = self.files.iter().map(|file| file.meta.location.clone()).filter(|file| !kept.contains(file)).collect();
        self
    }

    /// Looks whether files that were replaced are still there.
    async fn look_for(&self, state: &dyn Session, files: &[&DataFile]) -> Result<()> {
        let store = state.runtime_env().object_store(&self.store)?;
        let doubtful = files.iter().map(|file| &file.meta.location).filter(|file| self.doubtful.contains(*file));
        let looks = doubtful.map(|file| async { store.head(file).await });
        let mut looks = futures::stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(LOOKS_AT_ONCE_MAX);
        while let Some(found) = looks.next().await {
            match found {
                Ok(_) => {}
                Err(object_store::Error::NotFound { .. }) => {
                    return Err(DataFusionError::External(Box::new(AsOfError::Gone { table: self.table.name })));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Scans the files that are wanted. `prune` says which rows are wanted: files and row groups that hold none are left out, other
    /// rows may come too.
    pub(crate) async fn scan(
        &self,
        state: &dyn Session,
        wanted: impl Fn(&DataFile) -> bool + Send,
        projection: Vec<usize>,
        prune: Option<Expr>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files: Vec<_> = self.files.iter().filter(|file| wanted(file)).collect();
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(Arc::new(self.schema.project(&projection)?))));
        }
        self.look_for(state, &files).await?;
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = files.iter().map(|file| file.rows).sum::<Option<usize>>().map_or(Precision::Absent, Precision::Inexact);

        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = CachedParquetFileReaderFactory::new(state.runtime_env().object_store(&self.store)?, footers);
        let options = TableParquetOptions { global: state.config_options().execution.parquet.clone(), ..TableParquetOptions::default() };
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_HINT_BYTES)
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(prune) = prune {
            let schema = Arc::clone(&self.schema).to_dfschema()?;
            source = source.with_predicate(state.create_physical_expr(prune, &schema)?);
        }
        let group = files.into_iter().map(|file| PartitionedFile::new_from_meta(file.meta.clone())).collect::<Vec<_>>();
        let config = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_group(FileGroup::new(group))
            .with_statistics(statistics)
            .with_projection_indices(Some(projection))?
            .with_expr_adapter(Some(Arc::new(AskColumns)))
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// The name under which the files' store is registered.
pub(crate) fn store_url(table: &Table) -> Result<ObjectStoreUrl, QueryError> {
    ObjectStoreUrl::parse(format!("tables://{}", table.name)).map_err(QueryError::storage)
}

fn read_file(file: &deltalake_core::kernel::LogicalFileView) -> Result<DataFile, QueryError> {
    let partitions = file.partition_values_map();
    let month = match partitions.get("month") {
        Some(Some(text)) => {
            let wrong = || QueryError::Storage { message: format!("{}: the partition month={text} does not read", file.path()) };
            Some(Month::parse(text).ok_or_else(wrong)?)
        }
        _ => None,
    };
    let size = u64::try_from(file.size()).map_err(QueryError::storage)?;
    let last_modified = file.modification_datetime().map_err(QueryError::storage)?;
    let meta = ObjectMeta { location: file.object_store_path(), last_modified, size, e_tag: None, version: None };
    Ok(DataFile { meta, month, rows: file.num_records() })
}
