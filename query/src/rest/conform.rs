//! Whether a value is what a JSON Schema says: the part of JSON Schema that descriptions of endpoints use.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use regex::Regex;
use serde_json::Value;

/// Faults that are told of one value, at most.
const FAULTS_MAX: usize = 10;
/// Characters of a value that a fault repeats, at most.
const SHOWN_CHARS_MAX: usize = 80;

/// What is wrong with a value, each with where it is, as far as it is worth telling; nothing if it is as the schema says.
pub(super) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, value, "", &mut faults);
    faults
}

fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    if faults.len() >= FAULTS_MAX {
        return;
    }
    let shown = shown(value);
    let mut wrong = |what: String| faults.push(format!("{}: {what}", if at.is_empty() { "it" } else { at }));
    if let Some(choices) = schema["anyOf"].as_array()
        && !choices.iter().any(|choice| self::faults(choice, value).is_empty())
    {
        wrong(format!("{shown} is not {}", schema["title"].as_str().unwrap_or("any of what it may be")));
    }
    if let Some(kinds) = kinds(schema)
        && !kinds.iter().any(|kind| is_of(kind, value))
    {
        wrong(format!("{shown} is not of type {}", kinds.join(" or ")));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        wrong(format!("{shown} is not among {}", schema["enum"]));
    }
    if let Some(only) = schema.get("const")
        && only != value
    {
        wrong(format!("{shown} is not {only}"));
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if schema["minimum"].as_f64().is_some_and(|least| number < least)
                || schema["maximum"].as_f64().is_some_and(|most| number > most)
            {
                wrong(format!("{shown} is out of bounds"));
            }
        }
        Value::String(text) => {
            let length = text.chars().count() as u64;
            if schema["minLength"].as_u64().is_some_and(|least| length < least)
                || schema["maxLength"].as_u64().is_some_and(|most| length > most)
            {
                wrong(format!("{shown} is too short or too long"));
            }
            match schema["format"].as_str() {
                Some("date-time") if text.parse::<jiff::Timestamp>().is_err() => {
                    wrong(format!("{shown} is no moment, as 2024-02-01T00:00:00Z is"))
                }
                Some("date") if text.parse::<jiff::civil::Date>().is_err() => wrong(format!("{shown} is no date, as 2024-02-01 is")),
                _ => {}
            }
            if let Some(pattern) = schema["pattern"].as_str()
                && !is_match(pattern, text)
            {
                wrong(format!("{shown} does not match {pattern}"));
            }
        }
        Value::Array(items) => {
            let length = items.len() as u64;
            if schema["minItems"].as_u64().is_some_and(|least| length < least)
                || schema["maxItems"].as_u64().is_some_and(|most| length > most)
            {
                wrong("it has too few or too many items".to_owned());
            }
            if schema["uniqueItems"] == true && (1..items.len()).any(|at| items[..at].contains(&items[at])) {
                wrong("it has an item twice".to_owned());
            }
            for (index, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{at}[{index}]"), faults);
            }
        }
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.filter(|name| !fields.contains_key(*name)).for_each(|name| wrong(format!("{name} is missing")));
            for (name, field) in fields {
                let at = format!("{at}.{name}");
                match (schema["properties"].get(name), schema.get("additionalProperties")) {
                    (Some(known), _) => check(known, field, &at, faults),
                    (None, Some(Value::Bool(false))) if faults.len() < FAULTS_MAX => faults.push(format!("{} is not known", cut(&at))),
                    (None, Some(Value::Bool(false))) => {}
                    (None, Some(other)) => check(other, field, &at, faults),
                    (None, None) => {}
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// A value as a fault repeats it.
fn shown(value: &Value) -> String {
    match value {
        // Only its length is unbounded, and texts are quoted.
        Value::String(text) => format!("{:?}", cut(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn kinds(schema: &Value) -> Option<Vec<&str>> {
    match &schema["type"] {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => Some(kinds.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// Whether a text matches a pattern. Patterns are those of the descriptions, and so a few; one that is none matches nothing.
fn is_match(pattern: &str, text: &str) -> bool {
    static KNOWN: LazyLock<RwLock<HashMap<String, Option<Regex>>>> = LazyLock::new(RwLock::default);
    if let Some(known) = KNOWN.read().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return known.as_ref().is_some_and(|regex| regex.is_match(text));
    }
    let regex = Regex::new(pattern).ok();
    let matches = regex.as_ref().is_some_and(|regex| regex.is_match(text));
    KNOWN.write().unwrap_or_else(PoisonError::into_inner).insert(pattern.to_owned(), regex);
    matches
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_what_its_schema_says_or_it_is_said_what_is_wrong() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"},
                "at": {"type": ["string", "null"], "format": "date-time"},
                "when": {"title": "a time", "anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "count": {"type": "integer", "minimum": 1, "maximum": 9},
                "ids": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "word": {"type": "string", "enum": ["a", "b"]},
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        let good = json!({"name": "abc", "at": "2024-02-01T00:00:00Z", "when": "2024-02-01", "count": 9, "ids": ["x"], "word": "a"});
        assert_eq!(faults(&schema, &good), [""; 0]);
        assert_eq!(faults(&schema, &json!({"name": "a", "at": null, "when": null})), [""; 0]);
        for (field, value) in [
            ("name", json!("abcd")),
            ("name", json!("A")),
            ("name", json!("a\n")),
            ("name", json!(null)),
            ("at", json!("yesterday")),
            ("when", json!("2024-02-30")),
            ("count", json!(0)),
            ("count", json!(10)),
            ("count", json!(1.5)),
            ("count", json!("1")),
            ("ids", json!([])),
            ("ids", json!([1])),
            ("word", json!("c")),
            ("colour", json!("red")),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let found = faults(&schema, &bad);
            assert!(found.len() == 1 && found[0].contains(field), "{bad}: {found:?}");
        }
        assert_eq!(faults(&schema, &json!({})), ["it: name is missing"]);
        assert_eq!(faults(&schema, &json!([])), ["it: a list is not of type object"]);
        // What is told is bounded, whatever is given.
        let many = json!({"name": "x".repeat(10_000), "ids": vec![1; 10_000]});
        assert!(faults(&schema, &many).iter().map(String::len).sum::<usize>() < 2_000);
    }
}
