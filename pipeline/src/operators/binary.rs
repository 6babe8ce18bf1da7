//! How state is kept in bytes: numbers as LEB128, text with its length, and of repeated text only what differs.

use std::borrow::Cow;
use std::fmt::Display;

use crate::log::LogError;

/// Writes a number in as few bytes as it takes, seven bits each.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a number that may be below zero.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Writes a text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Writes a text that may be absent.
pub(super) fn put_maybe_text(out: &mut Vec<u8>, text: Option<&str>) {
    out.push(u8::from(text.is_some()));
    text.into_iter().for_each(|text| put_text(out, text));
}

/// Writes a text that often begins as the one before it does.
pub(super) fn put_text_after(out: &mut Vec<u8>, before: &str, text: &str) {
    let common = before.as_bytes().iter().zip(text.as_bytes()).take_while(|(a, b)| a == b).count();
    let common = text.floor_char_boundary(common);
    put_number(out, common as u64);
    put_text(out, &text[common..]);
}

/// Reads what the functions of this module wrote. Every method gives `None` for bytes that they did not write.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    pub(super) fn maybe_text(&mut self) -> Option<Option<&'a str>> {
        match self.byte()? {
            0 => Some(None),
            1 => Some(Some(self.text()?)),
            _ => None,
        }
    }

    pub(super) fn text_after(&mut self, before: &str) -> Option<Cow<'a, str>> {
        match usize::try_from(self.number()?).ok()? {
            0 => Some(Cow::Borrowed(self.text()?)),
            common => Some(Cow::Owned([before.get(..common)?, self.text()?].concat())),
        }
    }
}

/// State that is not what was written: the log is damaged.
pub(super) fn damaged(what: &'static str, cause: &dyn Display) -> LogError {
    LogError::Storage {
        doing: what,
        cause: cause.to_string(),
        help: "the log is damaged or was written by another version; restore it or ingest into a new data folder",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_texts_come_back(number in any::<u64>(), signed in any::<i64>(), texts in any::<(String, String, Option<String>)>()) {
            let (before, text, maybe) = texts;
            let after = format!("{before}{text}");
            let mut out = Vec::new();
            put_number(&mut out, number);
            put_signed(&mut out, signed);
            put_text(&mut out, &text);
            put_maybe_text(&mut out, maybe.as_deref());
            put_text_after(&mut out, &before, &after);
            put_text_after(&mut out, &text, &before);
            let mut reader = Reader::new(&out);
            prop_assert_eq!((reader.number(), reader.signed(), reader.text()), (Some(number), Some(signed), Some(text.as_str())));
            prop_assert_eq!((reader.maybe_text(), reader.text_after(&before)), (Some(maybe.as_deref()), Some(after.into())));
            prop_assert_eq!((reader.text_after(&text), reader.is_at_end()), (Some(before.into()), true));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            let mut reader = Reader::new(&bytes);
            while reader.number().is_some() && reader.text().is_some() && reader.text_after("é").is_some() && reader.maybe_text().is_some() {}
        }
    }
}
