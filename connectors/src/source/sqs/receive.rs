//! Asks for messages while there is room for them.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::acks::Acks;
use super::counted;
use super::notification::{Item, Notification, parse};
use super::queue::{QueueError, Received};
use super::room::Place;
use super::shared::Shared;
use crate::limits::{QUEUE_BACKOFF_MAX, QUEUE_BACKOFF_MIN};

impl Shared {
    /// Receives messages, each into a task of its own, until the source stops.
    pub(super) async fn receive(self: Arc<Self>, messages: TaskTracker, acks: Acks) {
        let mut backoff = QUEUE_BACKOFF_MIN;
        loop {
            let asked = async {
                let places = self.places().await;
                let answer = self.queue.receive(places.len()).await;
                (places, answer)
            };
            let (places, answer) = tokio::select! {
                biased;
                // Messages that are on their way just now are delivered again when their time is over.
                () = self.stop.cancelled() => return,
                asked = asked => asked,
            };
            let received_at = self.clock.elapsed();
            let rest = match answer {
                Ok(received) => {
                    backoff = QUEUE_BACKOFF_MIN;
                    self.readiness.works(&self.receive_witness());
                    // A queue that does not wait by itself is not asked all the time.
                    let idle = received.is_empty() && self.options.wait_time.is_zero();
                    self.count(&received);
                    self.begin(received, places, received_at, &messages, &acks);
                    idle.then_some(QUEUE_BACKOFF_MIN)
                }
                Err(error) => {
                    drop(places);
                    let rest = backoff;
                    self.not_received(&error, rest == QUEUE_BACKOFF_MAX);
                    backoff = (backoff * 2).min(QUEUE_BACKOFF_MAX);
                    Some(rest)
                }
            };
            if let Some(rest) = rest {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return,
                    () = self.clock.sleep(rest) => {}
                }
            }
        }
    }

    /// Waits for room for at least one message, and takes room for as many as one request may give.
    async fn places(&self) -> Vec<Place> {
        self.rooms.have_room().await;
        let first = self.rooms.messages.enter(1).await;
        let mut places = self.rooms.messages.take(self.options.max_messages - 1);
        places.push(first);
        places
    }

    fn begin(self: &Arc<Self>, received: Vec<Received>, places: Vec<Place>, received_at: Duration, messages: &TaskTracker, acks: &Acks) {
        let mut places = places.into_iter();
        for mut message in received {
            let (shared, acks, place) = (self.clone(), acks.clone(), places.next());
            let notification = match message.object.take() {
                Some(object) => Notification { items: vec![Item::Object(object)], ignored: 0 },
                None => parse(&message.body),
            };
            let waits = self.rooms.backlog.add(notification.items.len());
            messages.spawn(async move {
                let _place = place;
                tokio::select! {
                    biased;
                    () = shared.abandon.cancelled() => {}
                    () = shared.handle(message, notification, received_at, waits, acks) => {}
                }
            });
        }
    }

    fn count(&self, received: &[Received]) {
        let now = self.clock.wall_ms();
        let age = |message: &Received| message.sent_at_ms.map(|sent| (now - sent).max(0) as f64 / 1e3);
        let ages: Vec<f64> = received.iter().filter_map(age).collect();
        counted::received(&ages);
    }

    /// What passes by itself is no matter for anybody, unless it has not for so long that nothing is waited longer for.
    fn not_received(&self, error: &QueueError, lasts: bool) {
        counted::queue_error();
        tracing::warn!(queue = self.options.queue_url, %error, "the queue gives no messages; trying again");
        if let QueueError::Failed { failure } = error
            && (lasts || !error.is_transient())
        {
            let code = failure.code.as_deref().unwrap_or("NotSent");
            let message = format!("{}: {error}", self.options.queue_url);
            self.readiness.report(
                &format!("queue {}", self.options.queue_name()),
                code,
                &self.receive_witness(),
                message,
                self.clock.wall(),
            );
        }
    }

    fn receive_witness(&self) -> String {
        format!("{}: receive", self.options.queue_url)
    }
}
