//! Which partitions of shared tasks this process has: it answers for these, and not for what others have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use cloudigrade_pipeline::log::TaskId;
use cloudigrade_schemas::Topic;

/// The partitions that groups gave, by task.
#[derive(Default)]
pub(super) struct Held(Mutex<BTreeMap<TaskId, BTreeSet<(Topic, u32)>>>);

impl Held {
    /// A group gave these, and no others.
    pub(super) fn given(&self, task: TaskId, inputs: &[(Topic, u32)]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(task, inputs.iter().copied().collect());
    }

    /// What a group gives is not known any more.
    pub(super) fn taken(&self, task: TaskId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
    }

    /// Whether this process may have a partition. As long as nothing was given it may: where a group does not come to divide its partitions,
    /// nobody else would answer for them.
    pub(super) fn may_hold(&self, task: TaskId, input: (Topic, u32)) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&task).is_none_or(|held| held.contains(&input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: TaskId = TaskId("operators");

    #[test]
    fn a_process_answers_for_what_it_was_given_and_for_all_while_nothing_is_given() {
        let (held, inputs) = (Held::default(), [0, 1].map(|partition| (Topic::PowerEvents, partition)));
        let may_hold = |held: &Held| inputs.map(|input| held.may_hold(TASK, input));
        assert_eq!(may_hold(&held), [true, true]);
        held.given(TASK, &inputs[..1]);
        assert_eq!(may_hold(&held), [true, false]);
        held.given(TASK, &[]);
        assert_eq!(may_hold(&held), [false, false]);
        held.taken(TASK);
        assert_eq!(may_hold(&held), [true, true]);
    }
}
