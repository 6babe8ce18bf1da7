//! Reads the rows of a result by the names of their columns.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use cloudigrade_schemas::UtcSecond;
use serde_json::Value;

use crate::error::QueryError;

/// A batch's columns by their names.
pub(crate) struct Columns<'a> {
    pub(crate) batch: &'a RecordBatch,
}

impl Columns<'_> {
    pub(crate) fn of(&self, name: &str) -> Result<&ArrayRef, QueryError> {
        self.batch.column_by_name(name).ok_or_else(|| unexpected(name))
    }

    pub(crate) fn maybe_text(&self, name: &str, row: usize) -> Result<Option<String>, QueryError> {
        let texts = self.of(name)?.as_string_view_opt().ok_or_else(|| unexpected(name))?;
        Ok(texts.is_valid(row).then(|| texts.value(row).to_owned()))
    }

    pub(crate) fn text(&self, name: &str, row: usize) -> Result<String, QueryError> {
        Ok(self.maybe_text(name, row)?.unwrap_or_default())
    }

    pub(crate) fn boolean(&self, name: &str, row: usize) -> Result<Option<bool>, QueryError> {
        let booleans = self.of(name)?.as_boolean_opt().ok_or_else(|| unexpected(name))?;
        Ok(booleans.is_valid(row).then(|| booleans.value(row)))
    }

    pub(crate) fn integer(&self, name: &str, row: usize) -> Result<Option<i64>, QueryError> {
        let integers = self.of(name)?.as_primitive_opt::<Int64Type>().ok_or_else(|| unexpected(name))?;
        Ok(integers.is_valid(row).then(|| integers.value(row)))
    }

    pub(crate) fn moment(&self, name: &str, row: usize) -> Result<Option<UtcSecond>, QueryError> {
        let moments = self.of(name)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| unexpected(name))?;
        Ok(moments.is_valid(row).then(|| UtcSecond(moments.value(row).div_euclid(1_000_000))))
    }

    pub(crate) fn json(&self, name: &str, row: usize) -> Result<Value, QueryError> {
        serde_json::from_str(&self.text(name, row)?).map_err(QueryError::storage)
    }
}

pub(crate) fn unexpected(name: &str) -> QueryError {
    QueryError::Storage { message: format!("the column {name} is not as expected") }
}
