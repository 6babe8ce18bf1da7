//! Stored tables as SQL and the reports see them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cloudigrade_schemas::{Month, UtcSecond};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result, ToDFSchema};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_expr::expressions;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::scalar::ScalarValue;

use super::contract::visible_schema;
use super::files::{DataFile, FileSet};
use super::veil::Veil;
use crate::period::Period;

/// The column that marks the row of a run that SQL shows: others repeat it.
const FIRST_MONTH: &str = "first_month";

/// Which rows of a table are seen.
#[derive(Clone, Debug)]
pub(super) enum Seen {
    /// All.
    All,
    /// None: no file is looked at.
    Nothing,
    /// Those for which this holds.
    Rows(Expr),
}

/// A stored table as SQL shows it: the columns of the contract, each run once, and the rows that the viewer may see.
#[derive(Debug)]
pub(crate) struct Contract {
    files: Arc<FileSet>,
    schema: SchemaRef,
    /// Where [`FIRST_MONTH`] is in the files, if the table has it.
    first_month: Option<usize>,
    seen: Seen,
}

impl Contract {
    pub(super) fn new(files: Arc<FileSet>, seen: Seen) -> Self {
        let schema = visible_schema(&files.table);
        let first_month = files.schema.index_of(FIRST_MONTH).ok();
        Self { files, schema, first_month, seen }
    }
}

#[async_trait]
impl TableProvider for Contract {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // DataFusion hands the filters on to the scan, which leaves out row groups by their statistics.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        if !matches!(self.seen, Seen::All) {
            let once = self.first_month.map(|_| col(FIRST_MONTH));
            return veiled(&self.files, state, |_| true, &columns, &self.seen, once, None, filters).await;
        }
        // The visible columns come first in the files.
        let Some(first_month) = self.first_month else {
            return self.files.scan(state, |_| true, columns, None, limit.filter(|_| filters.is_empty())).await;
        };
        let kept = (0..columns.len()).collect();
        let flag = columns.len();
        let columns = columns.into_iter().chain([first_month]).collect();
        let scan = self.files.scan(state, |_| true, columns, None, None).await?;
        let is_first = Arc::new(expressions::Column::new(FIRST_MONTH, flag));
        Ok(Arc::new(FilterExecBuilder::new(is_first, scan).apply_projection(Some(kept))?.build()?))
    }
}

/// Scans the rows of wanted files that are seen, and for which `keep` holds, behind a veil. `prune` and `filters` say which rows are wanted:
/// others may come too, where row groups are not left out by them.
#[expect(clippy::too_many_arguments, reason = "a scan has as many sides")]
pub(super) async fn veiled(
    files: &FileSet,
    state: &dyn Session,
    wanted: impl Fn(&DataFile) -> bool + Send + Sync,
    projection: &[usize],
    seen: &Seen,
    keep: Option<Expr>,
    prune: Option<Expr>,
    filters: &[Expr],
) -> Result<Arc<dyn ExecutionPlan>> {
    let (is_any_seen, seen) = match seen {
        Seen::All => (true, None),
        Seen::Nothing => (false, None),
        Seen::Rows(seen) => (true, Some(seen.clone())),
    };
    let keep = seen.into_iter().chain(keep).reduce(Expr::and).unwrap_or_else(|| lit(true));
    let schema = Arc::clone(&files.schema).to_dfschema()?;
    let mut columns = projection.to_vec();
    for column in keep.column_refs() {
        let at = files.schema.index_of(column.name())?;
        if !columns.contains(&at) {
            columns.push(at);
        }
    }
    let usable = filters.iter().filter(|filter| state.create_physical_expr((*filter).clone(), &schema).is_ok()).cloned();
    let prune = prune.into_iter().chain(usable).fold(keep.clone(), Expr::and);
    let scanned = Arc::new(files.schema.project(&columns)?).to_dfschema()?;
    let scan = files.scan(state, move |file: &DataFile| is_any_seen && wanted(file), columns, Some(prune), None).await?;
    // The optimizer, which would do this otherwise, does not look behind the veil.
    let partitions = state.config().target_partitions();
    let scan = scan.repartitioned(partitions, state.config_options())?.unwrap_or(scan);
    let keep = state.create_physical_expr(keep, &scanned)?;
    let kept = FilterExecBuilder::new(keep, scan).apply_projection(Some((0..projection.len()).collect()))?.build()?;
    Ok(Arc::new(Veil::over(files.table.name, Arc::new(kept))))
}

/// The pieces of runs that may lie in a period: all columns of the stored `instance_intervals`, without the months and row groups
/// that have no part in the period, and without the rows that the viewer may not see. It is given to plans, and has no name in SQL.
#[derive(Debug)]
pub(crate) struct PeriodPieces {
    files: Arc<FileSet>,
    start: UtcSecond,
    end: UtcSecond,
    seen: Seen,
}

impl PeriodPieces {
    pub(super) fn new(files: Arc<FileSet>, period: &Period, seen: Seen) -> Self {
        Self { files, start: UtcSecond(period.start()), end: UtcSecond(period.end()), seen }
    }

    fn touches(&self, month: Month) -> bool {
        match month {
            Month::Open => true,
            Month::Of { year, month: number } => {
                let start = UtcSecond::of_month(i64::from(year), i64::from(number));
                start < self.end && month.end().is_none_or(|end| self.start < end)
            }
        }
    }
}

#[async_trait]
impl TableProvider for PeriodPieces {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.files.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.files.schema.fields().len()).collect());
        let in_period =
            col("piece_start").lt(moment(self.end)?).and(col("piece_end").is_null().or(col("piece_end").gt(moment(self.start)?)));
        let wanted = |file: &DataFile| file.month.is_none_or(|month| self.touches(month));
        match &self.seen {
            Seen::All => self.files.scan(state, wanted, columns, Some(in_period), None).await,
            seen => veiled(&self.files, state, wanted, &columns, seen, None, Some(in_period), filters).await,
        }
    }
}

fn moment(second: UtcSecond) -> Result<Expr> {
    let micros = second.0.checked_mul(1_000_000).ok_or_else(|| DataFusionError::Plan(format!("{second} is out of range")))?;
    Ok(lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))))
}
