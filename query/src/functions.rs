//! The table functions of SQL: `usage(start, end [, granularity [, tz [, by]]])` and `concurrency(start, end [, granularity [, tz [, by]]])`.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use cloudigrade_schemas::UtcSecond;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::Expr;

use crate::dimension::Dimension;
use crate::period::{Granularity, Period, PeriodError};
use crate::plan;
use crate::tables::View;

/// What the functions are computed from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) view: View,
    pub(crate) now: UtcSecond,
}

/// `usage(...)`. Its columns are the bucket, the dimensions of `by`, and the sums. Without `by` there is one row a bucket, account, region,
/// instance, image and type, with what the image counts as.
#[derive(Debug)]
pub(crate) struct UsageFunction(pub(crate) Source);

/// `concurrency(...)`. Its columns are the bucket, the dimensions of `by`, and the peaks; without `by` there is one row a bucket.
#[derive(Debug)]
pub(crate) struct ConcurrencyFunction(pub(crate) Source);

impl TableFunctionImpl for UsageFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let args = texts("usage(start, end [, granularity [, tz [, by]]])", args.exprs(), 2..=5)?;
        let period = period(&args, self.0.now)?;
        let plan = match args.get(4) {
            None => plan::usage_function(&self.0.view, &period)?,
            Some(by) => plan::usage_function_by(&self.0.view, &period, &dimensions(by)?)?,
        };
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

impl TableFunctionImpl for ConcurrencyFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let args = texts("concurrency(start, end [, granularity [, tz [, by]]])", args.exprs(), 2..=5)?;
        let by = dimensions(args.get(4).map_or("", String::as_str))?;
        let plan = plan::concurrency_function(&self.0.view, &period(&args, self.0.now)?, &by)?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

fn dimensions(by: &str) -> Result<Vec<Dimension>> {
    Dimension::parse_list(by).map_err(|error| DataFusionError::Plan(error.to_string()))
}

fn period(args: &[String], now: UtcSecond) -> Result<Period> {
    let granularity = args.get(2).map_or(Ok(Granularity::Day), |text| text.parse()).map_err(wrong)?;
    Period::new(&args[0], &args[1], granularity, args.get(3).map_or("UTC", String::as_str), now).map_err(wrong)
}

fn wrong(error: PeriodError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The arguments as texts. Dates and timestamps may be given as such: they are written as the period reads them.
fn texts(usage: impl fmt::Display, args: &[Expr], count: std::ops::RangeInclusive<usize>) -> Result<Vec<String>> {
    if !count.contains(&args.len()) {
        return plan_err!("{usage} takes {} to {} arguments, not {}", count.start(), count.end(), args.len());
    }
    let text = |arg: &Expr| match arg {
        Expr::Literal(value, _) => Ok::<_, DataFusionError>(value.cast_to(&DataType::Utf8)?.try_as_str().flatten().map(str::to_owned)),
        _ => Ok(None),
    };
    args.iter()
        .map(|arg| match text(arg)? {
            Some(text) => Ok(text),
            None => plan_err!("{usage} takes constants, not {arg}"),
        })
        .collect()
}
