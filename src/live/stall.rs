//! Tasks that have something to do and do not get on: a stall says nothing by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{Position, TaskId};

use crate::limits::STALLED_AFTER;

/// Where tasks were seen last, and since when they are there with something to do.
#[derive(Default)]
pub struct Stalls(BTreeMap<TaskId, (Vec<Position>, Instant)>);

impl Stalls {
    /// How long a task has not got on, once that is longer than [`STALLED_AFTER`]. A task that has nothing to do does not have to.
    pub fn look(&mut self, task: TaskId, positions: Vec<Position>, lag: u64, now: Instant) -> Option<Duration> {
        match self.0.get(&task) {
            Some((before, since)) if lag > 0 && *before == positions => {
                Some(now.saturating_duration_since(*since)).filter(|still| *still >= STALLED_AFTER)
            }
            _ => {
                self.0.insert(task, (positions, now));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::Topic;

    use super::*;

    const TASK: TaskId = TaskId("operators");

    fn at(offset: u64) -> Vec<Position> {
        vec![Position { topic: Topic::PowerEvents, partition: 0, offset }]
    }

    #[test]
    fn a_task_that_has_something_to_do_and_does_not_get_on_is_stalled_until_it_does() {
        let (mut stalls, began) = (Stalls::default(), Instant::now());
        assert_eq!(stalls.look(TASK, at(1), 5, began), None);
        assert_eq!(stalls.look(TASK, at(1), 6, began + STALLED_AFTER - Duration::from_secs(1)), None);
        assert_eq!(stalls.look(TASK, at(1), 6, began + STALLED_AFTER), Some(STALLED_AFTER));
        assert_eq!(stalls.look(TASK, at(2), 5, began + STALLED_AFTER), None);
        assert_eq!(stalls.look(TASK, at(2), 5, began + STALLED_AFTER * 2), Some(STALLED_AFTER));
    }

    #[test]
    fn a_task_with_nothing_to_do_is_not_stalled_and_has_its_time_from_when_something_comes() {
        let (mut stalls, began) = (Stalls::default(), Instant::now());
        for minutes in 0..60 {
            assert_eq!(stalls.look(TASK, at(1), 0, began + Duration::from_secs(60 * minutes)), None);
        }
        assert_eq!(stalls.look(TASK, at(1), 1, began + Duration::from_secs(60 * 60)), None);
        assert_eq!(stalls.look(TASK, at(1), 1, began + Duration::from_secs(59 * 60) + STALLED_AFTER), Some(STALLED_AFTER));
    }
}
