//! Whether this worker may still act. Another can have taken over while this one stood still, and learns of it from the log alone; what it does in
//! the cloud by then nobody would undo. So steps go on only while the log has said lately that the work is this worker's.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::limits::HELD_FOR_SECONDS;
use crate::worker::Clock;

/// When the log last said that the work is this worker's.
#[derive(Clone)]
pub(crate) struct Hold {
    clock: Clock,
    heard_at: Arc<AtomicI64>,
}

impl Hold {
    /// Of a task that was opened now.
    pub(crate) fn new(clock: Clock) -> Self {
        let heard_at = Arc::new(AtomicI64::new(clock().0));
        Self { clock, heard_at }
    }

    /// The log was asked, or took a commit.
    pub(crate) fn heard(&self) {
        self.heard_at.store((self.clock)().0, Ordering::Relaxed);
    }

    fn is_lost(&self) -> bool {
        (self.clock)().0.saturating_sub(self.heard_at.load(Ordering::Relaxed)) > HELD_FOR_SECONDS
    }

    /// A step that is taken no further once too long nothing was heard, but gives this instead.
    pub(crate) fn guard<T: Send + 'static>(
        &self,
        mut step: BoxFuture<'static, T>,
        given_up: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, T> {
        let hold = self.clone();
        let taken = poll_fn(move |cx| if hold.is_lost() { Poll::Ready(None) } else { step.as_mut().poll(cx).map(Some) });
        taken.map(move |taken| taken.unwrap_or_else(given_up)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::UtcSecond;
    use futures::future::poll_immediate;

    use super::*;

    #[tokio::test]
    async fn a_step_goes_no_further_once_nothing_was_heard_of_the_log_for_too_long() {
        let now = Arc::new(AtomicI64::new(1_000));
        let told = Arc::clone(&now);
        let hold = Hold::new(Arc::new(move || UtcSecond(told.load(Ordering::Relaxed))));
        let step = |left: i32| {
            let mut left = left;
            let counts_down = poll_fn(move |_| {
                left -= 1;
                if left < 0 { Poll::Ready("done") } else { Poll::Pending }
            });
            hold.guard(counts_down.boxed(), || "given up")
        };
        let (mut quick, mut slow, mut late) = (step(1), step(2), step(1));
        assert_eq!((poll_immediate(&mut quick).await, poll_immediate(&mut slow).await), (None, None));
        now.fetch_add(HELD_FOR_SECONDS, Ordering::Relaxed);
        assert_eq!((poll_immediate(&mut quick).await, poll_immediate(&mut slow).await), (Some("done"), None));
        hold.heard();
        now.fetch_add(HELD_FOR_SECONDS, Ordering::Relaxed);
        assert_eq!(poll_immediate(&mut slow).await, Some("done"));
        now.fetch_add(1, Ordering::Relaxed);
        assert_eq!(poll_immediate(&mut late).await, Some("given up"));
    }
}
