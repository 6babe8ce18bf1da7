//! The SQL contract's columns as Arrow types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use cloudigrade_schemas::table::{Column, ColumnType, Table};

/// Columns whose values are in the Delta log instead of the files.
pub const PARTITION_COLUMNS: [&str; 2] = ["month", "bucket"];

fn field(column: &Column) -> Field {
    let kind = match column.kind {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Boolean => DataType::Boolean,
    };
    Field::new(column.name, kind, column.nullable)
}

/// All columns of a table, those of the contract first.
pub fn arrow_schema(table: &Table) -> SchemaRef {
    Arc::new(Schema::new(table.columns.iter().chain(table.stored).map(field).collect::<Vec<_>>()))
}

/// The columns that a table's files hold.
pub fn file_schema(table: &Table) -> SchemaRef {
    let in_files = table.columns.iter().chain(table.stored).filter(|column| !PARTITION_COLUMNS.contains(&column.name));
    Arc::new(Schema::new(in_files.map(field).collect::<Vec<_>>()))
}

/// The partition columns that a table has.
pub fn partition_columns(table: &Table) -> Vec<&'static str> {
    PARTITION_COLUMNS.into_iter().filter(|name| table.stored.iter().any(|column| column.name == *name)).collect()
}
