//! The one calculation behind reports and table functions: pieces, grouped by dimensions, folded into rows of buckets.

use std::sync::Arc;

use cloudigrade_schemas::{PowerAction, Product, UtcSecond};
use datafusion::common::{DataFusionError, Result, UnnestOptions};
use datafusion::datasource::provider_as_source;
use datafusion::functions::core::expr_ext::FieldAccessor;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::scalar::ScalarValue;

use crate::dimension::{Dimension, Only};
use crate::fold::{Concurrency, Fold, FoldFunction, Scope, Usage};
use crate::label::ImageLabel;
use crate::period::Period;
use crate::tables::{Labels, View};

/// The column that says how far the data behind a row reaches; reports read it and leave it out.
pub(crate) const COMPLETE_THROUGH: &str = "complete_through";
/// The list of rows that a fold gives, before it is unnested.
const ROWS: &str = "rows";

/// What is counted, as one viewer sees it.
#[derive(Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) view: &'a View,
    pub(crate) period: &'a Period,
    pub(crate) only: &'a Only,
}

impl<'a> Counted<'a> {
    fn all(view: &'a View, period: &'a Period) -> Self {
        const ALL: &Only = &Only {
            accounts: None,
            regions: None,
            instances: None,
            images: None,
            instance_types: None,
            product: None,
            billing_model: None,
        };
        Self { view, period, only: ALL }
    }

    /// Rows of `bucket_start, bucket_end, dimensions.., instances, runtime_seconds, vcpu_seconds, memory_mib_seconds, unsized_seconds,
    /// provisional, complete_through`.
    ///
    /// Without dimensions, every bucket has a row; with them, a group has a row for each bucket in which it ran.
    pub(crate) fn usage(self, by: &[Dimension]) -> Result<LogicalPlan> {
        self.folded::<Usage>(by, None)
    }

    /// Rows of `bucket_start, bucket_end, dimensions.., peak_instances, peak_at, peak_vcpu, peak_memory_mib, provisional,
    /// complete_through`, as [`Counted::usage`] gives them.
    pub(crate) fn concurrency(self, by: &[Dimension]) -> Result<LogicalPlan> {
        self.folded::<Concurrency>(by, None)
    }

    /// The instance types of unknown size that ran in the period: rows of `instance_type, runtime_seconds`, the longest first.
    pub(crate) fn unknown_types(self) -> Result<LogicalPlan> {
        let no_size = col("vcpu").is_null().or(col("memory_mib").is_null());
        let whole = self.period.whole();
        LogicalPlanBuilder::from(
            Counted { view: self.view, period: &whole, only: self.only }.folded::<Usage>(&[Dimension::InstanceType], Some(no_size))?,
        )
        .project([col("instance_type"), col("runtime_seconds")])?
        .sort([col("runtime_seconds").sort(false, false), col("instance_type").sort(true, false)])?
        .build()
    }

    /// All columns of the pieces that are counted, or that lie just beside the period.
    pub(crate) fn pieces(self) -> Result<LogicalPlanBuilder> {
        let pieces = provider_as_source(Arc::new(self.view.pieces(self.period)));
        let mut plan = LogicalPlanBuilder::scan("pieces", pieces, None)?;
        if let Some(only) = matches(self.only, self.view.labels()) {
            plan = plan.filter(only)?;
        }
        Ok(plan)
    }

    fn folded<F: Fold>(self, by: &[Dimension], which: Option<Expr>) -> Result<LogicalPlan> {
        let scope = Scope {
            period: self.period.clone(),
            reach: Arc::clone(self.view.reach()),
            metered: Arc::clone(self.view.metered()),
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

        let mut plan = self.pieces()?;
        if let Some(which) = which {
            plan = plan.filter(which)?;
        }
        // Labels are looked up only where they are asked for.
        let labels = by.iter().filter_map(|dimension| Some(ImageLabel::of_rows(*dimension, self.view.labels())?.alias(dimension.column())));
        let labels: Vec<_> = labels.collect();
        if !labels.is_empty() {
            let of_runs = by.iter().filter(|dimension| Dimension::OF_RUNS.contains(dimension)).map(|dimension| dimension.column());
            let mut kept: Vec<_> = FoldFunction::<F>::arguments().iter().copied().chain(of_runs).collect();
            kept.sort_unstable();
            kept.dedup();
            plan = plan.project(kept.into_iter().map(col).chain(labels))?;
        }
        plan.aggregate(dimensions(), [FoldFunction::<F>::over_pieces(scope).alias(ROWS)])?
            .unnest_column_with_options(ROWS, UnnestOptions::new().with_preserve_nulls(false))?
            .project(columns)?
            .build()
    }
}

/// Which rows with the columns of runs a report is cut to; `None` for all.
pub(crate) fn matches(only: &Only, labels: &Arc<Labels>) -> Option<Expr> {
    let lists = [
        (Dimension::Account, &only.accounts),
        (Dimension::Region, &only.regions),
        (Dimension::Instance, &only.instances),
        (Dimension::Image, &only.images),
        (Dimension::InstanceType, &only.instance_types),
    ];
    let text = |text: &str| lit(ScalarValue::Utf8View(Some(text.to_owned())));
    let listed = lists.into_iter().filter_map(|(dimension, list)| {
        let list = list.as_ref()?;
        Some(if list.is_empty() {
            lit(false)
        } else {
            col(dimension.column()).in_list(list.iter().map(|item| text(item)).collect(), false)
        })
    });
    let product = only.product.and_then(|product| {
        let dimension = match product {
            Product::Rhel => Dimension::Rhel,
            Product::Openshift => Dimension::Openshift,
        };
        Some(ImageLabel::of_rows(dimension, labels)?.is_true())
    });
    let billed = only.billing_model.and_then(|model| Some(ImageLabel::of_rows(Dimension::BillingModel, labels)?.eq(text(model.word()))));
    listed.chain(product).chain(billed).reduce(Expr::and)
}

/// What an image counts as, in the rows of `usage(...)` and of runs.
pub(crate) const LABELS: [Dimension; 3] = [Dimension::Rhel, Dimension::Openshift, Dimension::BillingModel];

/// The rows of the table function `usage(...)` without `by`: one a bucket, instance, image and type, with what the image counts as.
pub(crate) fn usage_function(view: &View, period: &Period) -> Result<LogicalPlan> {
    let dimensions = Dimension::OF_RUNS.map(|dimension| col(dimension.column()));
    let labels = LABELS.into_iter().filter_map(|label| Some(ImageLabel::of_rows(label, view.labels())?.alias(label.column())));
    let sums = ["runtime_seconds", "vcpu_seconds", "memory_mib_seconds", "provisional"].map(col);
    let columns = [col("bucket_start"), col("bucket_end")].into_iter().chain(dimensions).chain(labels).chain(sums).collect::<Vec<_>>();
    LogicalPlanBuilder::from(Counted::all(view, period).usage(&Dimension::OF_RUNS)?).project(columns)?.build()
}

/// The rows of the table function `usage(...)` with `by`: those of [`Counted::usage`], without `complete_through`.
pub(crate) fn usage_function_by(view: &View, period: &Period, by: &[Dimension]) -> Result<LogicalPlan> {
    without_reach(Counted::all(view, period).usage(by)?)
}

/// The rows of the table function `concurrency(...)`: those of [`Counted::concurrency`], without `complete_through`.
pub(crate) fn concurrency_function(view: &View, period: &Period, by: &[Dimension]) -> Result<LogicalPlan> {
    without_reach(Counted::all(view, period).concurrency(by)?)
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
