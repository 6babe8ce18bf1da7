//! Accounts that are not always metered, and a naive count of what is.

use cloudigrade_query::Period;
use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::account::Unmetered;
use proptest::prelude::*;

use crate::COVERAGE;
use crate::common::{Run, at};

/// A tenant's account with the times in which it is not metered.
pub type Registration = (&'static str, &'static str, Vec<Unmetered>);

/// Accounts that one tenant registered, or two, or none.
pub fn registrations() -> impl Strategy<Value = Vec<Registration>> {
    let quarter = |quarters: i64| UtcSecond(at("2024-02-28T00:00:00Z") + quarters * 900);
    let span = (0..5000_i64, prop::option::of(0..3000_i64));
    let span = span.prop_map(move |(from, length)| Unmetered { from: quarter(from), until: length.map(|length| quarter(from + length)) });
    let places = prop::sample::subsequence(vec![("one", 0), ("one", 2), ("two", 0), ("two", 2)], 0..=4);
    (places, prop::collection::vec(prop::collection::vec(span, 0..3), 4)).prop_map(|(places, spans)| {
        places.into_iter().zip(spans).map(|((tenant, account), spans)| (tenant, COVERAGE[account].0, spans)).collect()
    })
}

/// The parts of the runs that count, cut wherever anything changes.
pub fn metered(runs: &[Run], accounts: &[Registration], period: &Period) -> Vec<Run> {
    let holds = |span: &Unmetered, second: i64| span.from.0 <= second && span.until.is_none_or(|until| second < until.0);
    let mut parts = Vec::new();
    for run in runs {
        let tenants: Vec<_> = accounts.iter().filter(|(_, account, _)| **account == *run.account).map(|(.., spans)| spans).collect();
        let end = run.end.unwrap_or(period.open_end()).max(run.start);
        let edges = tenants.iter().flat_map(|spans| spans.iter()).flat_map(|span| [Some(span.from), span.until]).flatten();
        let mut cuts: Vec<i64> = edges.map(|edge| edge.0).filter(|edge| (run.start..end).contains(edge)).chain([run.start, end]).collect();
        cuts.sort_unstable();
        let counts = |second: i64| tenants.is_empty() || !tenants.iter().all(|spans| spans.iter().any(|span| holds(span, second)));
        let lasting = cuts.windows(2).filter(|cut| cut[0] < cut[1] && counts(cut[0]));
        parts.extend(lasting.map(|cut| Run { start: cut[0], end: Some(cut[1]), ..run.clone() }));
    }
    parts
}
