//! When accounts are not metered.

use std::collections::BTreeMap;

use cloudigrade_schemas::account::Unmetered;

use super::pieces::Piece;

/// A time that does not count, in seconds since 1970: `from < until`.
pub(crate) type Span = (i64, i64);

/// The times in which accounts are not metered. An account that nobody registered always is; one that several tenants registered
/// is while it is for any of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Metered {
    /// Ordered and apart from each other; only of accounts that have any.
    unmetered: BTreeMap<String, Vec<Span>>,
}

impl Metered {
    /// From each registration of an account, with the times in which it is not metered.
    pub(crate) fn of<'a>(registrations: impl IntoIterator<Item = (&'a str, Vec<Unmetered>)>) -> Self {
        let mut unmetered: BTreeMap<String, Vec<Span>> = BTreeMap::new();
        for (account, spans) in registrations {
            let spans = joined(spans);
            match unmetered.get_mut(account) {
                Some(known) => *known = common(known, &spans),
                None => _ = unmetered.insert(account.to_owned(), spans),
            }
        }
        unmetered.retain(|_, spans| !spans.is_empty());
        Self { unmetered }
    }

    /// Whether every account always is.
    pub(super) fn is_always(&self) -> bool {
        self.unmetered.is_empty()
    }

    /// The times that do not count of an account.
    pub(crate) fn unmetered(&self, account: &str) -> &[Span] {
        self.unmetered.get(account).map_or(&[], Vec::as_slice)
    }
}

/// The same times, ordered, with what overlaps or touches joined.
fn joined(spans: Vec<Unmetered>) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.iter().map(|span| (span.from.0, span.until.map_or(i64::MAX, |until| until.0))).collect();
    spans.retain(|(from, until)| from < until);
    spans.sort_unstable();
    let mut joined: Vec<Span> = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// The times that are in both.
fn common(some: &[Span], others: &[Span]) -> Vec<Span> {
    let (mut common, mut at, mut other) = (Vec::new(), 0, 0);
    while let (Some(a), Some(b)) = (some.get(at), others.get(other)) {
        let (from, until) = (a.0.max(b.0), a.1.min(b.1));
        if from < until {
            common.push((from, until));
        }
        if a.1 < b.1 { at += 1 } else { other += 1 }
    }
    common
}

/// The parts of a piece that lie outside of some times.
pub(crate) fn outside(piece: Piece, spans: &[Span]) -> impl Iterator<Item = Piece> {
    let first = spans.partition_point(|(_, until)| *until <= piece.start);
    let within = spans[first..].iter().take_while(move |(from, _)| *from < piece.end);
    let mut from = piece.start;
    let gaps = within.copied().chain([(piece.end, piece.end)]);
    gaps.filter_map(move |(unmetered, metered_again)| {
        let part = (from < unmetered).then_some(Piece { start: from, end: unmetered, ..piece });
        from = metered_again;
        part
    })
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::UtcSecond;
    use proptest::prelude::*;

    use super::*;

    fn spans() -> impl Strategy<Value = Vec<Unmetered>> {
        let span = (0..100_i64, prop::option::of(0..100_i64));
        let span = span.prop_map(|(from, until)| Unmetered { from: UtcSecond(from), until: until.map(UtcSecond) });
        prop::collection::vec(span, 0..5)
    }

    fn holds(spans: &[Unmetered], second: i64) -> bool {
        spans.iter().any(|span| span.from.0 <= second && span.until.is_none_or(|until| second < until.0))
    }

    proptest! {
        #[test]
        fn a_second_counts_unless_it_is_unmetered_for_all(
            tenants in prop::collection::vec(spans(), 0..4), start in 0..110_i64, length in 1..110_i64,
        ) {
            let metered = Metered::of(tenants.iter().map(|spans| ("1", spans.clone())));
            let piece = Piece { start, end: start + length, size: None, instance: 0 };
            let parts: Vec<_> = outside(piece, metered.unmetered("1")).map(|part| (part.start, part.end)).collect();
            prop_assert!(parts.iter().all(|(start, end)| start < end) && parts.windows(2).all(|two| two[0].1 < two[1].0));
            for second in start - 1..=start + length {
                let counts = (start..start + length).contains(&second) && (tenants.is_empty() || !tenants.iter().all(|spans| holds(spans, second)));
                prop_assert_eq!(parts.iter().any(|(start, end)| (*start..*end).contains(&second)), counts, "second {}", second);
            }
            prop_assert!(metered.unmetered("2").is_empty());
        }
    }
}
