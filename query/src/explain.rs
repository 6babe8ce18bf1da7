//! What is behind one cell of a usage report: runs, what turned them on and off, and what their images count as.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{ArrayRef, RecordBatch};
use cloudigrade_schemas::UtcSecond;
use datafusion::common::Result as PlanResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::columns::{Columns, unexpected};
use crate::dimension::{Dimension, Only};
use crate::error::QueryError;
use crate::fold::{Clip, PIECE_COLUMNS, Pieces, outside};
use crate::label::ImageLabel;
use crate::limits::EXPLAINED_RUNS_MAX;
use crate::period::Period;
use crate::plan::{Counted, LABELS};
use crate::session::{Limits, session};
use crate::sql::run_plan;
use crate::tables::{SnapshotToken, Tables, View};
use crate::viewer::Viewer;

/// A cell to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainRequest {
    /// The cell's bucket, whole: [`Period::bucket`] of the report's period.
    pub period: Period,
    /// The cell's value in each dimension of the report, as text; `None` for null.
    pub cell: Vec<(Dimension, Option<String>)>,
    /// Who asks.
    pub viewer: Viewer,
    /// What the report is cut to.
    pub only: Only,
}

/// What is behind a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The runs, by account, region, instance and start. Their seconds add up to the cell.
    pub runs: Vec<ExplainedRun>,
    /// What they add up to.
    pub totals: CellTotals,
    /// What is known of the images of the runs, by their ids.
    pub images: Vec<ExplainedImage>,
    /// Up to when the data of every account and region of the runs is complete; `None` where that is not known.
    pub complete_through: Option<UtcSecond>,
    /// What it was made of, as for reports.
    pub snapshot: SnapshotToken,
}

/// A run with a part in the cell.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExplainedRun {
    /// AWS account.
    pub account_id: String,
    /// AWS region.
    pub region: String,
    /// EC2 instance.
    pub instance_id: String,
    /// Machine image; null where no event told it.
    pub image_id: Option<String>,
    /// EC2 instance type; null where no event told it.
    pub instance_type: Option<String>,
    /// Virtual CPUs; null where the type is not known.
    pub vcpu: Option<i64>,
    /// Memory in MiB; null where the type is not known.
    pub memory_mib: Option<i64>,
    /// Whether the image counts as Red Hat Enterprise Linux; null where nothing is known.
    pub rhel: Option<bool>,
    /// Whether the image counts as Red Hat OpenShift; null where nothing is known.
    pub openshift: Option<bool>,
    /// Who is paid: payg, byos or unknown.
    pub billing_model: String,
    /// Start of the whole run, inclusive.
    pub started_at: UtcSecond,
    /// End of the whole run, exclusive; null while it runs.
    pub ended_at: Option<UtcSecond>,
    /// Where the exact end is not known: it lies between this and `ended_at`.
    pub end_not_before: Option<UtcSecond>,
    /// What turned it on.
    pub start: RunEdge,
    /// What turned it off; null while it runs.
    pub end: Option<RunEdge>,
    /// The parts of it that the cell counts: in the bucket, and metered.
    pub counted: Vec<CountedTime>,
    /// How long these are together.
    pub seconds: i64,
    /// `seconds` times `vcpu`; null where the type is not known.
    pub vcpu_seconds: Option<i64>,
    /// `seconds` times `memory_mib`; null where the type is not known.
    pub memory_mib_seconds: Option<i64>,
}

/// What turned an instance on or off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunEdge {
    /// CloudTrail's eventID, or the id of the observation.
    pub event_id: String,
    /// CloudTrail's eventName, or the kind of the observation.
    pub kind: String,
    /// The object and record index that told it: `uri#index`.
    pub source: String,
}

/// A time that counts, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CountedTime {
    /// From, inclusive.
    pub from: UtcSecond,
    /// Until, exclusive.
    pub until: UtcSecond,
}

/// The measures of a cell, as in a usage report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CellTotals {
    /// Distinct instances.
    pub instances: i64,
    /// Seconds that they ran.
    pub runtime_seconds: i64,
    /// Seconds times virtual CPUs, without runs of unknown size; null where no size is known.
    pub vcpu_seconds: Option<i64>,
    /// Seconds times MiB of memory, likewise.
    pub memory_mib_seconds: Option<i64>,
    /// Seconds of runs of unknown size.
    pub unsized_seconds: i64,
}

/// What is known of an image, as the viewer may see it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExplainedImage {
    /// Machine image.
    pub image_id: String,
    /// How far the look into it is.
    pub status: String,
    /// Why it is so.
    pub status_reason: String,
    /// Whether it counts as Red Hat Enterprise Linux; null where nothing is known.
    pub rhel: Option<bool>,
    /// Whether it counts as Red Hat OpenShift; null where nothing is known.
    pub openshift: Option<bool>,
    /// Who is paid: payg, byos or unknown.
    pub billing_model: String,
    /// All that says something of it, each by itself.
    pub evidence: Value,
    /// What was said against the evidence.
    pub overrides: Value,
}

/// Explains a cell of a usage report over the tables as of their last refresh.
///
/// # Errors
/// As for reports; [`Limit::Rows`](crate::Limit::Rows) for a cell of more than [`EXPLAINED_RUNS_MAX`] runs.
pub async fn explain(tables: &Tables, request: &ExplainRequest, limits: &Limits) -> Result<Explanation, QueryError> {
    let deadline = Instant::now() + limits.time;
    let limits = Limits { rows: limits.rows.min(EXPLAINED_RUNS_MAX), ..limits.clone() };
    let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
    let view = View::new(&tables.snapshot(), &request.viewer).map_err(wrong)?;
    let context = session(tables, &view, request.period.now(), &limits)?;
    let plan = pieces_of_cell(&view, request).map_err(wrong)?;
    let batches = run_plan(&context, plan, &limits, deadline).await?.collect().await?;
    let mut runs = BTreeMap::new();
    for batch in &batches {
        add_runs(&mut runs, batch, &view, &request.period)?;
    }
    let runs: Vec<ExplainedRun> = runs.into_values().collect();
    let totals = totals(&runs).ok_or_else(|| QueryError::Execution { message: "a sum passes 64 bits; explain a shorter bucket".into() })?;
    let complete_through = match runs.is_empty() {
        true => view.reach().overall(),
        // `None` is less than any moment: one unknown makes the whole unknown.
        false => runs.iter().map(|run| view.reach().known_of(&run.account_id, &run.region)).min().flatten(),
    };
    let used: BTreeSet<&str> = runs.iter().filter_map(|run| run.image_id.as_deref()).collect();
    let images = images(&context, &used, &limits, deadline).await?;
    let snapshot = view.snapshot.token(request.period.now());
    Ok(Explanation { totals, images, complete_through: complete_through.map(UtcSecond), snapshot, runs })
}

/// The pieces of runs in a cell, with what their images count as.
fn pieces_of_cell(view: &View, request: &ExplainRequest) -> PlanResult<LogicalPlan> {
    let moment = |second: i64| lit(ScalarValue::TimestampMicrosecond(second.checked_mul(1_000_000), Some("UTC".into())));
    let (start, end) = (moment(request.period.start()), moment(request.period.end()));
    let mut plan = Counted { view, period: &request.period, only: &request.only }
        .pieces()?
        .filter(col("piece_start").lt(end).and(col("piece_end").is_null().or(col("piece_end").gt(start))))?;
    for (dimension, value) in &request.cell {
        plan = plan.filter(is_in_cell(view, *dimension, value.as_deref()))?;
    }
    let labels = LABELS.into_iter().filter_map(|label| Some(ImageLabel::of_rows(label, view.labels())?.alias(label.column())));
    let columns: Vec<Expr> = COLUMNS.iter().map(|name| col(*name)).chain(labels).collect();
    let order = ["account_id", "region", "instance_id", "started_at", "piece_start"].map(|name| col(name).sort(true, false));
    LogicalPlanBuilder::from(plan.build()?).project(columns)?.sort(order)?.build()
}

/// The columns of pieces that an explanation reads.
const COLUMNS: [&str; 18] = [
    "account_id",
    "region",
    "instance_id",
    "image_id",
    "instance_type",
    "vcpu",
    "memory_mib",
    "started_at",
    "ended_at",
    "end_not_before",
    "start_event_id",
    "start_kind",
    "start_source",
    "end_event_id",
    "end_kind",
    "end_source",
    "piece_start",
    "piece_end",
];

fn is_in_cell(view: &View, dimension: Dimension, value: Option<&str>) -> Expr {
    let column = ImageLabel::of_rows(dimension, view.labels()).unwrap_or_else(|| col(dimension.column()));
    match (dimension, value) {
        (_, None) => column.is_null(),
        (Dimension::Rhel | Dimension::Openshift, Some("true")) => column.is_true(),
        (Dimension::Rhel | Dimension::Openshift, Some("false")) => column.is_false(),
        // Neither yes nor no: no cell has it.
        (Dimension::Rhel | Dimension::Openshift, Some(_)) => lit(false),
        (_, Some(value)) => column.eq(lit(ScalarValue::Utf8View(Some(value.to_owned())))),
    }
}

/// A run by what it is of and when it began.
type RunKey = (String, String, String, UtcSecond);

/// Adds the parts of runs that a batch tells of. A run that is cut at a month within the bucket has a row in each.
fn add_runs(runs: &mut BTreeMap<RunKey, ExplainedRun>, batch: &RecordBatch, view: &View, period: &Period) -> Result<(), QueryError> {
    let columns = Columns { batch };
    let arguments: Vec<ArrayRef> = PIECE_COLUMNS.iter().map(|name| columns.of(name).cloned()).collect::<Result<_, _>>()?;
    let broken = |error: crate::fold::FoldError| QueryError::Execution { message: error.to_string() };
    let pieces = Pieces::new(&arguments).map_err(broken)?;
    let clip = Clip::new(period);
    for row in 0..batch.num_rows() {
        let Some(piece) = pieces.clip(row, &clip).map_err(broken)? else { continue };
        let metered = outside(piece, view.metered().unmetered(pieces.account(row)));
        let times: Vec<_> = metered.map(|part| CountedTime { from: UtcSecond(part.start), until: UtcSecond(part.end) }).collect();
        if times.is_empty() {
            continue;
        }
        let run = columns.run(row)?;
        let key = (run.account_id.clone(), run.region.clone(), run.instance_id.clone(), run.started_at);
        runs.entry(key).or_insert(run).count(&times);
    }
    Ok(())
}

impl ExplainedRun {
    fn count(&mut self, times: &[CountedTime]) {
        for time in times {
            self.seconds += time.until.0 - time.from.0;
            match self.counted.last_mut() {
                Some(last) if last.until == time.from => last.until = time.until,
                _ => self.counted.push(*time),
            }
        }
        // Seconds and sizes are below 2^32 and 2^31: the products fit.
        let size = self.vcpu.zip(self.memory_mib);
        (self.vcpu_seconds, self.memory_mib_seconds) = size.map(|(vcpu, memory)| (self.seconds * vcpu, self.seconds * memory)).unzip();
    }
}

fn totals(runs: &[ExplainedRun]) -> Option<CellTotals> {
    let sum = |of: fn(&ExplainedRun) -> i64| runs.iter().try_fold(0_i64, |sum, run| sum.checked_add(of(run)));
    let instances: BTreeSet<_> = runs.iter().map(|run| (&run.account_id, &run.region, &run.instance_id)).collect();
    let runtime_seconds = sum(|run| run.seconds)?;
    let unsized_seconds = sum(|run| if run.vcpu_seconds.is_none() { run.seconds } else { 0 })?;
    let is_known = runtime_seconds == 0 || unsized_seconds < runtime_seconds;
    let vcpu = sum(|run| run.vcpu_seconds.unwrap_or_default())?;
    let memory = sum(|run| run.memory_mib_seconds.unwrap_or_default())?;
    Some(CellTotals {
        instances: i64::try_from(instances.len()).ok()?,
        runtime_seconds,
        vcpu_seconds: is_known.then_some(vcpu),
        memory_mib_seconds: is_known.then_some(memory),
        unsized_seconds,
    })
}

/// What is known of images.
async fn images(
    context: &SessionContext,
    used: &BTreeSet<&str>,
    limits: &Limits,
    deadline: Instant,
) -> Result<Vec<ExplainedImage>, QueryError> {
    if used.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |error| QueryError::from_datafusion(&error, limits.memory_bytes);
    let table = context.table(cloudigrade_schemas::table::IMAGES.name).await.map_err(wrong)?;
    let list = used.iter().map(|id| lit(ScalarValue::Utf8View(Some((*id).to_owned())))).collect();
    let columns = ["image_id", "status", "status_reason", "rhel", "openshift", "billing_model", "evidence", "overrides"];
    let plan = LogicalPlanBuilder::from(table.into_unoptimized_plan())
        .filter(col("image_id").in_list(list, false))
        .and_then(|plan| plan.project(columns.map(col)))
        .and_then(|plan| plan.sort([col("image_id").sort(true, false)]))
        .and_then(LogicalPlanBuilder::build);
    let batches = run_plan(context, plan.map_err(wrong)?, limits, deadline).await?.collect().await?;
    let mut images = Vec::new();
    for batch in &batches {
        let columns = Columns { batch };
        for row in 0..batch.num_rows() {
            images.push(columns.image(row)?);
        }
    }
    Ok(images)
}

impl Columns<'_> {
    /// A row's run, of which nothing is counted yet.
    fn run(&self, row: usize) -> Result<ExplainedRun, QueryError> {
        let edge = |event: &str, kind: &str, source: &str| {
            Ok::<_, QueryError>(RunEdge { event_id: self.text(event, row)?, kind: self.text(kind, row)?, source: self.text(source, row)? })
        };
        let ended_at = self.moment("ended_at", row)?;
        Ok(ExplainedRun {
            account_id: self.text("account_id", row)?,
            region: self.text("region", row)?,
            instance_id: self.text("instance_id", row)?,
            image_id: self.maybe_text("image_id", row)?,
            instance_type: self.maybe_text("instance_type", row)?,
            vcpu: self.integer("vcpu", row)?,
            memory_mib: self.integer("memory_mib", row)?,
            rhel: self.boolean("rhel", row)?,
            openshift: self.boolean("openshift", row)?,
            billing_model: self.text("billing_model", row)?,
            started_at: self.moment("started_at", row)?.ok_or_else(|| unexpected("started_at"))?,
            ended_at,
            end_not_before: self.moment("end_not_before", row)?,
            start: edge("start_event_id", "start_kind", "start_source")?,
            end: ended_at.map(|_| edge("end_event_id", "end_kind", "end_source")).transpose()?,
            counted: Vec::new(),
            seconds: 0,
            vcpu_seconds: None,
            memory_mib_seconds: None,
        })
    }

    fn image(&self, row: usize) -> Result<ExplainedImage, QueryError> {
        Ok(ExplainedImage {
            image_id: self.text("image_id", row)?,
            status: self.text("status", row)?,
            status_reason: self.text("status_reason", row)?,
            rhel: self.boolean("rhel", row)?,
            openshift: self.boolean("openshift", row)?,
            billing_model: self.text("billing_model", row)?,
            evidence: self.json("evidence", row)?,
            overrides: self.json("overrides", row)?,
        })
    }
}
