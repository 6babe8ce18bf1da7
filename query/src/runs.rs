//! Runs of instances, listed in pages.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::table::INSTANCE_INTERVALS;
use datafusion::common::Result as PlanResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::scalar::ScalarValue;
use tokio::time::Instant;

use crate::dimension::Only;
use crate::error::QueryError;
use crate::label::ImageLabel;
use crate::plan::{LABELS, matches};
use crate::session::{Limits, session};
use crate::sql::{Rows, run_plan};
use crate::tables::{Tables, View};
use crate::viewer::Viewer;

/// Which runs to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsRequest {
    /// Only runs with a part from this moment on.
    pub from: Option<UtcSecond>,
    /// Only runs with a part before this moment.
    pub until: Option<UtcSecond>,
    /// What they are cut to.
    pub only: Only,
    /// Who asks.
    pub viewer: Viewer,
    /// Only runs that follow this one.
    pub after: Option<RunPosition>,
    /// How many, at most.
    pub count: usize,
    /// What time it is now.
    pub now: UtcSecond,
}

/// A run's place in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunPosition {
    /// AWS account.
    pub account_id: String,
    /// AWS region.
    pub region: String,
    /// EC2 instance.
    pub instance_id: String,
    /// When it started.
    pub started_at: UtcSecond,
}

/// Lists runs of the tables as of their last refresh, by account, region, instance and start: the columns of `instance_intervals`, and
/// `rhel`, `openshift` and `billing_model` of their images.
///
/// # Errors
/// As for reports.
pub async fn list_runs(tables: &Tables, request: &RunsRequest, limits: &Limits) -> Result<Rows, QueryError> {
    let deadline = Instant::now() + limits.time;
    let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
    let view = View::new(&tables.snapshot(), &request.viewer).map_err(wrong)?;
    let context = session(tables, &view, request.now, limits)?;
    let table = context.table(INSTANCE_INTERVALS.name).await.map_err(wrong)?;
    let plan = plan(&view, table.into_unoptimized_plan(), request).map_err(wrong)?;
    let rows = run_plan(&context, plan, limits, deadline).await?;
    Ok(rows.of(&view, request.now))
}

fn plan(view: &View, runs: LogicalPlan, request: &RunsRequest) -> PlanResult<LogicalPlan> {
    let conditions = [
        request.from.map(|from| col("ended_at").is_null().or(col("ended_at").gt(moment(from)))),
        request.until.map(|until| col("started_at").lt(moment(until))),
        request.after.as_ref().map(follows),
        matches(&request.only, view.labels()),
    ];
    let mut plan = LogicalPlanBuilder::from(runs);
    if let Some(condition) = conditions.into_iter().flatten().reduce(Expr::and) {
        plan = plan.filter(condition)?;
    }
    let labels = LABELS.into_iter().filter_map(|label| Some(ImageLabel::of_rows(label, view.labels())?.alias(label.column())));
    let columns = INSTANCE_INTERVALS.columns.iter().map(|column| col(column.name));
    let order = ["account_id", "region", "instance_id", "started_at"].map(|name| col(name).sort(true, false));
    plan.project(columns.chain(labels).collect::<Vec<_>>())?.sort(order)?.limit(0, Some(request.count))?.build()
}

/// Whether a run follows another in the order of the list.
fn follows(position: &RunPosition) -> Expr {
    let text = |text: &str| lit(ScalarValue::Utf8View(Some(text.to_owned())));
    let parts = [
        (col("account_id"), text(&position.account_id)),
        (col("region"), text(&position.region)),
        (col("instance_id"), text(&position.instance_id)),
        (col("started_at"), moment(position.started_at)),
    ];
    parts.into_iter().rev().fold(lit(false), |rest, (column, value)| column.clone().gt(value.clone()).or(column.eq(value).and(rest)))
}

fn moment(second: UtcSecond) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(second.0.saturating_mul(1_000_000)), Some("UTC".into())))
}
