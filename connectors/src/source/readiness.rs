//! What somebody must mend before collecting goes on: shared by all that reach out, read by the readiness probe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use cloudigrade_schemas::UtcSecond;
use serde::Serialize;

use crate::limits::{PROBLEM_KEPT, PROBLEM_WITNESSES_MAX, PROBLEMS_MAX};

/// Something that somebody must mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What does not work: a bucket, a queue, a role.
    pub subject: String,
    /// The service's code, as a stable word.
    pub code: String,
    /// What happened, to what, and what to do.
    pub message: String,
    /// Since when.
    pub since: UtcSecond,
    /// When it was seen last.
    pub seen_at: UtcSecond,
    /// How often it was seen.
    pub times: u64,
}

#[derive(Debug)]
struct Told {
    problem: Problem,
    witnesses: BTreeSet<String>,
}

/// The open problems. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    told: Arc<Mutex<BTreeMap<(String, String), Told>>>,
}

impl Readiness {
    /// Tells a problem. `witness` is the very thing that showed it, an object or a call: when that works, the problem is over.
    pub fn report(&self, subject: &str, code: &str, witness: &str, message: String, now: UtcSecond) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (subject.to_owned(), code.to_owned());
        if told.len() >= PROBLEMS_MAX && !told.contains_key(&key) {
            return;
        }
        let told = told.entry(key).or_insert_with(|| Told {
            problem: Problem { subject: subject.into(), code: code.into(), message: String::new(), since: now, seen_at: now, times: 0 },
            witnesses: BTreeSet::new(),
        });
        told.problem.message = message;
        told.problem.seen_at = now;
        told.problem.times += 1;
        if told.witnesses.len() < PROBLEM_WITNESSES_MAX {
            told.witnesses.insert(witness.to_owned());
        }
    }

    /// Tells that something works. A problem is over when all that showed it work again.
    pub fn works(&self, witness: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, told| !(told.witnesses.remove(witness) && told.witnesses.is_empty()));
    }

    /// The open problems. One that has not shown for [`PROBLEM_KEPT`] is over: whatever showed it may be gone.
    pub fn problems(&self, now: UtcSecond) -> Vec<Problem> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = i64::try_from(PROBLEM_KEPT.as_secs()).unwrap_or(i64::MAX);
        told.retain(|_, told| now.0.saturating_sub(told.problem.seen_at.0) <= kept);
        told.values().map(|told| told.problem.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(readiness: &Readiness, witness: &str, at: i64) {
        readiness.report("s3://trail", "AccessDenied", witness, format!("{witness} is denied"), UtcSecond(at));
    }

    #[test]
    fn a_problem_is_over_when_all_that_showed_it_work() {
        let readiness = Readiness::default();
        report(&readiness, "a", 1);
        report(&readiness, "b", 5);
        readiness.works("c");
        readiness.works("a");
        let [problem] = &readiness.problems(UtcSecond(6))[..] else { panic!() };
        assert_eq!((problem.since, problem.seen_at, problem.times), (UtcSecond(1), UtcSecond(5), 2));
        readiness.works("b");
        assert!(readiness.problems(UtcSecond(6)).is_empty());
    }

    #[test]
    fn a_problem_that_no_longer_shows_is_over() {
        let readiness = Readiness::default();
        report(&readiness, "a", 0);
        let kept = PROBLEM_KEPT.as_secs() as i64;
        assert_eq!(readiness.problems(UtcSecond(kept)).len(), 1);
        assert!(readiness.problems(UtcSecond(kept + 1)).is_empty());
    }

    #[test]
    fn problems_and_their_witnesses_are_bounded() {
        let readiness = Readiness::default();
        for n in 0..PROBLEMS_MAX + 10 {
            readiness.report(&format!("s{n}"), "c", "w", String::new(), UtcSecond(0));
        }
        assert_eq!(readiness.problems(UtcSecond(0)).len(), PROBLEMS_MAX);
        let readiness = Readiness::default();
        (0..100).for_each(|n| report(&readiness, &n.to_string(), 0));
        assert_eq!(readiness.told.lock().unwrap().values().next().unwrap().witnesses.len(), PROBLEM_WITNESSES_MAX);
    }
}
