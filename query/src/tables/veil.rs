//! A scan that shows only what its viewer may see: not the rows that it leaves out, not how many, not the files that they are in.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::StreamExt;

/// What a batch is turned into before it is shown.
pub(super) type Change = Arc<dyn Fn(&RecordBatch) -> Result<RecordBatch> + Send + Sync>;

/// A plan that others cannot look into: it is a leaf to the optimizer, so nothing can be moved below it or taken out of it; it has neither
/// statistics nor metrics, so that EXPLAIN does not tell of what was left out.
pub(super) struct Veil {
    /// For people: the table.
    name: &'static str,
    hidden: Arc<dyn ExecutionPlan>,
    change: Option<Change>,
    /// Rows that follow those of the first partition.
    tail: Option<RecordBatch>,
    properties: Arc<PlanProperties>,
}

impl Veil {
    /// Shows the rows of a plan as they are.
    pub(super) fn over(name: &'static str, hidden: Arc<dyn ExecutionPlan>) -> Self {
        let schema = hidden.schema();
        Self::new(name, hidden, schema, None, None)
    }

    /// Shows what the rows of a plan are changed into, and further rows after them.
    pub(super) fn changing(
        name: &'static str,
        hidden: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        change: Change,
        tail: Option<RecordBatch>,
    ) -> Self {
        Self::new(name, hidden, schema, Some(change), tail)
    }

    fn new(
        name: &'static str,
        hidden: Arc<dyn ExecutionPlan>,
        schema: SchemaRef,
        change: Option<Change>,
        tail: Option<RecordBatch>,
    ) -> Self {
        let partitioning = Partitioning::UnknownPartitioning(hidden.output_partitioning().partition_count());
        let equivalences = EquivalenceProperties::new(schema);
        let properties = PlanProperties::new(equivalences, partitioning, EmissionType::Incremental, Boundedness::Bounded);
        Self { name, hidden, change, tail, properties: Arc::new(properties) }
    }
}

impl fmt::Debug for Veil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Veil({})", self.name)
    }
}

impl DisplayAs for Veil {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scan: {}", self.name)
    }
}

impl ExecutionPlan for Veil {
    fn name(&self) -> &str {
        "Scan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return internal_err!("a veiled scan has no children");
        }
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        if !children.is_empty() {
            return internal_err!("a veiled scan has no children");
        }
        Ok(self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let shown = self.hidden.execute(partition, context)?;
        let Some(change) = self.change.clone() else { return Ok(shown) };
        let tail = self.tail.clone().filter(|_| partition == 0);
        let changed = shown.map(move |batch| change(&batch?)).chain(futures::stream::iter(tail.map(Ok)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), changed)))
    }
}
