//! The syntax in which LVM writes its metadata: sections of names with values. This module knows none of the names.

use std::collections::BTreeMap;

use crate::limits::{LVM_METADATA_DEPTH_MAX, LVM_METADATA_NODES_MAX};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Section(Section),
    List(Vec<Value>),
    Text(String),
    Number(i64),
}

/// Names with values. Of a repeated name the first one holds, as in LVM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section(BTreeMap<String, Value>);

impl Section {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number that is not negative.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Number(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The values of a list; those of one that is not there, and of what is none, are none.
    pub(super) fn list(&self, name: &str) -> &[Value] {
        match self.0.get(name) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }

    /// Whether a list holds a word.
    pub(super) fn lists(&self, name: &str, word: &str) -> bool {
        self.list(name).iter().any(|value| matches!(value, Value::Text(text) if text == word))
    }

    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        match self.0.get(name)? {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }

    /// The sections in it, by name.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name.as_str(), section)),
            _ => None,
        })
    }
}

/// Reads a text, which ends at the first NUL.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub(super) fn parse(text: &[u8]) -> Result<Section, String> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|error| format!("it is not UTF-8 at byte {}", error.valid_up_to()))?;
    let mut parser = Parser { text, at: 0, nodes: 0 };
    let section = parser.section(0)?;
    match parser.peek() {
        None => Ok(section),
        Some(_) => Err(parser.error("a section ends that did not begin")),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl Parser<'_> {
    /// Reads up to the brace that ends the section, or the end of the text.
    fn section(&mut self, depth: usize) -> Result<Section, String> {
        if depth > LVM_METADATA_DEPTH_MAX {
            return Err(self.error("its sections are too deep in each other"));
        }
        let mut section = Section::default();
        while self.peek().is_some_and(|next| next != '}') {
            let name = self.word()?;
            let value = match self.peek() {
                Some('{') => {
                    self.at += 1;
                    let inner = self.section(depth + 1)?;
                    self.expect('}')?;
                    self.counted(Value::Section(inner))?
                }
                _ => {
                    self.expect('=')?;
                    self.value()?
                }
            };
            section.0.entry(name).or_insert(value);
        }
        Ok(section)
    }

    fn value(&mut self) -> Result<Value, String> {
        if self.peek() != Some('[') {
            return self.scalar();
        }
        self.at += 1;
        let mut values = Vec::new();
        while self.peek() != Some(']') {
            values.push(self.scalar()?);
            if self.peek() == Some(',') {
                self.at += 1;
            }
        }
        self.at += 1;
        self.counted(Value::List(values))
    }

    fn scalar(&mut self) -> Result<Value, String> {
        let value = match self.peek() {
            Some('"') => Value::Text(self.quoted()?),
            _ => {
                let word = self.word()?;
                word.parse().map_or(Value::Text(word), Value::Number)
            }
        };
        self.counted(value)
    }

    fn quoted(&mut self) -> Result<String, String> {
        let mut plain = String::new();
        let mut escaped = false;
        for (index, c) in self.text[self.at + 1..].char_indices() {
            match (escaped, c) {
                (false, '"') => {
                    self.at += index + 2;
                    return Ok(plain);
                }
                (false, '\\') => escaped = true,
                _ => {
                    plain.push(c);
                    escaped = false;
                }
            }
        }
        Err(self.error("a quote is not closed"))
    }

    /// A name or a bare value.
    fn word(&mut self) -> Result<String, String> {
        self.peek();
        let rest = &self.text[self.at..];
        let len = rest.find(|c: char| c.is_whitespace() || "{}[]=,#\"".contains(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.error("a word is missing"));
        }
        self.at += len;
        Ok(rest[..len].to_owned())
    }

    fn expect(&mut self, expected: char) -> Result<(), String> {
        if self.peek() != Some(expected) {
            return Err(self.error(&format!("{expected:?} is missing")));
        }
        self.at += expected.len_utf8();
        Ok(())
    }

    /// The next character that is neither space nor comment, which stays to be read.
    fn peek(&mut self) -> Option<char> {
        loop {
            let rest = self.text[self.at..].trim_start();
            self.at = self.text.len() - rest.len();
            if !rest.starts_with('#') {
                return rest.chars().next();
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn counted(&mut self, value: Value) -> Result<Value, String> {
        self.nodes += 1;
        if self.nodes > LVM_METADATA_NODES_MAX {
            Err(self.error(&format!("it has more than {LVM_METADATA_NODES_MAX} values")))
        } else {
            Ok(value)
        }
    }

    fn error(&self, what: &str) -> String {
        format!("{what} at byte {}", self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_values_and_comments_are_read() {
        let text = "# head\nvg {\n id = \"a\\\"b\" # x\nseqno=7 free = -1\nstatus = [\"READ\", \"WRITE\"]\nnone=[]\n pv0 { size = 0.5 }\n}\nv = 1\0junk";
        let all = parse(text.as_bytes()).unwrap();
        let group = all.section("vg").unwrap();
        assert_eq!((group.text("id"), group.number("seqno"), group.number("free")), (Some("a\"b"), Some(7), None));
        assert!(group.lists("status", "WRITE") && !group.lists("status", "VISIBLE") && group.list("none").is_empty());
        assert_eq!(group.section("pv0").unwrap().text("size"), Some("0.5"));
        assert_eq!(all.number("v"), Some(1));
        assert_eq!(all.sections().map(|(name, _)| name).collect::<Vec<_>>(), ["vg"]);
    }

    #[test]
    fn broken_syntax_is_an_error() {
        for text in ["a", "a {", "a = ", "a = [1", "a = \"x", "}", "a { } }", "a = [[1]]", "= 1", "a = [,]", "\u{e9}{", "a \u{1}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"a = \"\xff\"").is_err());
    }

    #[test]
    fn depth_and_number_of_values_have_an_end() {
        let nested = |depth: usize| "a { ".repeat(depth) + &"}".repeat(depth);
        assert!(parse(nested(LVM_METADATA_DEPTH_MAX).as_bytes()).is_ok());
        assert!(parse(nested(LVM_METADATA_DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(parse(nested(1_000_000).as_bytes()).is_err());
        assert!(parse(format!("a = [{}]", "1,".repeat(LVM_METADATA_NODES_MAX)).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn texts_of_any_kind_do_no_harm(text in "([a-z]{1,3}|[\"\\\\{}\\[\\]=,# \n]|[0-9]{1,20}|\u{e9}){0,60}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(text.as_bytes());
            let _ = parse(&bytes);
        }
    }
}
