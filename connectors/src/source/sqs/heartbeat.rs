//! Keeps a message hidden from other readers while it is worked on.

use std::time::Duration;

use super::clock::Clock;
use super::counted;
use super::queue::{Queue, QueueError};
use crate::limits::HEARTBEAT_FOR_MAX;

/// A delivery of a message that is to be kept.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub queue: &'a dyn Queue,
    pub clock: &'a dyn Clock,
    pub receipt: &'a str,
    /// How long each renewal hides it.
    pub visibility: Duration,
    /// When it was received, by the clock's [`Clock::elapsed`].
    pub received_at: Duration,
}

impl Kept<'_> {
    /// Renews the hiding at half of its time, from the moment of receiving. Returns only when the message cannot be kept any longer: it
    /// is somebody else's then, and what is done for it does no harm, since repeating it changes nothing.
    pub(super) async fn keep(self) {
        let half = self.visibility / 2;
        let retry = (self.visibility / 10).max(Duration::from_secs(1));
        let mut due = self.received_at + half;
        while due < self.received_at + HEARTBEAT_FOR_MAX {
            self.clock.sleep(due.saturating_sub(self.clock.elapsed())).await;
            let asked_at = self.clock.elapsed();
            match self.queue.hide(self.receipt.to_owned(), self.visibility).await {
                Ok(()) => due = asked_at + half,
                Err(QueueError::NotOurs) => {
                    counted::heartbeat("lost");
                    return tracing::warn!("a message is not ours any more: it was delivered again while it was worked on");
                }
                Err(error) => {
                    counted::heartbeat("failed");
                    tracing::warn!(%error, "a message could not be kept hidden; trying again");
                    due = asked_at + retry;
                }
            }
        }
    }
}
