//! What all messages of a source share.

use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::clock::Clock;
use super::counted;
use super::decoders::Decoders;
use super::objects::Objects;
use super::options::{Checked, SqsOptions};
use super::queue::Queue;
use super::room::Room;
use crate::limits::{LIVE_BYTES_MAX, MESSAGES_IN_HAND_MAX, MESSAGES_PER_WORKER, OBJECTS_WAITING_PER_WORKER};
use crate::source::committer::{Committer, Entry, NotCommitted};
use crate::source::ledger::Known;
use crate::source::readiness::Readiness;

/// What a source works with.
pub(super) struct Shared {
    pub queue: Arc<dyn Queue>,
    pub objects: Arc<dyn Objects>,
    pub clock: Arc<dyn Clock>,
    pub committer: Committer,
    pub known: Known,
    pub readiness: Readiness,
    pub options: SqsOptions,
    pub checked: Checked,
    pub decoders: Decoders,
    pub rooms: Rooms,
    /// Take no more work, give back what was not begun.
    pub stop: CancellationToken,
    /// Drop everything.
    pub abandon: CancellationToken,
    /// Why nothing enters the log any more, once it is so.
    pub log_failed: OnceLock<NotCommitted>,
}

/// What bounds the work.
pub(super) struct Rooms {
    /// Messages that are received but not yet deleted or given back.
    pub messages: Room,
    /// Objects that were received and do not stand in line yet.
    pub backlog: Backlog,
    /// Objects that are being read, and some that are next.
    pub in_line: Room,
    /// Objects that are fetched and decoded.
    pub workers: Room,
    /// Bytes that are fetched but not decoded.
    pub content: Room,
    /// Bytes that are decoded but not committed.
    pub harvests: Room,
}

impl Rooms {
    pub(super) fn new(workers: usize, max_messages: usize) -> Self {
        let messages = (workers * MESSAGES_PER_WORKER).max(max_messages).min(MESSAGES_IN_HAND_MAX);
        Self {
            messages: Room::new(messages),
            backlog: Backlog::new(),
            in_line: Room::new(workers * (1 + OBJECTS_WAITING_PER_WORKER)),
            workers: Room::new(workers),
            content: Room::new(LIVE_BYTES_MAX),
            harvests: Room::new(LIVE_BYTES_MAX),
        }
    }

    /// Waits until more messages may be received: all objects that were received are in line, and there is room for bytes.
    pub(super) async fn have_room(&self) {
        self.backlog.is_empty().await;
        self.in_line.has_room().await;
        self.content.has_room().await;
        self.harvests.has_room().await;
    }

    /// Tells how many bytes are inside.
    pub(super) fn count(&self) {
        counted::in_flight(self.content.inside() + self.harvests.inside());
    }
}

impl Shared {
    /// Commits. A failure ends the source: without the log nothing may be taken from the queue.
    pub(super) async fn commit(&self, entry: Entry) -> Result<(), NotCommitted> {
        self.committer.commit(entry).await.inspect_err(|failure| self.fail(failure))
    }

    pub(super) fn fail(&self, failure: &NotCommitted) {
        // The first failure is the cause of the others.
        drop(self.log_failed.set(failure.clone()));
        self.stop.cancel();
    }
}
