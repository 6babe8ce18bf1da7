//! The reference: what comes of a text, byte by byte, as plainly as it can be said.
//!
//! # How a text is split
//! Objects stand at the top, in an array at the top, or in the array `Records` of an object at the top. Between them are white space and
//! commas, which are not judged. An object in such a place is an *item*: a record, an envelope, or, at the top, one that holds `Records`.
//! An item ends where all its braces are closed; square brackets do not matter to that.
//!
//! # What is damage
//! * A backslash or an initial of a relevant event's name (`B C D M R S T`) outside of strings. So a quotation mark too many or too few
//!   shows before its record is left, or in the next.
//! * Anything else than an item where one must stand, and the end of the text in an item.
//! * An item in an array, if the array is not closed behind it and the item is not JSON: with a brace too few, it has swallowed all that
//!   follows.
//!
//! What lies between the beginning of a damaged item and the next place where a record seems to begin is one rejected record. Without such
//! a place all of the rest is. A record seems to begin where an object begins a line, or where its first key is one that records begin with.
//!
//! # What is rejected
//! An item that is damaged, larger than the limit or not UTF-8. One that is not JSON only if it could matter, that is if it holds a string
//! that is a relevant event's name or any escape by code point; or if it stands at the top, where nothing else tells what it is.

use std::collections::BTreeMap;

use cloudigrade_schemas::DeadLetterReason;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::collect::{Collector, Verdict};
use super::marks::Isa;
use super::words::{self, EC2, INSIGHT};
use super::{CodecLimits, Decoded, RelevantRecord};
use crate::limits::RESCANNED_BYTES_MAX;

/// Decodes a text, not gzip, by the reference implementation. [`Decoder::decode`](super::Decoder::decode) gives the same, faster.
pub fn decode<'a>(text: &'a [u8], limits: &CodecLimits) -> Decoded<'a> {
    if text.len() > limits.inflated_bytes_max {
        return super::decode_text(&[], Some((super::Fault::too_large(limits.inflated_bytes_max), text)), limits, Isa::Portable);
    }
    let mut collector = Collector::new(text, limits.record_bytes_max);
    split(words::without_byte_order_mark(text), 0, Level::Top, &mut collector);
    collector.finish()
}

/// Where items stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Outside of everything.
    Top,
    /// In an array at the top.
    Array,
    /// In the array `Records` of an object at the top.
    Records,
}

/// Gives the collector all items of a text from `at` on, which is where an item may begin.
pub(super) fn split<'a>(text: &'a [u8], mut at: usize, mut level: Level, collector: &mut Collector<'a>) {
    let mut rescanned = 0;
    loop {
        at = words::skip_separators(text, at);
        let Some(byte) = text.get(at) else {
            if level != Level::Top {
                collector.truncated();
            }
            return;
        };
        if level != Level::Top && words::records_come_first(text, at).is_some() {
            collector.truncated();
            level = Level::Top;
        }
        let damage = match (level, byte) {
            (Level::Top, b'[') => {
                (level, at) = (Level::Array, at + 1);
                continue;
            }
            (Level::Array, b']') => {
                (level, at) = (Level::Top, at + 1);
                continue;
            }
            (Level::Records, b']') => match end_of(text, at + 1, 1) {
                Ok(end) => {
                    (level, at) = (Level::Top, end);
                    continue;
                }
                Err(damage) => damage,
            },
            (_, b'{') => {
                let end = end_of(text, at, 0);
                let item = &text[at..end.unwrap_or_else(|damage| damage)];
                if level == Level::Top
                    && let Some(records) = records_of(item)
                {
                    collector.container();
                    (level, at) = (Level::Records, at + records);
                    continue;
                }
                match end {
                    Ok(end) if level != Level::Top && words::breaks_off(text, end) && !is_json(item) => text.len(),
                    Ok(end) => {
                        take(item, level, collector);
                        at = end;
                        continue;
                    }
                    Err(damage) => damage,
                }
            }
            _ => at,
        };
        let next = words::next_record(text, at + 1);
        rescanned += next.map_or(0, |next| damage.saturating_sub(next));
        let next = next.filter(|_| rescanned <= RESCANNED_BYTES_MAX);
        let (reason, detail) = if next.is_none() && damage == text.len() {
            (
                DeadLetterReason::TruncatedJson,
                "the text ends inside this record; those before were used: fetch the object from its origin again",
            )
        } else {
            (
                DeadLetterReason::BadRecord,
                "the record is torn or its quotation marks or brackets do not match; fetch the object from its origin again",
            )
        };
        collector.reject(&text[at..next.unwrap_or(text.len())], reason, detail.to_owned());
        let Some(next) = next else { return };
        at = next;
    }
}

fn take<'a>(item: &'a [u8], level: Level, collector: &mut Collector<'a>) {
    if level != Level::Top || words::begins_as_record(item) {
        let verdict = collector.oversize(item).unwrap_or_else(|| judge(item, collector.index()));
        return collector.record(item, verdict);
    }
    if let Some(unreadable) = collector.oversize(item).or_else(|| not_utf8(item)) {
        return collector.record(item, unreadable);
    }
    let object = match Object::read(item) {
        Ok(object) => object,
        Err(error) => return collector.record(item, bad_record(&error)),
    };
    if object.enveloped().is_some() || ["eventVersion", "eventSource", "eventName"].iter().any(|key| object.has(key)) {
        collector.record(item, judge(item, collector.index()));
    } else if object.has("digestS3Bucket") {
        collector.digest();
    } else {
        collector.other(item);
    }
}

/// What one item is.
pub(super) fn judge(item: &[u8], index: u64) -> Verdict<'_> {
    if let Some(verdict) = not_utf8(item) {
        return verdict;
    }
    let record = Object::read(item).and_then(|object| match object.enveloped() {
        Some(detail) => Object::read(detail.as_bytes()),
        None => Ok(object),
    });
    match record {
        Err(error) if could_matter(item) => bad_record(&error),
        Err(_) => Verdict::Irrelevant,
        Ok(record) if record.is_relevant() => {
            let event_id = record.text("eventID").filter(|id| !id.is_empty());
            Verdict::Relevant(RelevantRecord { index, event_id: event_id.map(Into::into), json: record.json })
        }
        Ok(_) => Verdict::Irrelevant,
    }
}

/// The verdict on an item that is not UTF-8.
pub(super) fn not_utf8<'a>(item: &[u8]) -> Option<Verdict<'a>> {
    let error = std::str::from_utf8(item).err()?;
    Some(Verdict::Rejected(DeadLetterReason::NotUtf8, format!("the record is not UTF-8 ({error}); fetch the object from its origin again")))
}

fn is_json(item: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(item).is_ok()
}

fn bad_record<'a>(error: &serde_json::Error) -> Verdict<'a> {
    Verdict::Rejected(
        DeadLetterReason::BadRecord,
        format!("the record is not well-formed JSON ({error}); fetch the object from its origin again"),
    )
}

/// A JSON object; of a key that comes twice, the last value.
struct Object<'a> {
    json: &'a str,
    values: BTreeMap<String, &'a RawValue>,
}

impl<'a> Object<'a> {
    /// Reads an item that is UTF-8.
    fn read(item: &'a [u8]) -> serde_json::Result<Self> {
        let json = std::str::from_utf8(item).map_err(serde::de::Error::custom)?;
        serde_json::from_str(json).map(|values| Self { json, values })
    }

    /// The value of a key, unless it is null.
    fn get(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).map(|value| value.get()).filter(|value| *value != "null")
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key, if it is a string.
    fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?).ok()
    }

    fn enveloped(&self) -> Option<&'a str> {
        self.get("detail").filter(|detail| self.has("detail-type") && detail.starts_with('{'))
    }

    fn is_relevant(&self) -> bool {
        self.text("eventSource").as_deref() == Some(EC2)
            && self.text("eventName").is_some_and(|name| words::is_relevant(&name, self.json))
            && self.text("errorCode").is_none_or(|code| code.is_empty())
            && !self.has("insightDetails")
            && self.text("eventCategory").as_deref() != Some(INSIGHT)
    }
}

/// A piece of a text.
enum Token<'a> {
    /// `{`
    Open,
    /// `}`
    Close,
    /// A string between its quotation marks, and the place behind it.
    String(&'a [u8], usize),
    /// Something that no JSON text has.
    Damage,
}

/// A text's tokens with their places. A string that does not end is none.
fn tokens(text: &[u8], mut at: usize) -> impl Iterator<Item = (usize, Token<'_>)> {
    std::iter::from_fn(move || {
        loop {
            let (here, byte) = (at, text.get(at)?);
            at += 1;
            let token = match byte {
                b'{' => Token::Open,
                b'}' => Token::Close,
                b'\\' => Token::Damage,
                _ if words::is_initial(*byte) => Token::Damage,
                b'"' => {
                    while *text.get(at)? != b'"' {
                        at += if text[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                    Token::String(&text[here + 1..at - 1], at)
                }
                _ => continue,
            };
            return Some((here, token));
        }
    })
}

/// The place where `depth` objects end that `at` lies in, or, if none do, the object that begins there; or the place of the damage before
/// it.
fn end_of(text: &[u8], at: usize, mut depth: u64) -> Result<usize, usize> {
    for (here, token) in tokens(text, at) {
        match token {
            Token::Open => depth += 1,
            Token::Close if depth <= 1 => return Ok(here + 1),
            Token::Close => depth -= 1,
            Token::String(..) => {}
            Token::Damage => return Err(here),
        }
    }
    Err(text.len())
}

/// Where in an object, which may be damaged at its end, the array `Records` begins. An object that begins as a record has none.
fn records_of(object: &[u8]) -> Option<usize> {
    if words::begins_as_record(object) {
        return None;
    }
    let mut depth = 0_i64;
    tokens(object, 0).find_map(|(_, token)| {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth -= 1,
            Token::String(b"Records", end) if depth == 1 => {
                return words::after(object, end, b":").and_then(|at| words::after(object, at, b"["));
            }
            Token::String(..) | Token::Damage => {}
        }
        None
    })
}

/// Whether an item that is not JSON could have been relevant.
fn could_matter(item: &[u8]) -> bool {
    tokens(item, 0).any(|(_, token)| match token {
        Token::String(content, _) => words::is_name(content) || has_code_point_escape(content),
        _ => false,
    })
}

fn has_code_point_escape(mut content: &[u8]) -> bool {
    while let [first, rest @ ..] = content {
        match (first, rest) {
            (b'\\', [b'u', ..]) => return true,
            (b'\\', [_, rest @ ..]) => content = rest,
            _ => content = rest,
        }
    }
    false
}
