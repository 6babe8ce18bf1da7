//! Picks fields out of JSON without building a tree, in one pass: most of a CloudTrail record is of no interest.
//!
//! Tolerant as a reader of other people's data must be: what is not an object has no fields, what is not an array has no items,
//! and of a key that occurs twice the last one holds. Text is taken for sound JSON: who reads it from outside has made sure. Of text that is
//! not, what is found means nothing, but no bytes make this panic or run on without end.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// A JSON value as it is written, without whitespace around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(pub &'a str);

impl<'a> Json<'a> {
    /// The values of some keys, in the order of `names`.
    pub fn fields<const N: usize>(self, names: [&str; N]) -> [Option<Self>; N] {
        Cursor::new(self).fields(names).unwrap_or([None; N])
    }

    /// The items of an array.
    pub fn items(self) -> Vec<Self> {
        let mut items = Vec::new();
        let item = |cursor: &mut Cursor<'a>| {
            items.push(cursor.value()?);
            Some(())
        };
        Cursor::new(self).items(item).map(|()| items).unwrap_or_default()
    }

    /// A text that is not empty.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        let text = if memchr(b'\\', inside.as_bytes()).is_none() { Cow::Borrowed(inside) } else { unescaped(self.0)? };
        Some(text).filter(|text| !text.is_empty())
    }

    /// Whether it says something: it is not null, false, zero or empty.
    pub fn is_something(self) -> bool {
        match self.0.as_bytes() {
            b"null" | b"false" | b"\"\"" => false,
            [b'[' | b'{', inside @ .., _] => !inside.trim_ascii().is_empty(),
            _ => self.0.parse() != Ok(0.0),
        }
    }
}

/// A string with escapes; `None` for one that is no text, as half a character is not.
fn unescaped(string: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str(string).ok().map(Cow::Owned)
}

/// A place in a JSON text. Each method goes over one value, whatever its kind, and gives `None` where the text ends too early.
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Before a value.
    pub fn new(json: Json<'a>) -> Self {
        Self { text: json.0, at: 0 }
    }

    /// Goes over a value, telling `member` the key of each of its members. It must go over the member's value.
    ///
    /// A key that is no text, as half a character is not, is told as the empty one.
    pub fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.value()?.0;
            let inside = key.get(1..key.len().checked_sub(1)?)?;
            self.expect(b':')?;
            match memchr(b'\\', inside.as_bytes()) {
                None => member(self, inside)?,
                Some(_) => member(self, &unescaped(key).unwrap_or_default())?,
            }
            if self.next_or(b'}')? {
                return Some(());
            }
        }
    }

    /// Goes over a value, calling `item` before each of its items. It must go over the item.
    pub fn items(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            item(self)?;
            if self.next_or(b']')? {
                return Some(());
            }
        }
    }

    /// Goes over a value and gives those of its fields, in the order of `names`.
    pub fn fields<const N: usize>(&mut self, names: [&str; N]) -> Option<[Option<Json<'a>>; N]> {
        let mut found = [None; N];
        self.members(|cursor, key| match names.iter().position(|name| *name == key) {
            Some(i) => {
                found[i] = Some(cursor.value()?);
                Some(())
            }
            None => cursor.skip(),
        })?;
        Some(found)
    }

    /// Goes over a value and gives it.
    pub fn value(&mut self) -> Option<Json<'a>> {
        self.peek()?;
        let from = self.at;
        self.skip()?;
        self.text.get(from..self.at).map(Json)
    }

    /// Goes over a value.
    pub fn skip(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match *bytes.get(self.at)? {
                        b'"' => {
                            self.skip_string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        return Some(());
                    }
                }
            }
            _ => {
                let rest = bytes.get(self.at..)?;
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                self.at += length;
                // A value has a byte at least: without this a mark in its place would be read again and again.
                (length > 0).then_some(())
            }
        }
    }

    /// Goes over a string, from its first quote to behind its last.
    fn skip_string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            let found = self.at + memchr2(b'"', b'\\', bytes.get(self.at..)?)?;
            if bytes[found] == b'"' {
                self.at = found + 1;
                return Some(());
            }
            self.at = found + 2;
        }
    }

    /// The next byte behind whitespace; it stays.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !byte.is_ascii_whitespace() {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn expect(&mut self, mark: u8) -> Option<()> {
        let found = self.peek()? == mark;
        self.at += 1;
        found.then_some(())
    }

    /// Goes over what follows an item: whether it is the end and not a comma.
    fn next_or(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == end { Some(true) } else { (byte == b',').then_some(false) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn fields_are_found_in_any_order_and_the_last_of_two_holds() {
        let [a, b, c] = Json(r#"{"b":[1],"x":{"a":0},"a":1,"\u0061": 2 }"#).fields(["a", "b", "c"]);
        assert_eq!((a, b, c), (Some(Json("2")), Some(Json("[1]")), None));
    }

    #[test]
    fn what_has_another_shape_has_no_fields_items_or_text() {
        for json in ["null", "1", "\"a\"", "[{\"a\":1}]", "true"] {
            assert!(Json(json).fields(["a"])[0].is_none(), "{json}");
        }
        assert!(Json("{}").items().is_empty() && Json("1").items().is_empty());
        assert_eq!((Json("1").text(), Json("\"\"").text(), Json("{\"\\ud800\":1}").fields([""])[0]), (None, None, Some(Json("1"))));
        assert_eq!(Json("\"\\u0041\"").text().as_deref(), Some("A"));
        assert_eq!(Json("[ 1 , {\"a\":[ \"]\" ]},\"\\\"\"]").items(), ["1", "{\"a\":[ \"]\" ]}", "\"\\\"\""].map(Json));
    }

    /// JSON text with few keys, so that they repeat, and whitespace at every place that may have it.
    fn any_json() -> impl Strategy<Value = String> {
        let string = prop_oneof![r#""[a-c]""#, r#""[a-cé{}\[\]:, ]{0,3}""#, r#""(\\\\|\\"|\\u0061|[a\]]){0,4}""#];
        let leaf = prop_oneof![string.clone(), r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,2})?", Just("null".to_owned()), Just("true".to_owned())];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let member = (string.clone(), "[ \n]?", inner.clone()).prop_map(|(key, space, value)| format!("{key}{space}:{space}{value}"));
            let joined = |parts: Vec<String>, space: String| format!("{space}{}{space}", parts.join(&format!("{space},")));
            prop_oneof![
                (prop::collection::vec(member, 0..5), "[ \t]?").prop_map(move |(members, space)| format!("{{{}}}", joined(members, space))),
                (prop::collection::vec(inner, 0..5), "[ \r]?").prop_map(move |(items, space)| format!("[{}]", joined(items, space))),
            ]
        })
    }

    proptest! {
        #[test]
        fn fields_items_and_text_are_those_that_serde_reads(json in any_json()) {
            let raw = |json: &str| serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(json).unwrap_or_default();
            let names = ["a", "b", "c", ""];
            let members = raw(&json);
            let expected = names.map(|name| members.get(name).map(|value| value.get()));
            prop_assert_eq!(Json(&json).fields(names).map(|found| found.map(|found| found.0)), expected);
            let items: Vec<&RawValue> = serde_json::from_str(&json).unwrap_or_default();
            let found: Vec<&str> = Json(&json).items().into_iter().map(|item| item.0).collect();
            prop_assert_eq!(found, items.into_iter().map(RawValue::get).collect::<Vec<_>>());
            let text: Option<String> = serde_json::from_str(&json).ok();
            prop_assert_eq!(Json(&json).text().map(Cow::into_owned), text.filter(|text| !text.is_empty()));
        }

        #[test]
        fn no_text_makes_it_panic_or_run_on(json in any_json(), cut in any::<prop::sample::Index>(), marks in r#"[\[\]{}",:\\ aé1]{0,30}"#) {
            let cut = json.floor_char_boundary(cut.index(json.len() + 1));
            for text in [&json[..cut], &json[cut..], &marks, &format!("{marks}{json}"), &format!("{}{marks}", &json[..cut])] {
                let _ = (Json(text).fields(["a"]), Json(text).items(), Json(text).text(), Json(text).is_something());
            }
        }
    }
}
