//! The one calculation behind reports and table functions: pieces, grouped by dimensions, folded into rows of buckets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cloudigrade_schemas::{PowerAction, UtcSecond};
use datafusion::common::{DataFusionError, Result, UnnestOptions};
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::scalar::ScalarValue;

use crate::error::QueryError;
use crate::fold::{Concurrency, Fold, FoldFunction, Scope, Usage};
use crate::period::Period;
use crate::tables::Snapshot;
use crate::tables::providers::PeriodPieces;

/// What a report can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The AWS account.
    Account,
    /// The AWS region.
    Region,
    /// The machine image.
    Image,
    /// The EC2 instance type.
    InstanceType,
    /// The EC2 instance.
    Instance,
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; 5] = [Self::Account, Self::Region, Self::Instance, Self::Image, Self::InstanceType];

    /// Its name in a report's request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Region => "region",
            Self::Image => "image",
            Self::InstanceType => "instance_type",
            Self::Instance => "instance",
        }
    }

    /// Its column in the tables and in results.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Account => "account_id",
            Self::Region => "region",
            Self::Image => "image_id",
            Self::InstanceType => "instance_type",
            Self::Instance => "instance_id",
        }
    }

    /// Reads a list such as `account,region`, in names or columns; spaces and repetitions do not matter.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, QueryError> {
        let mut dimensions = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let dimension = name.parse()?;
            if !dimensions.contains(&dimension) {
                dimensions.push(dimension);
            }
        }
        Ok(dimensions)
    }
}

impl FromStr for Dimension {
    type Err = QueryError;

    fn from_str(name: &str) -> Result<Self, QueryError> {
        let found = Self::ALL.into_iter().find(|dimension| dimension.name() == name || dimension.column() == name);
        found.ok_or_else(|| QueryError::Dimension { name: name.chars().take(40).collect() })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The column that says how far the data behind a row reaches; reports read it and leave it out.
pub(crate) const COMPLETE_THROUGH: &str = "complete_through";
/// The list of rows that a fold gives, before it is unnested.
const ROWS: &str = "rows";

/// Rows of `bucket_start, bucket_end, dimensions.., instances, runtime_seconds, vcpu_seconds, memory_mib_seconds, unsized_seconds,
/// provisional, complete_through`.
///
/// Without dimensions, every bucket has a row; with them, a group has a row for each bucket in which it ran.
pub(crate) fn usage(snapshot: &Snapshot, period: &Period, by: &[Dimension]) -> Result<LogicalPlan> {
    folded::<Usage>(snapshot, period, by, None)
}

/// Rows of `bucket_start, bucket_end, dimensions.., peak_instances, peak_at, peak_vcpu, peak_memory_mib, provisional,
/// complete_through`, as [`usage`] gives them.
pub(crate) fn concurrency(snapshot: &Snapshot, period: &Period, by: &[Dimension]) -> Result<LogicalPlan> {
    folded::<Concurrency>(snapshot, period, by, None)
}

/// The instance types of unknown size that ran in the period: rows of `instance_type, runtime_seconds`, the longest first.
pub(crate) fn unknown_types(snapshot: &Snapshot, period: &Period) -> Result<LogicalPlan> {
    let no_size = col("vcpu").is_null().or(col("memory_mib").is_null());
    LogicalPlanBuilder::from(folded::<Usage>(snapshot, &period.whole(), &[Dimension::InstanceType], Some(no_size))?)
        .project([col("instance_type"), col("runtime_seconds")])?
        .sort([col("runtime_seconds").sort(false, false), col("instance_type").sort(true, false)])?
        .build()
}

fn folded<F: Fold>(snapshot: &Snapshot, period: &Period, by: &[Dimension], only: Option<Expr>) -> Result<LogicalPlan> {
    let pieces = Arc::new(PeriodPieces::new(Arc::clone(&snapshot.intervals), period));
    let scope = Scope {
        period: period.clone(),
        reach: Arc::clone(&snapshot.reach),
        metered: Arc::clone(&snapshot.metered),
        every_bucket: by.is_empty(),
        one_instance: [Dimension::Account, Dimension::Region, Dimension::Instance].iter().all(|part| by.contains(part)),
    };
    let dimensions = || by.iter().map(|dimension| col(dimension.column()));
    let fields = FoldFunction::<F>::columns();
    let row = |name: &String| col(ROWS).field(name.as_str()).alias(name);
    // The bucket comes first, then the dimensions, then what was measured.
    let (bucket, measures) = fields.split_at(2);
    let unqualified = by.iter().map(|dimension| col(dimension.column()).alias(dimension.column()));
    let columns: Vec<_> = bucket.iter().map(row).chain(unqualified).chain(measures.iter().map(row)).collect();

    let mut plan = LogicalPlanBuilder::scan("pieces", provider_as_source(pieces), None)?;
    if let Some(only) = only {
        plan = plan.filter(only)?;
    }
    plan.aggregate(dimensions(), [FoldFunction::<F>::over_pieces(scope).alias(ROWS)])?
        .unnest_column_with_options(ROWS, UnnestOptions::new().with_preserve_nulls(false))?
        .project(columns)?
        .build()
}

/// The rows of the table function `usage(...)`: one a bucket, instance, image and type.
pub(crate) fn usage_function(snapshot: &Snapshot, period: &Period) -> Result<LogicalPlan> {
    let not_known = || lit(ScalarValue::Boolean(None));
    let dimensions = Dimension::ALL.map(|dimension| col(dimension.column()));
    let columns = [col("bucket_start"), col("bucket_end")]
        .into_iter()
        .chain(dimensions)
        .chain([
            not_known().alias("rhel"),
            not_known().alias("openshift"),
            lit("unknown").alias("billing_model"),
            col("runtime_seconds"),
            col("vcpu_seconds"),
            col("memory_mib_seconds"),
            col("provisional"),
        ])
        .collect::<Vec<_>>();
    LogicalPlanBuilder::from(usage(snapshot, period, &Dimension::ALL)?).project(columns)?.build()
}

/// The rows of the table function `concurrency(...)`: those of [`concurrency`], without `complete_through`.
pub(crate) fn concurrency_function(snapshot: &Snapshot, period: &Period, by: &[Dimension]) -> Result<LogicalPlan> {
    without_reach(concurrency(snapshot, period, by)?)
}

fn without_reach(plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns: Vec<_> =
        plan.schema().fields().iter().filter(|field| field.name() != COMPLETE_THROUGH).map(|field| col(field.name())).collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// The rows of `sys.unknown_instance_types`: types in `instance_intervals` whose size is not known.
pub(crate) fn unknown_type_table(intervals: LogicalPlan, now: UtcSecond) -> Result<LogicalPlan> {
    use datafusion::functions::expr_fn::{coalesce, greatest, to_unixtime};
    use datafusion::functions_aggregate::expr_fn::{count, sum};

    let now = lit(ScalarValue::TimestampMicrosecond(now.0.checked_mul(1_000_000), Some("UTC".into())));
    let seconds = to_unixtime(vec![coalesce(vec![col("ended_at"), now])]) - to_unixtime(vec![col("started_at")]);
    LogicalPlanBuilder::from(intervals)
        .filter(col("vcpu").is_null().or(col("memory_mib").is_null()))?
        .aggregate(
            [col("instance_type")],
            [count(lit(1)).alias("intervals"), sum(greatest(vec![seconds, lit(0_i64)])).alias("runtime_seconds")],
        )?
        .project([col("instance_type").alias("instance_type"), col("intervals"), col("runtime_seconds")])?
        .build()
}

/// The rows of `sys.reconciled`: what observations changed in `instance_intervals`, one row an account and region in which they did.
///
/// `observed_starts` and `observed_ends` count the runs with an edge that CloudTrail did not tell, `bounded_ends` those of which the exact
/// end is not known, and `uncertain_seconds` is by how much these can be too long together.
pub(crate) fn reconciled_table(intervals: LogicalPlan) -> Result<LogicalPlan> {
    use datafusion::functions::expr_fn::to_unixtime;
    use datafusion::functions_aggregate::expr_fn::{count, sum};
    use datafusion::logical_expr::when;

    let seen = |kind: &str| {
        let observed = PowerAction::ALL.into_iter().filter(|action| action.is_observation());
        col(kind).in_list(observed.map(|action| lit(action.name())).collect(), false)
    };
    let counted = |is_so: Expr| Ok::<_, DataFusionError>(count(when(is_so, lit(1)).end()?));
    let mut uncertain =
        when(col("end_not_before").is_not_null(), to_unixtime(vec![col("ended_at")]) - to_unixtime(vec![col("end_not_before")]));
    let uncertain = uncertain.otherwise(lit(0_i64))?;
    let columns = ["account_id", "region", "observed_starts", "observed_ends", "bounded_ends", "uncertain_seconds"];
    LogicalPlanBuilder::from(intervals)
        .filter(seen("start_kind").or(seen("end_kind")))?
        .aggregate(
            [col("account_id").alias("account_id"), col("region").alias("region")],
            [
                counted(seen("start_kind"))?.alias("observed_starts"),
                counted(seen("end_kind"))?.alias("observed_ends"),
                count(col("end_not_before")).alias("bounded_ends"),
                sum(uncertain).alias("uncertain_seconds"),
            ],
        )?
        .project(columns.map(col))?
        .build()
}
