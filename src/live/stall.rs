//! Tasks that have something to do in a partition and do not get on there: a stall says nothing by itself.
//!
//! Each partition is looked at for itself. One that hangs, as after a rebalance that went wrong, must not be hidden by others that move.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::TaskId;
use cloudigrade_schemas::Topic;

use crate::limits::STALLED_AFTER;

/// A partition that a task reads.
pub type Input = (TaskId, Topic, u32);

/// Where tasks were seen last in each of their partitions, and since when they are there with something to do.
#[derive(Default)]
pub struct Stalls(BTreeMap<Input, (u64, Instant)>);

impl Stalls {
    /// How long a task has not got on from an offset of a partition, once that is longer than [`STALLED_AFTER`]. Where it has nothing to do, it
    /// does not have to.
    pub fn look(&mut self, input: Input, offset: u64, lag: u64, now: Instant) -> Option<Duration> {
        match self.0.get(&input) {
            Some((before, since)) if lag > 0 && *before == offset => {
                Some(now.saturating_duration_since(*since)).filter(|still| *still >= STALLED_AFTER)
            }
            _ => {
                self.0.insert(input, (offset, now));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: Input = (TaskId("operators"), Topic::PowerEvents, 0);
    const OTHER: Input = (TaskId("operators"), Topic::PowerEvents, 1);

    #[test]
    fn a_task_that_has_something_to_do_and_does_not_get_on_is_stalled_until_it_does() {
        let (mut stalls, began) = (Stalls::default(), Instant::now());
        assert_eq!(stalls.look(INPUT, 1, 5, began), None);
        assert_eq!(stalls.look(INPUT, 1, 6, began + STALLED_AFTER - Duration::from_secs(1)), None);
        assert_eq!(stalls.look(INPUT, 1, 6, began + STALLED_AFTER), Some(STALLED_AFTER));
        assert_eq!(stalls.look(INPUT, 2, 5, began + STALLED_AFTER), None);
        assert_eq!(stalls.look(INPUT, 2, 5, began + STALLED_AFTER * 2), Some(STALLED_AFTER));
    }

    #[test]
    fn a_partition_that_hangs_is_seen_beside_others_that_move() {
        let (mut stalls, began) = (Stalls::default(), Instant::now());
        for ticks in 0..12_u32 {
            let now = began + STALLED_AFTER / 12 * ticks;
            assert_eq!(stalls.look(INPUT, u64::from(ticks), 1_000, now), None);
            assert_eq!(stalls.look(OTHER, 7, 1, now), None);
        }
        assert_eq!(stalls.look(INPUT, 12, 1_000, began + STALLED_AFTER), None);
        assert_eq!(stalls.look(OTHER, 7, 1, began + STALLED_AFTER), Some(STALLED_AFTER));
    }

    #[test]
    fn a_task_with_nothing_to_do_is_not_stalled_and_has_its_time_from_when_something_comes() {
        let (mut stalls, began) = (Stalls::default(), Instant::now());
        for minutes in 0..60 {
            for input in [INPUT, OTHER] {
                assert_eq!(stalls.look(input, 1, 0, began + Duration::from_secs(60 * minutes)), None);
            }
        }
        assert_eq!(stalls.look(INPUT, 1, 1, began + Duration::from_secs(60 * 60)), None);
        assert_eq!(stalls.look(INPUT, 1, 1, began + Duration::from_secs(59 * 60) + STALLED_AFTER), Some(STALLED_AFTER));
    }
}
