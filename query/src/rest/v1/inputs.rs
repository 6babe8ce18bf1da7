//! What requests of the old APIs give, and what is said of it where it cannot be used, in the words that their clients know.

use cloudigrade_schemas::UtcSecond;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use warp::http::StatusCode;
use warp::http::header::CONTENT_TYPE;

use crate::rest::answer::{Failure, NON_FIELD_ERRORS};
use crate::rest::call::Call;

/// A field that must be there is not.
pub(in crate::rest) const REQUIRED: &str = "This field is required.";
const BLANK: &str = "This field may not be blank.";
const NULL: &str = "This field may not be null.";
const NO_TEXT: &str = "Not a valid string.";
const NO_BOOLEAN: &str = "Must be a valid boolean.";
const NO_MOMENT: &str = "Datetime has wrong format. Use ISO-8601, such as 2024-02-01T00:00:00Z.";

/// The fields of a body, and what was found to be wrong with them.
pub(in crate::rest) struct Body {
    fields: Map<String, Value>,
    /// Whether it came as a form, in which everything is text.
    is_form: bool,
    wrong: Vec<(&'static str, Vec<String>)>,
}

impl Body {
    /// Reads the body of a request. One without content is as one without fields.
    ///
    /// # Errors
    /// 400 where it is not a JSON object.
    pub(in crate::rest) fn read(call: &Call) -> Result<Self, Failure> {
        let unreadable =
            |error: serde_json::Error| Failure::new(StatusCode::BAD_REQUEST, "bad_body", format!("JSON parse error - {error}"));
        let fields = if call.body.is_empty() {
            Map::new()
        } else {
            match serde_json::from_slice(&call.body).map_err(unreadable)? {
                Value::Object(fields) => fields,
                other => {
                    let message = format!("Invalid data. Expected a dictionary, but got {}.", kind(&other));
                    return Err(Failure::field(NON_FIELD_ERRORS, message));
                }
            }
        };
        let media_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_form = media_type.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
        Ok(Self { fields, is_form, wrong: Vec::new() })
    }

    /// Says what is wrong with a field.
    pub(in crate::rest) fn refuse(&mut self, field: &'static str, message: impl Into<String>) {
        self.wrong.push((field, vec![message.into()]));
    }

    /// A text, without white space around it, if it is given. What is given and none is remembered.
    pub(in crate::rest) fn text(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        let text = match self.fields.get(field)? {
            Value::String(text) => text.trim(),
            Value::Null => {
                self.refuse(field, NULL);
                return None;
            }
            _ => {
                self.refuse(field, NO_TEXT);
                return None;
            }
        };
        if text.is_empty() {
            self.refuse(field, BLANK);
            return None;
        }
        if text.chars().count() > chars_max {
            self.refuse(field, format!("Ensure this field has no more than {chars_max} characters."));
            return None;
        }
        Some(text.to_owned())
    }

    /// The same for a text that must be given.
    pub(in crate::rest) fn required_text(&mut self, field: &'static str, chars_max: usize) -> Option<String> {
        if !self.fields.contains_key(field) {
            self.refuse(field, REQUIRED);
        }
        self.text(field, chars_max)
    }

    /// A password: as it is, with all of its white space.
    pub(in crate::rest) fn required_secret(&mut self, field: &'static str) -> Option<String> {
        match self.fields.get(field) {
            Some(Value::String(text)) if text.is_empty() => self.refuse(field, BLANK),
            Some(Value::String(text)) => return Some(text.clone()),
            Some(Value::Null) => self.refuse(field, NULL),
            Some(_) => self.refuse(field, NO_TEXT),
            None => self.refuse(field, REQUIRED),
        }
        None
    }

    /// A flag, if it is given.
    pub(in crate::rest) fn flag(&mut self, field: &'static str) -> Option<bool> {
        match self.fields.get(field)? {
            Value::Bool(flag) => return Some(*flag),
            Value::String(text) if self.is_form && ["true", "True", "1", "on"].contains(&text.as_str()) => return Some(true),
            Value::String(text) if self.is_form && ["false", "False", "0", "off"].contains(&text.as_str()) => return Some(false),
            Value::Null => self.refuse(field, NULL),
            _ => self.refuse(field, NO_BOOLEAN),
        }
        None
    }

    /// Whether the body says that it is of the one type that there is.
    pub(in crate::rest) fn expect_type(&mut self, resource_type: &str) {
        match self.fields.get("resourcetype") {
            None => self.refuse("resourcetype", REQUIRED),
            Some(Value::String(given)) if given == resource_type => {}
            Some(_) => self.refuse("resourcetype", "Invalid resourcetype"),
        }
    }

    /// Ends with all that was found to be wrong, if anything was.
    ///
    /// # Errors
    /// 400 with the fields and what is wrong with each.
    pub(in crate::rest) fn check(&mut self) -> Result<(), Failure> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        let message = "some fields cannot be used";
        let fields = std::mem::take(&mut self.wrong);
        Err(Failure { fields, ..Failure::new(StatusCode::BAD_REQUEST, "bad_body", message) })
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A whole number from the query string, if one is given.
///
/// # Errors
/// 400 where it is none, or out of bounds; `message` is what is said then.
pub(in crate::rest) fn integer_param(
    call: &Call,
    name: &'static str,
    least: i64,
    most: i64,
    message: &str,
) -> Result<Option<i64>, Failure> {
    let Some(text) = call.param(name) else { return Ok(None) };
    match text.trim().parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(Failure::field(name, message)),
    }
}

/// A moment from the query string, if one is given. What has no offset is in UTC; parts of seconds are left out.
///
/// # Errors
/// 400 where it is none.
pub(in crate::rest) fn moment_param(call: &Call, name: &'static str) -> Result<Option<UtcSecond>, Failure> {
    let Some(text) = call.param(name) else { return Ok(None) };
    read_moment(text).map(Some).ok_or_else(|| Failure::field(name, NO_MOMENT))
}

fn read_moment(text: &str) -> Option<UtcSecond> {
    // The sign of an offset that a client did not encode has become a space.
    let repaired = match text.rfind(' ') {
        Some(at) if text.contains(['T', 't']) => format!("{}+{}", &text[..at], &text[at + 1..]),
        _ => text.to_owned(),
    };
    if repaired.contains('[') {
        return None;
    }
    let moment = match repaired.parse::<Timestamp>() {
        Ok(moment) => moment,
        Err(_) => TimeZone::UTC.to_timestamp(repaired.parse::<DateTime>().ok()?).ok()?,
    };
    let second = UtcSecond(moment.as_second());
    // What cannot be written as it was read is no moment of ours.
    UtcSecond::parse_prefix(&second.to_string()).is_ok_and(|read| read == second).then_some(second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_clients_write_them() {
        let expected = UtcSecond::parse_prefix("2024-02-01T10:00:00").ok();
        for text in [
            "2024-02-01T10:00:00Z",
            "2024-02-01T10:00:00",
            "2024-02-01T10:00:00.999Z",
            "2024-02-01 10:00:00",
            "2024-02-01T11:00:00+01:00",
            "2024-02-01T11:00:00 01:00",
        ] {
            assert_eq!(read_moment(text), expected, "{text}");
        }
        assert_eq!(read_moment("2024-02-01"), UtcSecond::parse_prefix("2024-02-01T00:00:00").ok());
        for text in ["", "yesterday", "2024-02-30", "2024-02-01T10:00:00[Europe/Berlin]", "-009000-01-01T00:00:00Z"] {
            assert_eq!(read_moment(text), None, "{text}");
        }
    }
}
