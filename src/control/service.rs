//! Answers what is asked, in the process that has the log.

use std::sync::Arc;

use cloudigrade_connectors::aws::Checker;
use cloudigrade_connectors::aws::fleet::Overview;
use cloudigrade_connectors::source::again::Places;
use cloudigrade_connectors::source::batch::Batches;
use cloudigrade_connectors::source::sqs::SqsOptions;
use cloudigrade_connectors::source::sqs::fetch::S3Objects;
use cloudigrade_connectors::source::{Committer, ledger};
use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::UtcSecond;
use tokio::sync::watch;

use super::wire::{Ask, Refusal, Told};
use super::{accounts, letters, objects};
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
    /// What reads objects that are named.
    pub(super) batches: Batches,
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
        let (sdk, options) = (aws::sdk(config).await, aws::objects(config));
        let places = Places::new(&sdk, options.as_ref())?;
        let options = options.unwrap_or_else(|| SqsOptions::new(String::new(), Vec::new()));
        let known = ledger::known(log.clone(), log.partitions());
        let batches = Batches::new(Arc::new(S3Objects::new(&sdk, &options)), known, committer.clone(), options.workers);
        Ok(Self { log, committer, aws, overview, places, batches, now })
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// [`Refusal`]: nothing of it was done, unless it says otherwise.
    pub async fn answer(&self, asked: Ask) -> Result<Told, Refusal> {
        match asked {
            Ask::Accounts(request) => accounts::answer(self, request).await.map(Told::Accounts),
            Ask::DeadLetters(request) => letters::answer(self, request).await.map(Told::DeadLetters),
            Ask::Objects(request) => objects::answer(self, request).await.map(Told::Objects),
        }
    }
}
