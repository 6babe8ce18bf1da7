//! Waits between repeats of what failed: each twice as long as the one before, so that a broker in trouble is not asked all the time.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::limits as l;

/// The next wait.
pub(super) struct Pause {
    next: Duration,
    max: Duration,
}

impl Pause {
    /// Waits from [`l::KAFKA_RETRY_MIN`] to as long as this.
    pub(super) fn upto(max: Duration) -> Self {
        Self { next: l::KAFKA_RETRY_MIN.min(max), max }
    }

    /// Waits, at most for what is left of the time.
    pub(super) fn wait(&mut self, left: Duration) {
        sleep(self.take().min(left));
    }

    fn take(&mut self) -> Duration {
        let next = self.next;
        self.next = (next * 2).min(self.max);
        next
    }
}

/// Repeats a part of opening a log while it may succeed, for [`l::KAFKA_OPEN_MAX`].
pub(super) fn patiently<T, E>(passes: impl Fn(&E) -> bool, mut call: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let (began, mut pause) = (Instant::now(), Pause::upto(l::KAFKA_RETRY_MAX));
    loop {
        match call() {
            Err(error) if passes(&error) && began.elapsed() < l::KAFKA_OPEN_MAX => {
                pause.wait(l::KAFKA_OPEN_MAX.saturating_sub(began.elapsed()));
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_doubled_up_to_a_limit() {
        let mut pause = Pause::upto(l::KAFKA_RETRY_MIN * 5);
        let waits: Vec<_> = (0..5).map(|_| pause.take()).collect();
        assert_eq!(waits, [1, 2, 4, 5, 5].map(|times| l::KAFKA_RETRY_MIN * times));
        let mut steady = Pause::upto(l::KAFKA_RETRY_MIN);
        assert_eq!([steady.take(), steady.take()], [l::KAFKA_RETRY_MIN; 2]);
    }
}
