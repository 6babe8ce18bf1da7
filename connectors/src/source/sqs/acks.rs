//! Deletes messages, ten a request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::queue::{Queue, QueueError};
use crate::limits::{ACK_ATTEMPTS_MAX, ACK_BATCHES_AT_ONCE, ACK_LINGER, ACK_QUEUE_MAX, QUEUE_BATCH_MAX};

/// A message to delete, and who waits for it.
struct Ack {
    receipt: String,
    done: oneshot::Sender<Result<(), QueueError>>,
}

/// Takes messages to delete. When the last clone is gone, what is left is deleted and the task ends.
#[derive(Clone)]
pub(super) struct Acks {
    waiting: mpsc::Sender<Ack>,
}

impl Acks {
    /// The handle, and what to run.
    pub(super) fn new(queue: Arc<dyn Queue>, clock: Arc<dyn Clock>) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, waiting) = mpsc::channel(ACK_QUEUE_MAX);
        (Self { waiting: sender }, run(waiting, queue, clock))
    }

    /// Deletes a message, with others that are to be deleted at the same time. Only what is durable may be deleted.
    pub(super) async fn delete(&self, receipt: String) -> Result<(), QueueError> {
        let (done, deleted) = oneshot::channel();
        // Both ends live as long as the source: without them the message is delivered again.
        self.waiting.send(Ack { receipt, done }).await.map_err(|_| QueueError::NotOurs)?;
        deleted.await.unwrap_or(Err(QueueError::NotOurs))
    }
}

async fn run(mut waiting: mpsc::Receiver<Ack>, queue: Arc<dyn Queue>, clock: Arc<dyn Clock>) {
    let at_once = Arc::new(Semaphore::new(ACK_BATCHES_AT_ONCE));
    let mut batches = JoinSet::new();
    while let Some(first) = waiting.recv().await {
        let mut batch = vec![first];
        let mut linger = clock.sleep(ACK_LINGER);
        while batch.len() < QUEUE_BATCH_MAX {
            tokio::select! {
                biased;
                next = waiting.recv() => match next {
                    Some(ack) => batch.push(ack),
                    None => break,
                },
                () = &mut linger => break,
            }
        }
        let permit = at_once.clone().acquire_owned().await;
        let (queue, clock) = (queue.clone(), clock.clone());
        batches.spawn(async move {
            delete(batch, &*queue, &*clock).await;
            drop(permit);
        });
        while batches.try_join_next().is_some() {}
    }
    while batches.join_next().await.is_some() {}
}

/// Deletes a batch: those that fail are tried again by themselves.
async fn delete(mut batch: Vec<Ack>, queue: &dyn Queue, clock: &dyn Clock) {
    let mut wait = Duration::from_millis(100);
    for attempt in 1..=ACK_ATTEMPTS_MAX {
        let receipts: Vec<String> = batch.iter().map(|ack| ack.receipt.clone()).collect();
        let results = match queue.delete(receipts).await {
            Ok(results) => results,
            Err(error) => vec![Err(error); batch.len()],
        };
        let mut again = Vec::new();
        for (ack, result) in batch.into_iter().zip(results) {
            match result {
                Err(error) if error.is_transient() && attempt < ACK_ATTEMPTS_MAX => again.push(ack),
                // Somebody who no longer waits needs no answer.
                told => drop(ack.done.send(told)),
            }
        }
        if again.is_empty() {
            return;
        }
        batch = again;
        clock.sleep(wait).await;
        wait *= 2;
    }
}
