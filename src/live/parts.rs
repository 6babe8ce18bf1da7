//! The asynchronous parts of the server. None may end unnoticed while the others go on: what is left would look as if it worked.

use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Parts that run until they are told to stop.
pub struct Parts {
    running: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Parts {
    /// No parts yet. `stop` tells all of them, and is cancelled by the first that ends.
    pub fn new(stop: CancellationToken) -> Self {
        Self { running: JoinSet::new(), stop }
    }

    /// Starts one. However it ends, also by a panic, the others are told to stop.
    pub fn spawn(&mut self, name: &'static str, part: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let ends = self.stop.clone().drop_guard();
        self.running.spawn(async move {
            let _ends = ends;
            part.await.inspect_err(|error| tracing::error!(part = name, "a part failed; the server stops: {error:#}"))
        });
    }

    /// Waits until all have ended. Returns the first failure.
    ///
    /// # Errors
    /// That of a part.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let mut first = Ok(());
        while let Some(ended) = self.running.join_next().await {
            first = first.and(ended.unwrap_or_else(|error| Err(anyhow::anyhow!("a part of the server ended abnormally: {error}"))));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three parts, of which the last one ends as is told, while the others wait for being told to stop.
    async fn three(last: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        let mut parts = Parts::new(stop.clone());
        for _ in 0..2 {
            let stop = stop.clone();
            parts.spawn("waits", async move {
                stop.cancelled().await;
                Ok(())
            });
        }
        parts.spawn("ends", last);
        stop.cancelled().await;
        parts.finish().await
    }

    #[tokio::test]
    async fn a_part_that_fails_ends_all_and_its_failure_is_told() {
        let error = three(async { Err(anyhow::anyhow!("no disk")) }).await.unwrap_err();
        assert_eq!(error.to_string(), "no disk");
    }

    #[tokio::test]
    async fn a_part_that_panics_or_just_ends_ends_all() {
        assert!(three(async { panic!("a bug") }).await.is_err());
        assert!(three(async { Ok(()) }).await.is_ok());
    }
}
