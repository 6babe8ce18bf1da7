//! The reports, for the command line and REST alike.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use cloudigrade_schemas::UtcSecond;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col};
use tokio::time::Instant;

use crate::dimension::{Dimension, Only};
use crate::error::QueryError;
use crate::period::Period;
use crate::plan::{COMPLETE_THROUGH, Counted};
use crate::session::{Limits, session};
use crate::sql::run_plan;
use crate::tables::{SnapshotToken, Tables, View};
use crate::viewer::Viewer;

/// What a report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// `instances, runtime_seconds, vcpu_seconds, memory_mib_seconds, unsized_seconds`: distinct instances that ran, how long, and
    /// how long weighed by size. Runtime of unknown size is in `unsized_seconds`, and not in the weighed sums; those are null
    /// where no size is known.
    Usage,
    /// `peak_instances, peak_at, peak_vcpu, peak_memory_mib`: the most that ran at once, and the first second of it. Each peak is a
    /// maximum of its own; the latter two leave out unknown sizes, and are null where no size is known.
    Concurrency,
}

/// A report to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportRequest {
    /// What to count.
    pub kind: ReportKind,
    /// When, in which buckets, and what time it is now.
    pub period: Period,
    /// By what to group.
    pub by: Vec<Dimension>,
    /// Who asks.
    pub viewer: Viewer,
    /// What to leave out.
    pub only: Only,
}

impl ReportRequest {
    /// A report of everything, for who may see it.
    pub fn new(kind: ReportKind, period: Period, by: Vec<Dimension>) -> Self {
        Self { kind, period, by, viewer: Viewer::Everything, only: Only::default() }
    }
}

/// A finished report.
///
/// Its columns are `bucket_start, bucket_end`, those of the dimensions in the order of the request, those of the
/// [kind](ReportKind), and `provisional`; its rows are ordered by the former. Without dimensions, every bucket of the period has a
/// row; with them, each group has a row for each bucket in which something of it ran.
#[derive(Clone, Debug)]
pub struct Report {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Up to when the data of every account and region that ran anything in the report is complete; rows of buckets that end later
    /// are provisional. `None` where that is not known.
    pub complete_through: Option<UtcSecond>,
    /// The instance types whose size is not known, the longest running first.
    pub unknown_types: Vec<UnknownType>,
    /// What the report covers.
    pub period: Period,
    /// What the report was made of. [`Tables::at`] finds it again, so that the same request gives the same bytes.
    pub snapshot: SnapshotToken,
}

/// Runtime of an instance type of unknown size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownType {
    /// The type; `None` where no event told it.
    pub instance_type: Option<String>,
    /// How long instances of it ran in the report's period.
    pub runtime_seconds: i64,
}

/// Makes a report of the tables as of their last refresh. A report with more rows than the limit allows is an error; SQL's
/// `usage(...)` and `concurrency(...)` give the same rows as a stream.
pub async fn run_report(tables: &Tables, request: &ReportRequest, limits: &Limits) -> Result<Report, QueryError> {
    let deadline = Instant::now() + limits.time;
    let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
    let view = View::new(&tables.snapshot(), &request.viewer).map_err(wrong)?;
    let context = session(tables, &view, request.period.now(), limits)?;
    let counted = Counted { view: &view, period: &request.period, only: &request.only };

    let unknown = counted.unknown_types().map_err(wrong)?;
    let unknown_types = read_unknown_types(&run_plan(&context, unknown, limits, deadline).await?.collect().await?);

    let plan = match request.kind {
        ReportKind::Usage => counted.usage(&request.by),
        ReportKind::Concurrency => counted.concurrency(&request.by),
    };
    let plan = plan.and_then(|plan| sorted(plan, &request.by)).map_err(wrong)?;
    let rows = run_plan(&context, plan, limits, deadline).await?;
    let (schema, batches, reach) = split_reach(&rows.schema(), &rows.collect().await?)?;
    let complete_through = reach.unwrap_or_else(|| view.reach().overall().map(UtcSecond));
    let snapshot = view.snapshot.token(request.period.now());
    Ok(Report { schema, batches, complete_through, unknown_types, period: request.period.clone(), snapshot })
}

fn sorted(plan: LogicalPlan, by: &[Dimension]) -> datafusion::error::Result<LogicalPlan> {
    let columns = ["bucket_start"].into_iter().chain(by.iter().map(|dimension| dimension.column()));
    LogicalPlanBuilder::from(plan).sort(columns.map(|column| col(column).sort(true, false)))?.build()
}

/// How far the data of all rows reaches; the inner `None` says that it is not known of some, the outer that there is no row.
type RowsReach = Option<Option<UtcSecond>>;

/// Takes the last column off, which says how far the data of each row reaches.
fn split_reach(schema: &Schema, batches: &[RecordBatch]) -> Result<(SchemaRef, Vec<RecordBatch>, RowsReach), QueryError> {
    let at = schema.index_of(COMPLETE_THROUGH).map_err(QueryError::storage)?;
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|column| *column != at).collect();
    let mut reach: RowsReach = None;
    for column in batches.iter().filter_map(|batch| batch.column(at).as_primitive_opt::<TimestampMicrosecondType>()) {
        for row in 0..column.len() {
            let through = column.is_valid(row).then(|| UtcSecond(column.value(row).div_euclid(1_000_000)));
            // `None` is less than any moment: one unknown makes the whole unknown.
            reach = Some(reach.map_or(through, |reach| reach.min(through)));
        }
    }
    let schema = Arc::new(schema.project(&kept).map_err(QueryError::storage)?);
    let batches = batches.iter().map(|batch| batch.project(&kept)).collect::<Result<_, _>>().map_err(QueryError::storage)?;
    Ok((schema, batches, reach))
}

fn read_unknown_types(batches: &[RecordBatch]) -> Vec<UnknownType> {
    let mut types = Vec::new();
    for batch in batches {
        let (names, seconds) = (batch.column(0).as_string_view(), batch.column(1).as_primitive::<Int64Type>());
        types.extend((0..batch.num_rows()).map(|row| UnknownType {
            instance_type: names.is_valid(row).then(|| names.value(row).to_owned()),
            runtime_seconds: seconds.value(row),
        }));
    }
    types
}
