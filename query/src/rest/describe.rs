//! JSON Schemas in a few words, for the descriptions of endpoints.

use cloudigrade_schemas::account::TENANT_CHARS_MAX;
use cloudigrade_schemas::image::ImageStatus;
use cloudigrade_schemas::table::{Column, ColumnType, Table};
use serde_json::{Map, Value, json};

/// Text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// Text of one of some words.
pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// How far the look into an image is.
pub(super) fn image_statuses() -> [&'static str; 6] {
    use ImageStatus::{Error, Inspected, Inspecting, Pending, Preparing, Unavailable};
    [Pending, Preparing, Inspecting, Inspected, Error, Unavailable].map(ImageStatus::word)
}

/// A whole number.
pub(super) fn integer() -> Value {
    json!({"type": "integer"})
}

/// A whole number within bounds, both inclusive.
pub(super) fn integer_between(least: i64, most: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

/// True or false.
pub(super) fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// What a tenant is called.
pub(super) fn tenant_name() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": TENANT_CHARS_MAX, "pattern": "^[A-Za-z0-9._@+-]+$"})
}

/// A moment, `2024-02-01T00:00:00Z`.
pub(super) fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

/// The same, or null.
pub(super) fn nullable(mut schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(kind)) if schema.get("enum").is_none() => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// A list.
pub(super) fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

/// An object with exactly these fields.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let required = json!(names);
    let properties: Map<String, Value> = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// An object with some of these fields, of which those named must be given.
pub(super) fn request<const N: usize>(required: &[&str], fields: [(&str, Value); N]) -> Value {
    let mut schema = object(fields);
    schema["required"] = json!(required);
    schema
}

/// A row of a table: some of its columns, in this order, and an example. A name that is no column of the table is left out.
pub(super) fn row(table: &Table, columns: &[&str]) -> (Value, Value) {
    let found: Vec<&Column> = columns.iter().filter_map(|name| table.columns.iter().find(|column| column.name == *name)).collect();
    let properties: Map<String, Value> = found.iter().map(|column| (column.name.to_owned(), column_schema(column))).collect();
    let example: Map<String, Value> = found.iter().map(|column| (column.name.to_owned(), example(column))).collect();
    let names: Vec<&str> = found.iter().map(|column| column.name).collect();
    let schema = json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false});
    (schema, Value::Object(example))
}

fn column_schema(column: &Column) -> Value {
    let kind = match column.kind {
        ColumnType::Text => text(),
        ColumnType::Integer => integer(),
        ColumnType::Timestamp => moment(),
        ColumnType::Boolean => boolean(),
    };
    let mut schema = if column.nullable { nullable(kind) } else { kind };
    schema["description"] = json!(column.meaning);
    schema
}

fn example(column: &Column) -> Value {
    match (column.name, column.kind) {
        ("account_id", _) => json!("123456789012"),
        ("region", _) => json!("eu-west-1"),
        ("instance_id", _) => json!("i-0123456789abcdef0"),
        ("image_id", _) => json!("ami-0123456789abcdef0"),
        ("instance_type", _) => json!("m5.large"),
        (_, ColumnType::Timestamp) => json!("2024-02-20T12:00:00Z"),
        (_, ColumnType::Integer) => json!(2),
        (_, ColumnType::Boolean) => json!(true),
        (_, ColumnType::Text) => json!("..."),
    }
}
