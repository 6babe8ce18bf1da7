//! Changes in spans of seconds, so that what they are added to stays in the cache.

use std::ops::Range;

use super::timeline::{Change, Level, Sizes};

/// Seconds whose sums are written at a time: few enough that they stay in the processor's second-level cache.
pub(super) const SPAN_SECONDS: usize = 1 << SPAN_SECONDS_LOG2;
const SPAN_SECONDS_LOG2: u32 = 14;

/// Changes in the order of the spans of [`SPAN_SECONDS`] that they lie in.
pub(super) struct Spans {
    changes: Vec<Change>,
    /// Where each span ends in `changes`.
    ends: Vec<usize>,
}

impl Spans {
    /// The changes of some seconds, which begin with a span.
    pub(super) fn of(changes: &[Change], seconds: &Range<u32>) -> Self {
        let first = seconds.start >> SPAN_SECONDS_LOG2;
        let span_of = |change: &Change| ((change.second() >> SPAN_SECONDS_LOG2) - first) as usize;
        let inside = || changes.iter().filter(|change| seconds.contains(&change.second()));
        let mut ends = vec![0_usize; seconds.len().div_ceil(SPAN_SECONDS)];
        inside().for_each(|change| ends[span_of(change)] += 1);
        let mut at = 0;
        for end in &mut ends {
            (*end, at) = (at, at + *end);
        }
        // Each entry of `ends` is where its span begins; filling moves it to where the span ends.
        let mut by_span = vec![Change(0); at];
        for change in inside() {
            let slot = &mut ends[span_of(change)];
            by_span[*slot] = *change;
            *slot += 1;
        }
        Self { changes: by_span, ends }
    }

    /// The changes of a span, counted from the first.
    pub(super) fn at(&self, span: usize) -> &[Change] {
        let start = span.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.changes[start..self.ends[span]]
    }

    /// The changes of all spans.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// Adds a span's changes to its sums.
pub(super) fn add_changes(sums: &mut [Level], changes: &[Change], sizes: &Sizes) {
    for change in changes {
        let second = change.second() as usize % SPAN_SECONDS;
        sums[second].add(change.level(sizes));
    }
}
