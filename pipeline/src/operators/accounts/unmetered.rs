//! The times in which an account is not metered: in order, apart from each other, none empty, and only the last without an end.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::account::Unmetered;

/// Not metered from `at` on. A moment before the end of the last time is taken for that: what was decided of the past stays.
pub(super) fn begin(times: &mut Vec<Unmetered>, at: UtcSecond) {
    match times.last_mut() {
        Some(Unmetered { until: None, .. }) => {}
        Some(last) if last.until.is_some_and(|until| at <= until) => last.until = None,
        _ => times.push(Unmetered { from: at, until: None }),
    }
}

/// Metered again from `at` on. A moment before the last time began is taken for its beginning: then it never was.
pub(super) fn end(times: &mut Vec<Unmetered>, at: UtcSecond) {
    let Some(last) = times.last_mut().filter(|last| last.until.is_none()) else { return };
    if at <= last.from {
        times.pop();
    } else {
        last.until = Some(at);
    }
}
