//! What becomes of a message after a failure. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::classify::Class;
use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, ENVIRONMENT_BACKOFF_MIN, RECEIVES_BEFORE_BURIAL};

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Leave the message in the queue and try again later.
    Rest,
    /// Write a dead letter; when it is durable, the message may go.
    Bury,
}

/// What to do about a failure of a message that was received so often.
pub(super) fn next(class: Class, receives: u32, gone_after: u32) -> Next {
    let bury = match class {
        Class::Transient | Class::Environment => false,
        Class::Gone => receives >= gone_after,
        Class::Content => receives >= RECEIVES_BEFORE_BURIAL,
    };
    if bury { Next::Bury } else { Next::Rest }
}

/// How long a message rests before it is tried again: doubled for each receive, up to [`BACKOFF_MAX`], and a little different for each
/// message, so that those that failed together do not come back together.
pub(super) fn rest(class: Class, receives: u32, message_id: &str) -> Duration {
    let first = if class == Class::Environment { ENVIRONMENT_BACKOFF_MIN } else { BACKOFF_MIN };
    let doubled = first.saturating_mul(1 << receives.saturating_sub(1).min(16)).min(BACKOFF_MAX);
    let mut hasher = DefaultHasher::new();
    (message_id, receives).hash(&mut hasher);
    // Up to a quarter less: the limit stays one.
    doubled - doubled.mul_f64((hasher.finish() % 256) as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_must_mend_or_what_passes_is_never_buried() {
        for receives in [1, 2, 5, 1_000, u32::MAX] {
            assert_eq!(next(Class::Environment, receives, 5), Next::Rest);
            assert_eq!(next(Class::Transient, receives, 5), Next::Rest);
        }
    }

    #[test]
    fn bad_content_is_buried_at_the_second_receive_and_what_is_gone_at_the_last() {
        let first = |class| (1..).find(|receives| next(class, *receives, 5) == Next::Bury);
        assert_eq!((first(Class::Content), first(Class::Gone)), (Some(2), Some(5)));
    }

    #[test]
    fn rests_grow_to_fifteen_minutes_and_not_beyond() {
        for class in [Class::Transient, Class::Environment] {
            let rests: Vec<Duration> = (1..40).map(|receives| rest(class, receives, "m")).collect();
            assert!(rests.iter().all(|rest| *rest <= BACKOFF_MAX), "{rests:?}");
            assert!(rests[20] > BACKOFF_MAX / 2);
        }
        assert!(rest(Class::Transient, 1, "m") <= BACKOFF_MIN);
        assert!(rest(Class::Environment, 1, "m") > BACKOFF_MIN);
        assert!(rest(Class::Transient, u32::MAX, "m") <= BACKOFF_MAX);
    }
}
