//! Compares what the pipeline measured with what the delivered log says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cloudigrade_schemas::{InstanceKey, UtcSecond};

use super::calendar::date_text;
use super::truth::{History, Run};

/// What the pipeline reports, in the units of [`History`]. A day that is missing counts as 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The runs of each instance, in any order.
    pub runs: BTreeMap<InstanceKey<'static>, Vec<Run>>,
    /// Seconds run, by the first second of each UTC day of the window.
    pub seconds_by_day: BTreeMap<UtcSecond, u64>,
    /// Instances at once, by day.
    pub peak_by_day: BTreeMap<UtcSecond, u64>,
    /// Instances at once, by account and day.
    pub peak_by_account_day: BTreeMap<String, BTreeMap<UtcSecond, u64>>,
    /// Instances that ran in the window.
    pub distinct_instances: u64,
}

/// One place where measurement and truth part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The runs of an instance; empty on a side that does not know it.
    Runs {
        /// The instance.
        instance: InstanceKey<'static>,
        /// The runs that the log tells.
        expected: Vec<Run>,
        /// The runs that were measured.
        measured: Vec<Run>,
    },
    /// A number.
    Number {
        /// Which.
        what: Figure,
        /// What the log tells.
        expected: u64,
        /// What was measured.
        measured: u64,
    },
}

/// A number that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Instances that ran in the window.
    DistinctInstances,
    /// Seconds run on a day.
    Seconds {
        /// The day's first second.
        day: UtcSecond,
    },
    /// Instances at once on a day.
    Peak {
        /// The account; `None` for all together.
        account_id: Option<String>,
        /// The day's first second.
        day: UtcSecond,
    },
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DistinctInstances => f.write_str("distinct instances"),
            Self::Seconds { day } => write!(f, "seconds run on {}", date_text(*day)),
            Self::Peak { account_id: None, day } => write!(f, "instances at once on {}", date_text(*day)),
            Self::Peak { account_id: Some(account), day } => write!(f, "instances at once of account {account} on {}", date_text(*day)),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { what, expected, measured } => write!(f, "{what}: expected {expected}, measured {measured}"),
            Self::Runs { instance, expected, measured } => {
                let (missing, extra): (Vec<_>, Vec<_>) = (without(expected, measured), without(measured, expected));
                write!(f, "runs of {instance}: ")?;
                list(f, "missing", &missing)?;
                f.write_str(if missing.is_empty() || extra.is_empty() { "" } else { "; " })?;
                list(f, "too many", &extra)
            }
        }
    }
}

fn without<'a>(runs: &'a [Run], others: &[Run]) -> Vec<&'a Run> {
    runs.iter().filter(|run| !others.contains(run)).collect()
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, runs: &[&Run]) -> fmt::Result {
    for (n, run) in runs.iter().enumerate() {
        f.write_str(if n == 0 { title } else { "," })?;
        let off = run.off.map_or_else(|| "now".to_owned(), |off| off.to_string());
        write!(f, " [{}, {off}) as {}", run.on, run.instance_type.as_deref().unwrap_or("an unknown type"))?;
    }
    Ok(())
}

impl History {
    /// All differences from what was measured; none when they are equal.
    pub fn compare(&self, measured: &Measured) -> Vec<Difference> {
        let mut differences = self.differing_runs(measured);
        let mut numbers =
            |expected: &BTreeMap<UtcSecond, u64>, measured: &BTreeMap<UtcSecond, u64>, figure: &dyn Fn(UtcSecond) -> Figure| {
                let days: BTreeSet<_> = expected.keys().chain(measured.keys()).copied().collect();
                let value = |of: &BTreeMap<UtcSecond, u64>, day| of.get(&day).copied().unwrap_or(0);
                differences.extend(days.into_iter().filter_map(|day| number(figure(day), value(expected, day), value(measured, day))));
            };
        numbers(&self.seconds_by_day(), &measured.seconds_by_day, &|day| Figure::Seconds { day });
        numbers(&self.peak_by_day(), &measured.peak_by_day, &|day| Figure::Peak { account_id: None, day });
        let (by_account, none) = (self.peak_by_account_day(), BTreeMap::new());
        let accounts: BTreeSet<_> = by_account.keys().chain(measured.peak_by_account_day.keys()).collect();
        for account in accounts {
            let expected = by_account.get(account).unwrap_or(&none);
            let measured = measured.peak_by_account_day.get(account).unwrap_or(&none);
            numbers(expected, measured, &|day| Figure::Peak { account_id: Some(account.clone()), day });
        }
        differences.extend(number(Figure::DistinctInstances, self.distinct_instances(), measured.distinct_instances));
        differences
    }

    fn differing_runs(&self, measured: &Measured) -> Vec<Difference> {
        let instances: BTreeSet<_> = self.instances.keys().chain(measured.runs.keys()).collect();
        let differing = instances.into_iter().filter_map(|instance| {
            let expected = self.instances.get(instance).map(|ledger| ledger.runs.clone()).unwrap_or_default();
            let mut measured = measured.runs.get(instance).cloned().unwrap_or_default();
            measured.sort();
            (expected != measured).then(|| Difference::Runs { instance: instance.clone(), expected, measured })
        });
        differing.collect()
    }
}

fn number(what: Figure, expected: u64, measured: u64) -> Option<Difference> {
    (expected != measured).then_some(Difference::Number { what, expected, measured })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::{FleetOptions, simulate};

    fn history() -> History {
        simulate(&FleetOptions { days: 2, ..FleetOptions::default() }).unwrap().truth.as_logged
    }

    fn measured(history: &History) -> Measured {
        Measured {
            runs: history.instances.iter().map(|(key, ledger)| (key.clone(), ledger.runs.clone())).collect(),
            seconds_by_day: history.seconds_by_day(),
            peak_by_day: history.peak_by_day(),
            peak_by_account_day: history.peak_by_account_day(),
            distinct_instances: history.distinct_instances(),
        }
    }

    #[test]
    fn a_right_measurement_differs_in_nothing_whatever_the_order_of_runs_and_the_days_left_out() {
        let history = history();
        let mut right = measured(&history);
        right.runs.values_mut().for_each(|runs| runs.reverse());
        right.peak_by_account_day.values_mut().for_each(|days| days.retain(|_, peak| *peak > 0));
        assert_eq!(history.compare(&right), []);
    }

    #[test]
    fn each_wrong_number_is_named() {
        let history = history();
        let mut wrong = measured(&history);
        let day = history.window.start;
        let expected = (history.seconds_by_day()[&day], history.peak_by_day()[&day]);
        wrong.seconds_by_day.insert(day, 7);
        wrong.peak_by_day.insert(day, 8);
        wrong.peak_by_account_day.insert("999".into(), BTreeMap::from([(day, 9)]));
        wrong.distinct_instances = 10;
        let texts: Vec<String> = history.compare(&wrong).iter().map(Difference::to_string).collect();
        assert_eq!(
            texts,
            [
                format!("seconds run on 2024-03-01: expected {}, measured 7", expected.0),
                format!("instances at once on 2024-03-01: expected {}, measured 8", expected.1),
                "instances at once of account 999 on 2024-03-01: expected 0, measured 9".to_owned(),
                format!("distinct instances: expected {}, measured 10", history.distinct_instances()),
            ]
        );
    }

    #[test]
    fn a_wrong_run_is_shown_beside_the_right_one() {
        let history = history();
        let mut wrong = measured(&history);
        let (key, runs) = wrong.runs.iter_mut().next().unwrap();
        let (key, right) = (key.clone(), runs[0].clone());
        runs[0].off = None;
        runs[0].instance_type = None;
        let differences = history.compare(&wrong);
        let off = right.off.map_or_else(|| "now".into(), |off| off.to_string());
        let expected = format!(
            "runs of {key}: missing [{on}, {off}) as {}; too many [{on}, now) as an unknown type",
            right.instance_type.unwrap(),
            on = right.on
        );
        assert_eq!(differences.iter().map(Difference::to_string).collect::<Vec<_>>(), [expected]);
    }
}
