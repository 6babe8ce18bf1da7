//! Tells at intervals how many messages the queue holds: what is received says how old messages are, not how many are left.

use std::sync::Arc;

use super::counted;
use super::shared::Shared;
use crate::limits::QUEUE_DEPTH_INTERVAL;

impl Shared {
    /// Asks and tells until the source stops. A queue that does not say how many they are is read all the same.
    pub(super) async fn watch_depth(self: Arc<Self>) {
        let watched = async {
            loop {
                match self.queue.depth().await {
                    Ok(depth) => counted::depth(depth),
                    Err(error) => {
                        counted::depth_unknown();
                        tracing::warn!(queue = self.options.queue_url, %error, "the queue does not tell how many messages it holds (sqs:GetQueueAttributes); trying again");
                    }
                }
                self.clock.sleep(QUEUE_DEPTH_INTERVAL).await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = watched => {}
        }
    }
}
