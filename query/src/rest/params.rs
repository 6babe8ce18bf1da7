//! Whether the parameters of a request are those that its endpoint's description tells of.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answer::Failure;
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
        fits(&parameter.schema, value).map_err(|why| Failure::field(parameter.name, format!("parameter {name:?} is {value:?}; {why}")))?;
    }
    let missing = known().find(|parameter| parameter.required && !pairs.iter().any(|(name, _)| name == parameter.name));
    missing.map_or(Ok(()), |parameter| Err(Failure::field(parameter.name, format!("parameter {:?} is missing", parameter.name))))
}

/// Whether a text is what a schema describes, as far as a text can be told by it: words, numbers and their bounds, lengths; lists are
/// written with commas.
fn fits(schema: &Value, text: &str) -> Result<(), String> {
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return if words.contains(&text) { Ok(()) } else { Err(format!("it is one of {}", words.join(", "))) };
    }
    match schema["type"].as_str() {
        Some("integer") => {
            let number: i64 = text.parse().map_err(|_| "it is a whole number".to_owned())?;
            let (least, most) = (schema["minimum"].as_i64().unwrap_or(i64::MIN), schema["maximum"].as_i64().unwrap_or(i64::MAX));
            if (least..=most).contains(&number) { Ok(()) } else { Err(format!("it is between {least} and {most}")) }
        }
        Some("boolean") if !["true", "false"].contains(&text) => Err("it is true or false".to_owned()),
        Some("array") => items(text).try_for_each(|item| fits(&schema["items"], item)),
        Some("string") => {
            let length = text.chars().count() as u64;
            let (least, most) = (schema["minLength"].as_u64().unwrap_or(0), schema["maxLength"].as_u64().unwrap_or(u64::MAX));
            if (least..=most).contains(&length) { Ok(()) } else { Err(format!("it has {least} to {most} characters")) }
        }
        _ => Ok(()),
    }
}

/// The items of a list that is written with commas.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

fn bad(message: String) -> Failure {
    Failure::new(warp::http::StatusCode::BAD_REQUEST, "bad_parameter", message)
}
