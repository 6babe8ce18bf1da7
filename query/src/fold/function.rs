//! A fold as an aggregate function. It is made for one query, with the period in it, and has no name in SQL.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, Signature, Volatility, col, utils::AggregateOrderSensitivity,
};

use super::accumulator::{FoldGroups, item_field, row_fields};
use super::all::{FoldAll, Parts};
use super::pieces::COLUMNS;
use super::{Fold, Scope};

/// An aggregate function of the columns [`COLUMNS`].
pub(crate) struct FoldFunction<F: Fold> {
    scope: Scope,
    signature: Signature,
    parts: Arc<Parts<F>>,
}

impl<F: Fold> FoldFunction<F> {
    /// The fold of a table of pieces, as an expression that gives a list of rows.
    pub(crate) fn over_pieces(scope: Scope) -> Expr {
        let function = Self { scope, signature: Signature::any(F::ARGUMENTS, Volatility::Immutable), parts: Arc::default() };
        AggregateUDF::from(function).call(Self::arguments().iter().map(|name| col(*name)).collect())
    }

    /// The columns of pieces that it takes.
    pub(crate) fn arguments() -> &'static [&'static str] {
        &COLUMNS[..F::ARGUMENTS]
    }

    /// The columns of those rows.
    pub(crate) fn columns() -> Vec<String> {
        row_fields::<F>().iter().map(|field| field.name().clone()).collect()
    }
}

impl<F: Fold> fmt::Debug for FoldFunction<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", F::NAME, self.scope.period)
    }
}

impl<F: Fold> PartialEq for FoldFunction<F> {
    fn eq(&self, other: &Self) -> bool {
        self.scope == other.scope
    }
}

impl<F: Fold> Eq for FoldFunction<F> {}

impl<F: Fold> Hash for FoldFunction<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.scope.hash(state);
    }
}

impl<F: Fold> AggregateUDFImpl for FoldFunction<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item_field::<F>()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), DataType::LargeBinary, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(FoldAll::new(&self.scope, &self.parts)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(FoldGroups::<F>::new(&self.scope)))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}
