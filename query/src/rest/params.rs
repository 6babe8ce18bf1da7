//! Whether the parameters of a request are those that its endpoint's description tells of.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use warp::http::StatusCode;

use super::answer::Failure;
use super::conform::faults;
use super::endpoint::{In, Parameter};

/// Checks the pairs of a query string: each is known, given once, and of its type.
///
/// # Errors
/// 400 with the parameter that is at fault.
pub(super) fn check(parameters: &[Parameter], pairs: &[(String, String)], raw: &str) -> Result<(), Failure> {
    if percent_decode_str(raw).decode_utf8().is_err() {
        return Err(bad("the query string is not UTF-8".to_owned()));
    }
    let known = || parameters.iter().filter(|parameter| parameter.place == In::Query);
    for (at, (name, value)) in pairs.iter().enumerate() {
        let Some(parameter) = known().find(|parameter| parameter.name == name) else {
            let names: Vec<&str> = known().map(|parameter| parameter.name).collect();
            let there_are = if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
            return Err(bad(format!("there is no parameter {name:?}; {there_are}")));
        };
        if pairs[..at].iter().any(|(other, _)| other == name) {
            return Err(Failure::field(parameter.name, format!("parameter {name:?} is given twice")));
        }
        fits(parameter, value)?;
    }
    let missing = known().find(|parameter| parameter.required && !pairs.iter().any(|(name, _)| name == parameter.name));
    missing.map_or(Ok(()), |parameter| Err(Failure::field(parameter.name, format!("parameter {:?} is missing", parameter.name))))
}

/// Checks the parameters of a path: one that cannot be is not there.
///
/// # Errors
/// 404.
pub(super) fn check_path(parameters: &[Parameter], parts: &[(&'static str, String)]) -> Result<(), Failure> {
    let fits = |(name, value): &(&str, String)| {
        let parameter = parameters.iter().find(|parameter| parameter.place == In::Path && parameter.name == *name);
        parameter.is_none_or(|parameter| fits(parameter, value).is_ok())
    };
    if parts.iter().all(fits) { Ok(()) } else { Err(Failure::not_found()) }
}

/// Checks a body against its schema.
///
/// # Errors
/// 400 with what is at fault.
pub(super) fn check_body(schema: &Value, body: &[u8]) -> Result<(), Failure> {
    let unreadable = |error| Failure::new(StatusCode::BAD_REQUEST, "bad_body", format!("the body is not JSON: {error}"));
    let body: Value = serde_json::from_slice(body).map_err(unreadable)?;
    let faults = faults(schema, &body);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::new(StatusCode::BAD_REQUEST, "bad_body", format!("the body is not as it must be: {}", faults.join("; "))))
}

fn fits(parameter: &Parameter, text: &str) -> Result<(), Failure> {
    let faults = faults(&parameter.schema, &value(&parameter.schema, text));
    if faults.is_empty() {
        return Ok(());
    }
    Err(Failure::field(parameter.name, format!("parameter {:?}: {}", parameter.name, faults.join("; "))))
}

/// The value that a text stands for; lists are written with commas.
fn value(schema: &Value, text: &str) -> Value {
    match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        Some("array") => items(text).map(|item| value(&schema["items"], item)).collect(),
        _ => text.into(),
    }
}

/// The items of a list that is written with commas.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

fn bad(message: String) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "bad_parameter", message)
}
