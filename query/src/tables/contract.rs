//! The tables of the contract in Arrow's types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use cloudigrade_schemas::table::{Column, ColumnType, Table};

/// A moment in UTC, in microseconds.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Text => DataType::Utf8View,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Timestamp => timestamp(),
        ColumnType::Boolean => DataType::Boolean,
    }
}

fn schema<'a>(columns: impl Iterator<Item = &'a Column>) -> SchemaRef {
    let fields = columns.map(|column| Field::new(column.name, data_type(column.kind), column.nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The columns that SQL shows.
pub(crate) fn visible_schema(table: &Table) -> SchemaRef {
    schema(table.columns.iter())
}

/// The columns of the stored files, the visible ones first; `partitions` are kept in the table's log alone.
pub(crate) fn file_schema(table: &Table, partitions: &[&str]) -> SchemaRef {
    let stored = table.stored.iter().filter(|column| !partitions.contains(&column.name));
    schema(table.columns.iter().chain(stored))
}
