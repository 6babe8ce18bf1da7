//! Work that is waited for as long as clients wait, and carried on with after that.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cloudigrade_query::rest::backend::Refused;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::limits::REGISTRATIONS_AT_ONCE_MAX;

/// What is being done.
pub struct Background {
    tasks: TaskTracker,
    few: Arc<Semaphore>,
    /// How long is waited for an answer.
    wait: Duration,
}

impl Background {
    /// Nothing yet. What takes longer than `wait` is carried on with unheard.
    pub fn new(wait: Duration) -> Self {
        Self { tasks: TaskTracker::new(), few: Arc::new(Semaphore::new(REGISTRATIONS_AT_ONCE_MAX)), wait }
    }

    /// Does something to its end; `None` when that takes longer than can be waited for. Dropping the future stops the waiting alone.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let running = self.tasks.spawn(work);
        match tokio::time::timeout(self.wait, running).await {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "something that was asked for ended abnormally");
                None
            }
            Err(_late) => None,
        }
    }

    /// [`Self::run`] for what asks others at length, which not many may have done at once.
    ///
    /// # Errors
    /// [`Refused::Unsupported`] when too many have: nothing was begun.
    pub async fn run_one_of_few<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Result<Option<T>, Refused> {
        let place = Arc::clone(&self.few).try_acquire_owned().map_err(|_| Refused::Unsupported {
            message: format!("{REGISTRATIONS_AT_ONCE_MAX} accounts are being registered, more are not at once; try again in a minute"),
        })?;
        let placed = async move {
            let done = work.await;
            drop(place);
            done
        };
        Ok(self.run(placed).await)
    }

    /// Waits until all is done that was begun.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
