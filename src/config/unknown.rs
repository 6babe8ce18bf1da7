//! Finds keys that no section has, and what was probably meant.

use serde_json::Value as Json;
use toml::{Table, Value};

/// How much a name must resemble another one to be named instead, from 0 to 1.
const RESEMBLES: f64 = 0.7;

/// A key that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Its path: `source.sqs.queue_ulr`.
    pub path: String,
    /// The known key that it resembles most, if any does.
    pub nearest: Option<String>,
}

/// The keys of a table that a JSON Schema does not have.
pub fn unknown_keys(table: &Table, schema: &Json) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    look(table, schema, schema, "", &mut found);
    found
}

fn look(table: &Table, schema: &Json, root: &Json, path: &str, found: &mut Vec<UnknownKey>) {
    // Something that is no section at all is the reader's to refuse, by its type.
    let Some(known) = properties(schema, root) else { return };
    for (key, value) in table {
        let here = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (known.get(key), value) {
            (None, _) => found.push(UnknownKey { path: here, nearest: nearest(key, known.keys()) }),
            (Some(schema), Value::Table(table)) => look(table, schema, root, &here, found),
            (Some(_), _) => {}
        }
    }
}

/// The properties of a section, wherever the schema has them: in place, by reference, or beside `null` where it is optional.
fn properties<'s>(schema: &'s Json, root: &'s Json) -> Option<&'s serde_json::Map<String, Json>> {
    if let Some(properties) = schema.get("properties") {
        return properties.as_object();
    }
    if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
        return properties(root.pointer(reference.strip_prefix('#')?)?, root);
    }
    let choices = schema.get("anyOf").or_else(|| schema.get("allOf"))?.as_array()?;
    choices.iter().find_map(|choice| properties(choice, root))
}

fn nearest<'k>(key: &str, known: impl Iterator<Item = &'k String>) -> Option<String> {
    let by_likeness = known.map(|name| (strsim::jaro_winkler(key, name), name));
    let (likeness, name) = by_likeness.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (likeness >= RESEMBLES).then(|| name.clone())
}
