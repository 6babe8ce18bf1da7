//! Answers what is asked, in the process that has the log.

use cloudigrade_connectors::aws::Checker;
use cloudigrade_connectors::aws::fleet::Overview;
use cloudigrade_connectors::source::Committer;
use cloudigrade_connectors::source::again::Places;
use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_schemas::UtcSecond;
use tokio::sync::watch;

use super::wire::{Ask, Refusal, Told};
use super::{accounts, letters};
use crate::aws;
use crate::config::Config;

/// Answers requests.
pub struct Service {
    pub(super) log: EmbeddedLog,
    pub(super) committer: Committer,
    /// What asks AWS about accounts; absent where the configuration has no accounts.
    pub(super) aws: Option<Checker>,
    /// How far the collecting from accounts is; absent where nothing collects.
    pub(super) overview: Option<watch::Receiver<Overview>>,
    /// Where objects are read again from.
    pub(super) places: Places,
    pub(super) now: fn() -> UtcSecond,
}

impl Service {
    /// A service over a log whose operators run.
    ///
    /// # Errors
    /// For options of a queue that cannot be.
    pub async fn new(
        log: EmbeddedLog,
        committer: Committer,
        aws: Option<Checker>,
        overview: Option<watch::Receiver<Overview>>,
        config: &Config,
        now: fn() -> UtcSecond,
    ) -> anyhow::Result<Self> {
        let places = Places::new(&aws::sdk(config).await, aws::queue(config).as_ref())?;
        Ok(Self { log, committer, aws, overview, places, now })
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// [`Refusal`]: nothing of it was done, unless it says otherwise.
    pub async fn answer(&self, asked: Ask) -> Result<Told, Refusal> {
        match asked {
            Ask::Accounts(request) => accounts::answer(self, request).await.map(Told::Accounts),
            Ask::DeadLetters(request) => letters::answer(self, request).await.map(Told::DeadLetters),
        }
    }
}
