//! Answers what is asked, in the process that has the log.

use std::sync::Arc;

use crate::log::DataLog;
use cloudigrade_connectors::aws::Checker;
use cloudigrade_connectors::aws::fleet::Overview;
use cloudigrade_connectors::source::again::Places;
use cloudigrade_connectors::source::batch::Batches;
use cloudigrade_connectors::source::sqs::SqsOptions;
use cloudigrade_connectors::source::sqs::fetch::S3Objects;
use cloudigrade_connectors::source::{Committer, ledger};
use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::{Topic, UtcSecond};
use tokio::sync::watch;

use super::wire::{Ask, Refusal, Told};
use super::{accounts, images, inspections, letters, objects, records, users};
use crate::aws;
use crate::config::{Config, InspectionMode};
use crate::live::shown::{NotShown, Shown, folded};
use crate::users::Directory;

/// Answers requests.
pub struct Service {
    pub(super) log: DataLog,
    pub(super) committer: Committer,
    /// What asks AWS about accounts; absent where the configuration has no accounts.
    pub(super) aws: Option<Checker>,
    /// How far the collecting from accounts is; absent where nothing collects.
    pub(super) overview: Option<watch::Receiver<Overview>>,
    /// Where objects are read again from.
    pub(super) places: Places,
    /// What reads objects that are named.
    pub(super) batches: Batches,
    /// Users and their tokens.
    pub(super) directory: Arc<Directory>,
    /// What waits until something shows; absent where no tables are kept meanwhile.
    pub(super) shown: Option<Shown>,
    /// Whether the configuration wants images inspected.
    pub(super) inspects: bool,
    pub(super) now: fn() -> UtcSecond,
}

/// What is known of accounts by those that collect from them.
#[derive(Default)]
pub struct Collecting {
    /// What asks AWS about accounts.
    pub aws: Option<Checker>,
    /// How far the collecting is.
    pub overview: Option<watch::Receiver<Overview>>,
}

impl Service {
    /// A service over a log whose operators run. Without `shown` nothing waits for tables.
    ///
    /// # Errors
    /// Those of reading the log, and of options of a queue that cannot be.
    pub async fn new(
        log: DataLog,
        committer: Committer,
        collecting: Collecting,
        shown: Option<Shown>,
        config: &Config,
        now: fn() -> UtcSecond,
    ) -> anyhow::Result<Self> {
        let (sdk, options) = (aws::sdk(config).await, aws::objects(config));
        let places = Places::new(&sdk, options.as_ref())?;
        let options = options.unwrap_or_else(|| SqsOptions::new(String::new(), Vec::new()));
        let known = ledger::known(log.clone(), log.partitions());
        let batches = Batches::new(Arc::new(S3Objects::new(&sdk, &options)), known, committer.clone(), options.workers);
        let directory = Directory::open(&log, committer.clone(), config.serve.token_lifetime, now)?;
        let Collecting { aws, overview } = collecting;
        let inspects = config.inspection.mode != InspectionMode::Off;
        Ok(Self { log, committer, aws, overview, places, batches, directory, shown, inspects, now })
    }

    /// Users and their tokens.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The log.
    pub fn log(&self) -> &DataLog {
        &self.log
    }

    /// Waits until all that was written shows in the tables.
    ///
    /// # Errors
    /// [`Refusal`] with the code `still_working`: it is done, and shows later.
    pub async fn show(&self) -> Result<(), Refusal> {
        let Some(shown) = &self.shown else { return Ok(()) };
        shown.in_tables().await.map_err(not_shown)
    }

    /// Waits until what was said of an image is folded, and shows in the tables where any are kept meanwhile.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(super) async fn show_images(&self, partition_key: &[u8]) -> Result<(), Refusal> {
        let shown = match &self.shown {
            Some(shown) => shown.folded(Topic::ImageFacts, partition_key).await,
            None => folded(&self.log, Topic::ImageFacts, partition_key).await,
        };
        shown.map_err(not_shown)
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// [`Refusal`]: nothing of it was done, unless it says otherwise.
    pub async fn answer(&self, asked: Ask) -> Result<Told, Refusal> {
        // Boxed: together they would be too deep for the compiler to lay out.
        match asked {
            Ask::Accounts(request) => Box::pin(accounts::answer(self, request)).await.map(Told::Accounts),
            Ask::DeadLetters(request) => Box::pin(letters::answer(self, request)).await.map(Told::DeadLetters),
            Ask::Objects(request) => Box::pin(objects::answer(self, request)).await.map(Told::Objects),
            Ask::Users(request) => Box::pin(users::answer(self, request)).await.map(Told::Users),
            Ask::Inspections(request) => Box::pin(inspections::answer(self, request)).await.map(Told::Inspections),
            Ask::Records(request) => Box::pin(records::answer(&self.log, request)).await.map(Told::Records),
            Ask::Override(request) => Box::pin(images::answer(self, request)).await.map(|()| Told::Override),
        }
    }
}

fn not_shown(error: NotShown) -> Refusal {
    match error {
        NotShown::Late => Refusal::new("still_working", error.to_string(), "look again in a moment"),
        NotShown::Log(error) => Refusal::failed(&error),
    }
}
