//! What ends a question that nobody waits for any more, where DataFusion does not give way.
//!
//! A task that is given up ends when it next gives way. Joins go through all pairs of rows before they do, and where none matches their
//! condition, hand nothing to anybody who would: with a million rows on each side for hours, on a thread that other questions wait for.

use std::fmt;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, HashJoinExecBuilder, NestedLoopJoinExec, NestedLoopJoinExecBuilder};

tokio::task_local! {
    static QUESTION: GivenUp;
}

/// Whether a question was given up. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// Has work know that it is for this question. What it plans ends with it, on whatever thread that runs.
    pub(crate) fn of<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        QUESTION.scope(self.clone(), work)
    }

    /// That of the question which this task works for; where it works for none, one that is never given up.
    fn here() -> Self {
        QUESTION.try_with(Self::clone).unwrap_or_default()
    }

    /// Says that nobody waits for it any more.
    pub(crate) fn say(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(DataFusionError::Execution("nobody waits for the answer any more".into())),
            false => Ok(()),
        }
    }
}

/// Lets joins be cancelled: they give way with each batch that they hand over, and their condition fails once the question is given up, which
/// is a few thousand pairs of rows later.
#[derive(Debug)]
pub(crate) struct EndingJoins;

impl PhysicalOptimizerRule for EndingJoins {
    fn name(&self) -> &str {
        "ending_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let question = GivenUp::here();
        plan.transform_up(|node| {
            if !node.name().contains("Join") {
                return Ok(Transformed::no(node));
            }
            let join = question.ends(node)?;
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(join)) as Arc<dyn ExecutionPlan>))
        })
        .map(|plan| plan.data)
    }
}

impl GivenUp {
    /// Has the condition of a join ask whether the question was given up.
    fn ends(&self, join: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        let asking = |filter: &JoinFilter| {
            let asking = Asking { condition: Arc::clone(filter.expression()), question: self.clone() };
            JoinFilter::new(Arc::new(asking), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
        };
        if let Some(join) = join.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = join.filter()
        {
            return Ok(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(asking(filter))).build()?));
        }
        if let Some(join) = join.downcast_ref::<HashJoinExec>()
            && let Some(filter) = join.filter()
        {
            return Ok(Arc::new(HashJoinExecBuilder::from(join).with_filter(Some(asking(filter))).build()?));
        }
        Ok(join)
    }
}

/// The condition of a join that fails once the question is given up. It is equal to what has the same condition.
#[derive(Debug)]
struct Asking {
    condition: Arc<dyn PhysicalExpr>,
    question: GivenUp,
}

impl PartialEq for Asking {
    fn eq(&self, other: &Self) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Asking {}

impl Hash for Asking {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}

impl fmt::Display for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PhysicalExpr for Asking {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.condition.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.condition.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.question.check()?;
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let condition = children.pop().unwrap_or_else(|| Arc::clone(&self.condition));
        Ok(Arc::new(Self { condition, question: self.question.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}
