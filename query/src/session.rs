//! A fresh DataFusion session for each question: its own limits, one version of the tables, nothing that outlives it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cloudigrade_schemas::UtcSecond;
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::error::QueryError;
use crate::functions::{ConcurrencyFunction, Source, UsageFunction};
use crate::given_up::EndingJoins;
use crate::ids::ResourceId;
use crate::limits::{
    QUERY_DEADLINE, QUERY_MEMORY_BYTES, QUERY_ROWS_MAX, QUERY_SPILL_BYTES, USER_SQL_DEADLINE, USER_SQL_MEMORY_BYTES, USER_SQL_ROWS_MAX,
    USER_SQL_SPILL_BYTES,
};
use crate::plan;
use crate::tables::{Tables, View};

/// What a question may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes held in memory by operators that account for it. It is a bound of order, not of the process.
    pub memory_bytes: usize,
    /// Bytes spilled to disk; 0 forbids spilling.
    pub spill_bytes: u64,
    /// Where to spill; the system's folder for temporary files if absent.
    pub spill_folder: Option<PathBuf>,
    /// Rows returned; one more is an error, never a silent cut.
    pub rows: usize,
    /// Time from the question to the last row.
    pub time: Duration,
    /// Threads' worth of partitions that a plan is split in; as many as there are processors if absent.
    pub partitions: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: QUERY_MEMORY_BYTES,
            spill_bytes: QUERY_SPILL_BYTES,
            spill_folder: None,
            rows: QUERY_ROWS_MAX,
            time: QUERY_DEADLINE,
            partitions: None,
        }
    }
}

impl Limits {
    /// What SQL may take that users write and send over the network.
    pub fn of_users() -> Self {
        Self {
            memory_bytes: USER_SQL_MEMORY_BYTES,
            spill_bytes: USER_SQL_SPILL_BYTES,
            rows: USER_SQL_ROWS_MAX,
            time: USER_SQL_DEADLINE,
            ..Self::default()
        }
    }
}

/// The names of the catalogue and of the schema that SQL sees without prefix.
const CATALOG: &str = "cloudigrade";
const SCHEMA: &str = "public";

/// Makes a session over what one viewer sees of one version of the tables, in which it is `now`.
pub(crate) fn session(tables: &Tables, view: &View, now: UtcSecond, limits: &Limits) -> Result<SessionContext, QueryError> {
    build(tables, view, now, limits).map_err(|error| QueryError::from_datafusion(&error, limits.memory_bytes))
}

fn build(tables: &Tables, view: &View, now: UtcSecond, limits: &Limits) -> Result<SessionContext> {
    let mode = match (&limits.spill_folder, limits.spill_bytes) {
        (_, 0) => DiskManagerMode::Disabled,
        (Some(folder), _) => DiskManagerMode::Directories(vec![folder.clone()]),
        (None, _) => DiskManagerMode::OsTmpDirectory,
    };
    let mut runtime =
        RuntimeEnvBuilder::from_runtime_env(tables.runtime()).with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)));
    runtime.disk_manager = None;
    let disk = DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill_bytes);

    let mut config = SessionConfig::new().with_information_schema(true).with_default_catalog_and_schema(CATALOG, SCHEMA);
    if let Some(partitions) = limits.partitions {
        config = config.with_target_partitions(partitions);
    }
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime.with_disk_manager_builder(disk).build_arc()?)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(EndingJoins))
        .build();
    let context = SessionContext::new_with_state(state);

    let schema = MemorySchemaProvider::new();
    for (name, table) in view.contract_tables()? {
        schema.register_table(name, table)?;
    }
    let system = MemorySchemaProvider::new();
    for (name, table) in view.system_tables() {
        system.register_table(name, table)?;
    }
    system.register_table("unknown_instance_types".to_owned(), shown(plan::unknown_type_table(intervals(&schema)?, now)?))?;
    system.register_table("reconciled".to_owned(), shown(plan::reconciled_table(intervals(&schema)?)?))?;

    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    catalog.register_schema("sys", Arc::new(system))?;
    context.register_catalog(CATALOG, Arc::new(catalog));
    let source = Source { view: view.clone(), now };
    context.register_udf(ScalarUDF::from(ResourceId::new()));
    context.register_udtf("usage", Arc::new(UsageFunction(source.clone())));
    context.register_udtf("concurrency", Arc::new(ConcurrencyFunction(source)));
    Ok(context)
}

/// A scan of `instance_intervals`, as SQL sees it.
fn intervals(schema: &MemorySchemaProvider) -> Result<LogicalPlan> {
    let name = cloudigrade_schemas::table::INSTANCE_INTERVALS.name;
    let intervals = futures::FutureExt::now_or_never(schema.table(name)).transpose()?.flatten();
    let missing = || datafusion::error::DataFusionError::Internal(format!("{name} is not registered"));
    LogicalPlanBuilder::scan(name, provider_as_source(intervals.ok_or_else(missing)?), None)?.build()
}

fn shown(plan: LogicalPlan) -> Arc<dyn TableProvider> {
    Arc::new(ViewTable::new(plan, None))
}
