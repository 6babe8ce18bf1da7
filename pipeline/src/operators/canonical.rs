//! One text for every way of writing the same JSON, so that two deliveries of an event can be compared and ordered.

use serde_json::Value;
use serde_json::value::RawValue;

/// The canonical text of a record: keys sorted, `, ` and `: ` between things, everything outside ASCII escaped.
///
/// CloudTrail may deliver one `eventID` with different contents; the text that sorts first wins. Which one wins matters little,
/// that every order of arrival gives the same one matters.
///
/// A record that has no tree (an escape that is half a character) is its own text.
pub fn canonical_text(record: &RawValue) -> String {
    let Ok(tree) = serde_json::from_str(record.get()) else { return record.get().to_owned() };
    let mut text = String::with_capacity(record.get().len());
    write_value(&mut text, &tree);
    text
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|a, b| a.0.cmp(b.0));
            out.push('{');
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_text(out, key);
                out.push_str(": ");
                write_value(out, value);
            }
            out.push('}');
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(json: &str) -> String {
        canonical_text(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn key_order_whitespace_and_escapes_do_not_matter() {
        assert_eq!(
            canonical(r#"{"b":[1,{"y":null,"x":true}],"a":"\u0041"}"#),
            canonical("{ \"a\" : \"A\",\n\"b\":[1, {\"x\":true,\"y\":null}]}")
        );
        assert_eq!(canonical(r#"{"b":[1,2],"a":"A"}"#), r#"{"a": "A", "b": [1, 2]}"#);
    }

    #[test]
    fn text_outside_ascii_is_escaped_as_utf16() {
        assert_eq!(canonical("\"é👩\\u007f\\n\""), r#""\u00e9\ud83d\udc69\u007f\n""#);
    }
}
