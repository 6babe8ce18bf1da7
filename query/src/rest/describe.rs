//! JSON Schemas in a few words, for the descriptions of endpoints.

use serde_json::{Map, Value, json};

/// Text.
pub(super) fn text() -> Value {
    json!({"type": "string"})
}

/// Text of one of some words.
pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
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
