//! The fast path: splits a sound text into its records in one pass, and looks only at those that may be of interest.
//!
//! It goes on as long as the text is sound and of a usual shape. Where it is not, [`slow::split`] takes over from the item at hand.

use super::collect::{Collector, Verdict};
use super::head::{Head, Shape};
use super::marks::{End, Isa, Marks};
use super::slow::{self, Level};
use super::words;

/// Gives the collector all records of its text.
pub(super) fn split<'a>(text: &'a [u8], isa: Isa, collector: &mut Collector<'a>) {
    let text = words::without_byte_order_mark(text);
    let mut marks = Marks::new(text, isa);
    let mut level = Level::Top;
    let mut at = 0;
    loop {
        at = words::skip_separators(text, at);
        let next = match (level, text.get(at)) {
            (Level::Top, None) => return,
            (Level::Top, Some(b'[')) => enter(text, at + 1, Level::Array),
            (Level::Array, Some(b']')) => Some((Level::Top, at + 1)),
            (Level::Records, Some(b']')) => marks.end_of(at + 1, 1).map(|end| (Level::Top, end.at)),
            (Level::Top, Some(b'{')) if let Some(records) = words::records_come_first(text, at) => {
                collector.container();
                enter(text, records, Level::Records)
            }
            (_, Some(b'{')) => object(text, at, level, &mut marks, collector).map(|end| (level, end)),
            _ => None,
        };
        match next {
            Some(next) => (level, at) = next,
            None => return slow::split(text, at, level, collector),
        }
    }
}

/// Enters an array.
fn enter(text: &[u8], at: usize, level: Level) -> Option<(Level, usize)> {
    (!words::breaks_off(text, at)).then_some((level, at))
}

/// Takes the object that begins at `at` and returns the place behind it. `None`: one for the slow path.
fn object<'a>(text: &'a [u8], at: usize, level: Level, marks: &mut Marks<'a>, collector: &mut Collector<'a>) -> Option<usize> {
    let End { at: end, look } = marks.end_of(at, 0)?;
    let item = &text[at..end];
    if level == Level::Top {
        if !words::begins_as_record(item) {
            value(item, collector)?;
            return Some(end);
        }
    } else if words::breaks_off(text, end) {
        return None;
    }
    let verdict = match collector.oversize(item) {
        Some(oversize) => oversize,
        None if look.name => judge(item, collector.index()),
        None if look.high => slow::not_utf8(item).unwrap_or(Verdict::Irrelevant),
        None => Verdict::Irrelevant,
    };
    collector.record(item, verdict);
    Some(end)
}

/// Takes an object outside of any array. `None`: one for the slow path.
fn value<'a>(item: &'a [u8], collector: &mut Collector<'a>) -> Option<()> {
    if collector.oversize(item).is_some() {
        return None;
    }
    let json = std::str::from_utf8(item).ok()?;
    match Head::read(json).ok()?.shape() {
        Shape::Container => return None,
        Shape::Record => collector.record(item, judge(item, collector.index())),
        Shape::Digest => collector.digest(),
        Shape::Other => collector.other(item),
    }
    Some(())
}

fn judge(item: &[u8], index: u64) -> Verdict<'_> {
    let relevant = std::str::from_utf8(item).ok().and_then(|json| {
        let head = Head::read(json).ok()?;
        match head.enveloped() {
            Some(detail) => Some(Head::read(detail).ok()?.relevant(index, detail)),
            None => Some(head.relevant(index, json)),
        }
    });
    match relevant {
        Some(Some(record)) => Verdict::Relevant(record),
        Some(None) => Verdict::Irrelevant,
        None => slow::judge(item, index),
    }
}
