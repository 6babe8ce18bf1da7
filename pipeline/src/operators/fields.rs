//! Picks fields out of JSON without building a tree: most of a CloudTrail record is of no interest.
//!
//! Tolerant as a reader of other people's data must be: what is not an object has no fields, what is not an array has no items,
//! and of a key that occurs twice the last one holds.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The values of some keys of an object, in the order of `names`.
pub fn fields<'a, const N: usize>(object: &'a RawValue, names: [&str; N]) -> [Option<&'a RawValue>; N] {
    let mut reader = serde_json::Deserializer::from_str(object.get());
    reader.deserialize_any(FieldsVisitor { names }).unwrap_or([None; N])
}

/// The value behind a path of keys.
pub fn at<'a>(value: &'a RawValue, path: &[&str]) -> Option<&'a RawValue> {
    path.iter().try_fold(value, |value, name| fields(value, [name])[0])
}

/// The items of an array.
pub fn items(array: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(array.get()).unwrap_or_default()
}

/// A text that is not empty.
pub fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let text: BorrowedText<'_> = serde_json::from_str(value?.get()).ok()?;
    Some(text.0).filter(|text| !text.is_empty())
}

/// Text that borrows from the JSON where it holds no escapes.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

struct FieldsVisitor<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for FieldsVisitor<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(BorrowedText(key)) = map.next_key()? {
            match self.names.iter().position(|name| *name == key) {
                Some(i) => found[i] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok([None; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn fields_are_found_in_any_order_and_the_last_of_two_holds() {
        let [a, b, c] = fields(raw(r#"{"b":[1],"x":{"a":0},"a":1,"\u0061":2}"#), ["a", "b", "c"]);
        assert_eq!((a.map(RawValue::get), b.map(RawValue::get), c.map(RawValue::get)), (Some("2"), Some("[1]"), None));
    }

    #[test]
    fn what_has_another_shape_has_no_fields_items_or_text() {
        for json in ["null", "1", "\"a\"", "[{\"a\":1}]", "true"] {
            assert!(fields(raw(json), ["a"])[0].is_none(), "{json}");
        }
        assert!(items(raw("{}")).is_empty());
        assert_eq!((text(Some(raw("1"))), text(Some(raw("\"\""))), text(None)), (None, None, None));
        assert_eq!(text(Some(raw("\"\\u0041\""))).as_deref(), Some("A"));
        assert_eq!(at(raw(r#"{"a":{"b":{"c":"x"}}}"#), &["a", "b", "c"]).map(RawValue::get), Some("\"x\""));
    }
}
