//! How far the reading of history is, for one kind of event in one region. Pure.
//!
//! CloudTrail tells events from the newest to the oldest. So the oldest event that was read says how far it is, and reading goes on from
//! there after a stop: by time, as CloudTrail's own tokens expire.

use cloudigrade_schemas::UtcSecond;
use serde::{Deserialize, Serialize};

use crate::limits::{HISTORY_DAYS_MAX, LOOKUP_LAG_SECONDS};

/// Seconds by which reading goes on from before it stopped: events of about the same time are told in no certain order.
const RESUME_OVERLAP_SECONDS: i64 = 300;
/// Seconds by which the oldest moment that is asked for stays within what CloudTrail keeps, while a call is on its way.
const KEPT_MARGIN_SECONDS: i64 = 600;
const DAY_SECONDS: i64 = 86_400;

/// The reading of one kind of event in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// From, inclusive.
    pub from: UtcSecond,
    /// To, inclusive.
    pub to: UtcSecond,
    /// All from here to the end is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_down_to: Option<UtcSecond>,
    /// Whether all is read.
    #[serde(default)]
    pub done: bool,
}

impl Pass {
    /// What is to be read. `since` is when the account began to be collected from, for the last time: what happened up to then is history,
    /// later events are delivered. What was read before that is not read again, but for the time just before `since`: some of it could not
    /// be looked up yet, and what delivers had not begun.
    pub fn plan(stored: Option<Self>, days: u32, since: UtcSecond, now: UtcSecond) -> Self {
        let all = Self {
            from: UtcSecond(now.0 - i64::from(days.min(HISTORY_DAYS_MAX)) * DAY_SECONDS),
            to: now,
            read_down_to: None,
            done: days == 0,
        };
        match stored {
            None => all,
            Some(stored) if stored.to >= since && !(stored.done && stored.to < settled(since) && now >= settled(since)) => stored,
            Some(stored) if stored.to >= since => {
                let to = UtcSecond(settled(since).0 + LOOKUP_LAG_SECONDS).min(now);
                Self { from: UtcSecond(stored.to.0 - LOOKUP_LAG_SECONDS).max(all.from), to, ..all }
            }
            // What lies before was read, but for what could not yet be looked up then.
            Some(stored) if stored.done => Self { from: UtcSecond(stored.to.0 - LOOKUP_LAG_SECONDS).max(all.from), ..all },
            Some(stored) => Self { from: stored.from.max(all.from), ..all },
        }
    }

    /// The times to ask for now, both inclusive; `None` when nothing of them is kept any more.
    pub fn window(&self, now: UtcSecond) -> Option<(UtcSecond, UtcSecond)> {
        let kept = UtcSecond(now.0 - i64::from(HISTORY_DAYS_MAX) * DAY_SECONDS + KEPT_MARGIN_SECONDS);
        let from = self.from.max(kept);
        let to = self.read_down_to.map_or(self.to, |read| UtcSecond(read.0 + RESUME_OVERLAP_SECONDS).min(self.to));
        (from <= to).then_some((from, to))
    }

    /// Notes a page: the oldest event on it, and whether it is the last one.
    pub fn read(&mut self, oldest: Option<UtcSecond>, last: bool) {
        self.read_down_to = self.read_down_to.into_iter().chain(oldest).min();
        self.done = last;
    }

    /// Up to when all that happened can be known by it.
    pub fn complete_through(&self) -> UtcSecond {
        UtcSecond(self.to.0 - LOOKUP_LAG_SECONDS)
    }
}

/// When all that happened up to `since` can be looked up.
pub fn settled(since: UtcSecond) -> UtcSecond {
    UtcSecond(since.0 + LOOKUP_LAG_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcSecond = UtcSecond(1_706_695_200);

    fn days_ago(days: i64) -> UtcSecond {
        UtcSecond(NOW.0 - days * DAY_SECONDS)
    }

    #[test]
    fn the_first_pass_is_of_as_many_days_as_wanted_and_kept() {
        assert_eq!(Pass::plan(None, 30, NOW, NOW).from, days_ago(30));
        assert_eq!(Pass::plan(None, 400, NOW, NOW).from, days_ago(90));
        assert!(Pass::plan(None, 0, NOW, NOW).done);
        let (from, to) = Pass::plan(None, 90, NOW, NOW).window(NOW).unwrap();
        assert_eq!((from, to), (UtcSecond(days_ago(90).0 + KEPT_MARGIN_SECONDS), NOW));
    }

    #[test]
    fn a_pass_goes_on_below_what_it_has_read() {
        let mut pass = Pass::plan(None, 90, NOW, NOW);
        pass.read(Some(days_ago(3)), false);
        pass.read(None, false);
        pass.read(Some(days_ago(5)), false);
        let later = UtcSecond(NOW.0 + 3600);
        assert_eq!(Pass::plan(Some(pass), 90, NOW, later), pass);
        assert_eq!(pass.window(later).unwrap().1, UtcSecond(days_ago(5).0 + RESUME_OVERLAP_SECONDS));
        pass.read(None, true);
        assert!(pass.done);
    }

    #[test]
    fn a_finished_history_is_not_read_again_but_what_an_account_did_while_nobody_collected_is() {
        let done = Pass { from: days_ago(90), to: days_ago(20), read_down_to: None, done: true };
        assert_eq!(Pass::plan(Some(done), 90, UtcSecond(days_ago(20).0 - LOOKUP_LAG_SECONDS), NOW), done);
        let enabled_again = Pass::plan(Some(done), 90, days_ago(1), NOW);
        assert_eq!(
            (enabled_again.from, enabled_again.to, enabled_again.done),
            (UtcSecond(days_ago(20).0 - LOOKUP_LAG_SECONDS), NOW, false)
        );
    }

    #[test]
    fn what_could_not_be_looked_up_at_registration_is_looked_up_once_more_when_it_can() {
        let first = Pass { done: true, ..Pass::plan(None, 90, NOW, NOW) };
        let at = |seconds: i64| UtcSecond(NOW.0 + seconds);
        assert_eq!(Pass::plan(Some(first), 90, NOW, at(LOOKUP_LAG_SECONDS - 1)), first, "not yet");
        let again = Pass::plan(Some(first), 90, NOW, at(LOOKUP_LAG_SECONDS));
        assert_eq!((again.from, again.to, again.done), (at(-LOOKUP_LAG_SECONDS), at(LOOKUP_LAG_SECONDS), false));
        assert!(again.complete_through() >= NOW);
        let done = Pass { done: true, ..again };
        assert_eq!(Pass::plan(Some(done), 90, NOW, at(90_000)), done, "and not again");
        let late = Pass::plan(Some(first), 90, NOW, at(30 * DAY_SECONDS));
        assert_eq!((late.from, late.to), (at(-LOOKUP_LAG_SECONDS), at(2 * LOOKUP_LAG_SECONDS)), "no more than that");
        let unfinished = Pass { done: false, ..first };
        assert_eq!(Pass::plan(Some(unfinished), 90, NOW, at(90_000)), unfinished, "first to its end");
    }

    #[test]
    fn what_is_no_longer_kept_is_not_asked_for() {
        let old = Pass { from: days_ago(300), to: days_ago(200), read_down_to: None, done: false };
        assert_eq!(old.window(NOW), None);
        let half = Pass { from: days_ago(100), to: days_ago(10), read_down_to: None, done: false };
        assert_eq!(half.window(NOW).unwrap().0, UtcSecond(days_ago(90).0 + KEPT_MARGIN_SECONDS));
    }
}
