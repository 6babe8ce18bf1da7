//! Telling from statistics of a file that a column of it is nowhere null.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, IsNotNullExpr, IsNullExpr};
use datafusion::physical_expr_adapter::{DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory};

/// Adapts expressions to a file as DataFusion does by itself, but asks of a column whether it is null, and not of a cast of it.
///
/// A file holds a column that is nowhere null in it as one that cannot be, which DataFusion casts to the one of the table, which can. Of a
/// column it knows how many nulls there are in a row group, of a cast it does not: it would read all rows to find no null.
#[derive(Debug)]
pub(super) struct AskColumns;

impl PhysicalExprAdapterFactory for AskColumns {
    fn create(&self, of_table: SchemaRef, of_file: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let adapter = DefaultPhysicalExprAdapterFactory.create(of_table, Arc::clone(&of_file))?;
        Ok(Arc::new(Adapter { adapter, of_file }))
    }
}

#[derive(Debug)]
struct Adapter {
    adapter: Arc<dyn PhysicalExprAdapter>,
    of_file: SchemaRef,
}

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        self.adapter.rewrite(expr)?.transform_up(|expr| self.without_cast(expr)).data()
    }
}

impl Adapter {
    fn without_cast(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
        let asked: Option<Arc<dyn PhysicalExpr>> = if let Some(asks) = expr.downcast_ref::<IsNullExpr>() {
            self.same_column(asks.arg())?.map(|column| Arc::new(IsNullExpr::new(column)) as _)
        } else if let Some(asks) = expr.downcast_ref::<IsNotNullExpr>() {
            self.same_column(asks.arg())?.map(|column| Arc::new(IsNotNullExpr::new(column)) as _)
        } else {
            None
        };
        Ok(asked.map_or_else(|| Transformed::no(expr), Transformed::yes))
    }

    /// The column that is cast to what it is already, but for whether it can be null.
    fn same_column(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(cast) = expr.downcast_ref::<CastExpr>() else { return Ok(None) };
        let is_same = cast.expr().is::<Column>() && cast.expr().data_type(&self.of_file)? == *cast.cast_type();
        Ok(is_same.then(|| Arc::clone(cast.expr())))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::common::ToDFSchema;
    use datafusion::logical_expr::{Expr, col, lit};
    use datafusion::prelude::SessionContext;

    use super::*;

    fn schema(vcpu: DataType, can_be_null: bool) -> SchemaRef {
        Arc::new(Schema::new(vec![Field::new("vcpu", vcpu, can_be_null)]))
    }

    /// What is asked of a file whose column is such.
    fn asked(expr: &Expr, of_file: SchemaRef) -> String {
        let of_table = schema(DataType::Int64, true);
        let expr = SessionContext::new().create_physical_expr(expr.clone(), &Arc::clone(&of_table).to_dfschema().unwrap()).unwrap();
        AskColumns.create(of_table, of_file).unwrap().rewrite(expr).unwrap().to_string()
    }

    #[test]
    fn a_column_that_differs_only_in_that_it_cannot_be_null_is_asked_itself() {
        let never_null = || schema(DataType::Int64, false);
        assert_eq!(asked(&col("vcpu").is_null(), never_null()), "vcpu@0 IS NULL");
        assert_eq!(asked(&col("vcpu").is_not_null().or(lit(false)), never_null()), "vcpu@0 IS NOT NULL OR false");
        assert_eq!(asked(&col("vcpu").is_null(), schema(DataType::Int64, true)), "vcpu@0 IS NULL");
    }

    #[test]
    fn a_column_of_another_type_is_cast() {
        assert_eq!(asked(&col("vcpu").is_null(), schema(DataType::Int32, false)), "CAST(vcpu@0 AS Int64) IS NULL");
    }
}
