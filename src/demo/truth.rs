//! What really happened in the simulated fleet, and what the delivered log says happened.
//!
//! Both are written down by the simulation while it acts; nothing here is read back from records. They differ where a record was
//! never delivered, and for instances older than the log.

use std::collections::{BTreeMap, BTreeSet};

use cloudigrade_schemas::{InstanceKey, PowerAction, UtcSecond};

use super::calendar::{Span, day_of, later};

/// A half-open run `[on, off)` of an instance; `off` is `None` while it still runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// When it began.
    pub on: UtcSecond,
    /// When it ended.
    pub off: Option<UtcSecond>,
    /// The type known at its start.
    pub instance_type: Option<String>,
}

/// One instance's part of a [`History`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The machine image, where known.
    pub image_id: Option<String>,
    /// The runs, in order of time. Only the last one may be open.
    pub runs: Vec<Run>,
    instance_type: Option<String>,
}

impl Ledger {
    pub(super) fn launched_as(&mut self, image_id: &str, instance_type: &str) {
        self.image_id = Some(image_id.to_owned());
        self.becomes(instance_type);
    }

    pub(super) fn becomes(&mut self, instance_type: &str) {
        self.instance_type = Some(instance_type.to_owned());
    }

    /// A start; without effect on what runs already.
    pub(super) fn on(&mut self, at: UtcSecond) {
        if !matches!(self.runs.last(), Some(Run { off: None, .. })) {
            self.runs.push(Run { on: at, off: None, instance_type: self.instance_type.clone() });
        }
    }

    /// An end; without effect on what does not run.
    pub(super) fn off(&mut self, at: UtcSecond) {
        if let Some(Run { off: off @ None, .. }) = self.runs.last_mut() {
            *off = Some(at);
        }
    }

    fn seconds_in(&self, window: Span) -> u64 {
        self.runs.iter().filter_map(|run| window.clip(run.on, run.off)).map(Span::seconds).sum()
    }
}

/// When every instance ran: one telling of what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The days that are reported, in UTC. Runs are not cut at its ends.
    pub window: Span,
    /// The instances with at least one run.
    pub instances: BTreeMap<InstanceKey<'static>, Ledger>,
}

impl History {
    fn new(window: Span, ledgers: impl Iterator<Item = (InstanceKey<'static>, Ledger)>) -> Self {
        Self { window, instances: ledgers.filter(|(_, ledger)| !ledger.runs.is_empty()).collect() }
    }

    /// Instances that ran in the window for at least a second.
    pub fn distinct_instances(&self) -> u64 {
        self.instances.values().filter(|ledger| ledger.seconds_in(self.window) > 0).count() as u64
    }

    /// Seconds run, by the first second of each UTC day of the window.
    pub fn seconds_by_day(&self) -> BTreeMap<UtcSecond, u64> {
        let mut by_day: BTreeMap<_, _> = self.window.days().map(|day| (day, 0)).collect();
        for (day, seconds) in self.instances.values().flat_map(|ledger| self.days_of(ledger)) {
            *by_day.entry(day).or_default() += seconds;
        }
        by_day
    }

    /// The seconds of an instance by day, days of one run in order.
    fn days_of(&self, ledger: &Ledger) -> impl Iterator<Item = (UtcSecond, u64)> {
        ledger.runs.iter().filter_map(|run| self.window.clip(run.on, run.off)).flat_map(|part| {
            let whole_days = Span { start: day_of(part.start), end: part.end };
            whole_days.days().filter_map(move |day| {
                let of_day = Span { start: day, end: later(day, super::calendar::DAY) };
                of_day.clip(part.start, Some(part.end)).map(|piece| (day, piece.seconds()))
            })
        })
    }

    /// The largest number of instances that ran at once, by the first second of each UTC day of the window.
    pub fn peak_by_day(&self) -> BTreeMap<UtcSecond, u64> {
        self.peaks(|_| true)
    }

    /// [`Self::peak_by_day`] of each account by itself.
    pub fn peak_by_account_day(&self) -> BTreeMap<String, BTreeMap<UtcSecond, u64>> {
        let accounts: BTreeSet<&str> = self.instances.keys().map(|key| &*key.account_id).collect();
        accounts.into_iter().map(|account| (account.to_owned(), self.peaks(|key| key.account_id == account))).collect()
    }

    fn peaks(&self, wanted: impl Fn(&InstanceKey<'static>) -> bool) -> BTreeMap<UtcSecond, u64> {
        let runs = self.instances.iter().filter(|(key, _)| wanted(key)).flat_map(|(_, ledger)| &ledger.runs);
        // Within a second ends sort before starts: a hand-over is no overlap.
        let mut changes: Vec<(UtcSecond, i64)> =
            runs.filter_map(|run| self.window.clip(run.on, run.off)).flat_map(|part| [(part.start, 1), (part.end, -1)]).collect();
        changes.sort_unstable();
        let mut changes = changes.into_iter().peekable();
        let mut running = 0_i64;
        let mut peak_of = |day: UtcSecond| {
            while let Some((_, change)) = changes.next_if(|(at, _)| *at <= day) {
                running += change;
            }
            let mut peak = running;
            while let Some((_, change)) = changes.next_if(|(at, _)| *at < later(day, super::calendar::DAY)) {
                running += change;
                peak = peak.max(running);
            }
            (day, peak.unsigned_abs())
        };
        self.window.days().map(&mut peak_of).collect()
    }
}

/// A record that CloudTrail never delivered, and what that does to the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRecord {
    /// What it would have told.
    pub action: PowerAction,
    /// When that happened.
    pub at: UtcSecond,
    /// The instance it would have named.
    pub instance: InstanceKey<'static>,
    /// Seconds in the window for which the log says that the instance ran, although it did not.
    pub overstated_seconds: u64,
}

/// The two tellings of a simulated fleet, and what lies between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truth {
    /// What happened.
    pub actual: History,
    /// What the delivered records say: what any right reader of the log must report.
    pub as_logged: History,
    /// The records that were lost; no instance has two.
    pub lost: Vec<LostRecord>,
    /// Seconds in the window that instances older than the log ran and that no record tells.
    pub untold_seconds: u64,
}

/// What the simulation wrote down about one instance.
pub(super) struct Witness {
    pub(super) key: InstanceKey<'static>,
    pub(super) actual: Ledger,
    pub(super) as_logged: Ledger,
    pub(super) lost: Option<(PowerAction, UtcSecond)>,
}

impl Truth {
    pub(super) fn of(window: Span, witnesses: Vec<Witness>) -> Self {
        let mut lost = Vec::new();
        let mut untold_seconds = 0;
        for witness in &witnesses {
            let (actual, logged) = (witness.actual.seconds_in(window), witness.as_logged.seconds_in(window));
            match witness.lost {
                Some((action, at)) => {
                    let overstated_seconds = logged.saturating_sub(actual);
                    lost.push(LostRecord { action, at, instance: witness.key.clone(), overstated_seconds });
                }
                None => untold_seconds += actual.saturating_sub(logged),
            }
        }
        let (actual, as_logged): (Vec<_>, Vec<_>) =
            witnesses.into_iter().map(|w| ((w.key.clone(), w.actual), (w.key, w.as_logged))).unzip();
        Self {
            actual: History::new(window, actual.into_iter()),
            as_logged: History::new(window, as_logged.into_iter()),
            lost,
            untold_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::calendar::{DAY, HOUR};

    fn window(days: i64) -> Span {
        Span { start: UtcSecond(0), end: UtcSecond(days * DAY) }
    }

    fn history(days: i64, runs: &[(i64, Option<i64>)]) -> History {
        let ledgers = runs.iter().enumerate().map(|(n, (on, off))| {
            let key = InstanceKey { account_id: "1".into(), region: "r".into(), instance_id: format!("i-{n}").into() };
            let mut ledger = Ledger::default();
            ledger.on(UtcSecond(*on));
            if let Some(off) = off {
                ledger.off(UtcSecond(*off));
            }
            (key, ledger)
        });
        History::new(window(days), ledgers)
    }

    fn peaks(history: &History) -> Vec<u64> {
        history.peak_by_day().into_values().collect()
    }

    #[test]
    fn a_run_that_ends_at_midnight_is_not_counted_in_the_next_day() {
        let history = history(2, &[(10 * HOUR, Some(DAY)), (12 * HOUR, None)]);
        assert_eq!(peaks(&history), [2, 1]);
        assert_eq!(history.seconds_by_day().into_values().collect::<Vec<_>>(), [26 * 3600, 24 * 3600]);
    }

    #[test]
    fn a_hand_over_within_a_second_is_no_overlap() {
        assert_eq!(peaks(&history(1, &[(0, Some(12 * HOUR)), (12 * HOUR, None)])), [1]);
        assert_eq!(peaks(&history(2, &[(0, Some(DAY)), (DAY, None)])), [1, 1]);
    }

    #[test]
    fn a_run_of_no_seconds_is_a_run_but_runs_never() {
        let history = history(1, &[(HOUR, Some(HOUR))]);
        assert_eq!((history.instances.len(), history.distinct_instances(), peaks(&history)), (1, 0, vec![0]));
    }

    #[test]
    fn only_the_first_of_several_starts_and_ends_counts() {
        let mut ledger = Ledger::default();
        ledger.off(UtcSecond(1));
        ledger.on(UtcSecond(2));
        ledger.becomes("m5.large");
        ledger.on(UtcSecond(3));
        ledger.off(UtcSecond(4));
        ledger.off(UtcSecond(5));
        assert_eq!(ledger.runs, [Run { on: UtcSecond(2), off: Some(UtcSecond(4)), instance_type: None }]);
    }

    #[test]
    fn a_lost_stop_costs_what_the_log_says_too_much_and_an_old_instance_what_it_leaves_out() {
        let run = |on, off| Ledger { runs: vec![Run { on: UtcSecond(on), off, instance_type: None }], ..Ledger::default() };
        let key = |id: &'static str| InstanceKey { account_id: "1".into(), region: "r".into(), instance_id: id.into() };
        let stop = (PowerAction::StopInstances, UtcSecond(HOUR));
        let witnesses = vec![
            Witness { key: key("i-lost"), actual: run(0, Some(stop.1)), as_logged: run(0, None), lost: Some(stop) },
            Witness { key: key("i-old"), actual: run(-DAY, None), as_logged: Ledger::default(), lost: None },
        ];
        let truth = Truth::of(window(1), witnesses);
        assert_eq!(truth.lost[0].overstated_seconds, 23 * 3600);
        assert_eq!(truth.untold_seconds, 24 * 3600);
        assert_eq!((truth.actual.instances.len(), truth.as_logged.instances.len()), (2, 1));
    }
}
