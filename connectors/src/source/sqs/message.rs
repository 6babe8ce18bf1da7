//! One message: from receiving it to deleting it or giving it back.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;

use super::acks::Acks;
use super::backlog::NotInLine;
use super::classify::Class;
use super::counted;
use super::decide::rest;
use super::heartbeat::Kept;
use super::notification::{Item, Notification};
use super::object::{Named, Outcome};
use super::queue::Received;
use super::shared::Shared;
use crate::limits::OBJECTS_PER_MESSAGE_AT_ONCE;

/// What is done with a message once all that it names has an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All of it is durable: delete it.
    Delete,
    /// Hide it for a while, and try again.
    Rest(Class),
    /// Give it back at once.
    Return,
    /// The log failed: leave it.
    Leave,
}

impl Shared {
    /// Does all that a message asks for, and settles it. It is kept hidden from others until then.
    pub(super) async fn handle(&self, received: Received, notification: Notification, received_at: Duration, waits: NotInLine, acks: Acks) {
        let Received { id, receipt, body, receive_count, .. } = received;
        let kept =
            Kept { queue: &*self.queue, clock: &*self.clock, receipt: &receipt, visibility: self.options.visibility_timeout, received_at };
        let work = async {
            match self.work(&notification, Named { message_id: &id, body: &body, receives: receive_count }, waits).await {
                Verdict::Delete => (Verdict::Delete, acks.delete(receipt.clone()).await),
                verdict => (verdict, Ok(())),
            }
        };
        let (verdict, deleted) = match select(std::pin::pin!(work), std::pin::pin!(kept.keep())).await {
            Either::Left((done, _)) => done,
            // It cannot be kept; what was begun is finished all the same, which spares whoever has it now the work.
            Either::Right(((), work)) => work.await,
        };
        let queue = format!("queue {}", self.options.queue_name());
        match (verdict, deleted) {
            (Verdict::Delete, Ok(())) => {
                counted::message("deleted");
                self.readiness.works(&delete_witness(&queue));
            }
            (Verdict::Delete, Err(error)) => {
                counted::message("undeleted");
                counted::queue_error();
                tracing::warn!(message = id, %error, "a message is done but could not be deleted; it will be delivered again, which changes nothing");
                if !error.is_transient() && !matches!(error, super::queue::QueueError::NotOurs) {
                    self.readiness.report(&queue, "DeleteMessage", &delete_witness(&queue), error.to_string(), self.clock.wall());
                }
            }
            (Verdict::Rest(class), _) => {
                counted::message("rests");
                self.hide(receipt, rest(class, receive_count, &id)).await;
            }
            (Verdict::Return | Verdict::Leave, _) => {
                counted::message("returned");
                self.hide(receipt, Duration::ZERO).await;
            }
        }
    }

    /// A message that cannot be hidden comes back when its time is over, which is as good, only later or sooner.
    async fn hide(&self, receipt: String, wait: Duration) {
        if let Err(error) = self.queue.hide(receipt, wait).await {
            counted::queue_error();
            tracing::warn!(%error, "a message could not be given back; it comes back when its visibility timeout ends");
        }
    }

    async fn work(&self, notification: &Notification, named: Named<'_>, mut waits: NotInLine) -> Verdict {
        counted::ignored(notification.ignored);
        let mut items = notification.items.iter();
        let mut under_way = FuturesUnordered::new();
        let mut verdict = Verdict::Delete;
        loop {
            let room = OBJECTS_PER_MESSAGE_AT_ONCE - under_way.len();
            items.by_ref().take(room).for_each(|item| under_way.push(self.process_unless_stopping(item, named, waits.take_one())));
            match under_way.next().await {
                Some(outcome) => verdict = verdict.and(&outcome),
                None => return verdict,
            }
        }
    }

    async fn process_unless_stopping(&self, item: &Item, named: Named<'_>, waits: NotInLine) -> Outcome {
        match self.stop.is_cancelled() {
            true => Outcome::Returned,
            false => self.process(item, named, waits).await,
        }
    }
}

impl Verdict {
    /// The message is deleted only when the last thing that it names is done; the longest rest and the strongest reason hold.
    fn and(self, outcome: &Outcome) -> Self {
        match (self, outcome) {
            (Self::Leave, _) | (_, Outcome::NotCommitted) => Self::Leave,
            (Self::Return, _) | (_, Outcome::Returned) => Self::Return,
            (Self::Rest(Class::Environment), _) | (_, Outcome::Failed(Class::Environment)) => Self::Rest(Class::Environment),
            (Self::Delete, Outcome::Failed(class)) => Self::Rest(*class),
            (verdict, Outcome::Failed(_) | Outcome::Done(_)) => verdict,
        }
    }
}

fn delete_witness(queue: &str) -> String {
    format!("{queue}: delete")
}
