//! Stored tables as SQL and the reports see them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cloudigrade_schemas::{Month, UtcSecond};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_expr::expressions;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::scalar::ScalarValue;

use super::contract::visible_schema;
use super::files::FileSet;
use crate::period::Period;

/// A stored table as SQL shows it: the columns of the contract, each run once.
#[derive(Debug)]
pub(crate) struct Contract {
    files: Arc<FileSet>,
    schema: SchemaRef,
    /// Where `first_month` is in the files, if the table has it: rows without it repeat another row.
    first_month: Option<usize>,
}

impl Contract {
    pub(crate) fn new(files: Arc<FileSet>) -> Self {
        let schema = visible_schema(&files.table);
        let first_month = files.schema.index_of("first_month").ok();
        Self { files, schema, first_month }
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
        // The visible columns come first in the files.
        let Some(first_month) = self.first_month else {
            return self.files.scan(state, |_| true, columns, None, limit.filter(|_| filters.is_empty()));
        };
        let kept = (0..columns.len()).collect();
        let flag = columns.len();
        let columns = columns.into_iter().chain([first_month]).collect();
        let scan = self.files.scan(state, |_| true, columns, None, None)?;
        let is_first = Arc::new(expressions::Column::new("first_month", flag));
        Ok(Arc::new(FilterExecBuilder::new(is_first, scan).apply_projection(Some(kept))?.build()?))
    }
}

/// The pieces of runs that may lie in a period: all columns of the stored `instance_intervals`, without the months and row groups
/// that have no part in the period. It is given to plans, and has no name in SQL.
#[derive(Debug)]
pub(crate) struct PeriodPieces {
    files: Arc<FileSet>,
    start: UtcSecond,
    end: UtcSecond,
}

impl PeriodPieces {
    pub(crate) fn new(files: Arc<FileSet>, period: &Period) -> Self {
        Self { files, start: UtcSecond(period.start()), end: UtcSecond(period.end()) }
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
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.files.schema.fields().len()).collect());
        let in_period =
            col("piece_start").lt(moment(self.end)?).and(col("piece_end").is_null().or(col("piece_end").gt(moment(self.start)?)));
        self.files.scan(state, |file| file.month.is_none_or(|month| self.touches(month)), columns, Some(in_period), None)
    }
}

fn moment(second: UtcSecond) -> Result<Expr> {
    let micros = second.0.checked_mul(1_000_000).ok_or_else(|| DataFusionError::Plan(format!("{second} is out of range")))?;
    Ok(lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))))
}
