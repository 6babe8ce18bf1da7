//! Everything that is collected from one account, into the log.

use std::collections::{BTreeMap, BTreeSet};

use cloudigrade_pipeline::log::{LogError, Store};
use cloudigrade_schemas::account::AccountProblem;
use cloudigrade_schemas::observation::{Observation, Observed};
use cloudigrade_schemas::{Account, EventId, SourceRef, Topic, TrailRecord, UtcSecond};
use futures::StreamExt;
use tokio::sync::watch;

use super::checker::{AccountCheck, Checker, CollectSettings, target_of};
use super::describe::{self, DescribeError};
use super::error::AwsError;
use super::history::{EVENT_NAMES, HistoryProgress, RegionHistory};
use super::images::{IMAGES, KnownImage, due, news};
use super::memory::{Memory, put};
use super::obstacles::Obstacles;
use super::reconcile::{Known, reconcile};
use super::session::Session;
use super::sighted::Sighted;
use crate::limits::{IMAGES_PER_CALL, OBSERVATIONS_PER_ENTRY, REGIONS_AT_ONCE_MAX};
use crate::source::committer::{Committer, Entry, Message, NotCommitted};

/// What is known of a region's instances, by `account/region`, in its partition.
pub(crate) const INSTANCES: Store = Store("collect.instances");
/// When a region was last described, likewise. Apart from the instances, as it changes each time and they mostly do not.
pub(crate) const DESCRIBED: Store = Store("collect.described");

/// Why something could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// AWS refused or did not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A region cannot be described.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// Something in the account is in the way.
    #[error("{}; {}", .0.detail, .0.help)]
    Problem(AccountProblem),
    /// The log takes nothing more.
    #[error(transparent)]
    NotCommitted(#[from] NotCommitted),
    /// What is remembered cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What cannot happen.
    #[error("{0}; this is a fault of the program, report it")]
    Fault(String),
}

impl CollectError {
    /// For the owner of the account; `None` when the failure is ours.
    pub fn problem(&self) -> Option<AccountProblem> {
        match self {
            Self::Aws(error) | Self::Describe(DescribeError::Aws(error)) => Some(error.problem()),
            Self::Describe(error @ DescribeError::Endless { .. }) => Some(AccountProblem {
                code: "too_many_instances".to_owned(),
                detail: error.to_string(),
                help: "tell the operator of cloudigrade".to_owned(),
            }),
            Self::Problem(problem) => Some(problem.clone()),
            Self::NotCommitted(_) | Self::Log(_) | Self::Fault(_) => None,
        }
    }
}

/// What a round through all regions gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Regions that were compared.
    pub regions: usize,
    /// Observations that were written.
    pub observations: usize,
    /// What was in the way in some regions.
    pub problems: Vec<AccountProblem>,
}

/// Collects from accounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Collector {
    checker: Checker,
    pub(super) committer: Committer,
    pub(super) memory: Memory,
    sighted: Sighted,
    /// The wall clock.
    pub(super) now: fn() -> UtcSecond,
}

impl Collector {
    /// A collector that puts what it finds into a log. `now` is the wall clock.
    pub fn new(checker: Checker, committer: Committer, memory: Memory, sighted: Sighted, now: fn() -> UtcSecond) -> Self {
        Self { checker, committer, memory, sighted, now }
    }

    /// What is configured.
    pub fn settings(&self) -> &CollectSettings {
        self.checker.settings()
    }

    /// What checks accounts.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// See [`Checker::check`].
    pub async fn verify(&self, account: &Account, external_id: &str) -> AccountCheck {
        self.checker.check(account, external_id).await
    }

    /// Compares all regions with what is known, then reads the history. What was done before is not done again.
    ///
    /// # Errors
    /// The first failure that lets nothing more be collected; those of single regions are in the [`Round`].
    pub async fn first_minutes(
        &self,
        account: &Account,
        external_id: &str,
        since: UtcSecond,
        progress: &watch::Sender<HistoryProgress>,
    ) -> Result<Round, CollectError> {
        let mut round = self.reconcile_once(account, external_id).await?;
        round.problems.extend(self.read_history(account, external_id, since, progress).await?);
        Ok(round)
    }

    /// Compares all regions with what is known, and writes what is new.
    ///
    /// # Errors
    /// What lets no region be compared, and failures of the log.
    pub async fn reconcile_once(&self, account: &Account, external_id: &str) -> Result<Round, CollectError> {
        let (session, regions) = self.regions(account, external_id).await?;
        self.sighted.catch_up().await?;
        let mut outcomes = futures::stream::iter(regions)
            .map(|region| async { (self.reconcile_region(&session, &region).await, region) })
            .buffer_unordered(REGIONS_AT_ONCE_MAX);
        let (mut round, mut obstacles) = (Round::default(), Obstacles::default());
        while let Some((outcome, region)) = outcomes.next().await {
            match outcome {
                Ok(observations) => {
                    round.regions += 1;
                    round.observations += observations;
                }
                Err(error) => obstacles.add(&region, error)?,
            }
        }
        round.problems = obstacles.problems();
        Ok(round)
    }

    /// Reads the history of all regions, as far as it was not read. Gives what was in the way in some of them.
    ///
    /// # Errors
    /// What lets no region be read, and failures of the log.
    pub async fn read_history(
        &self,
        account: &Account,
        external_id: &str,
        since: UtcSecond,
        progress: &watch::Sender<HistoryProgress>,
    ) -> Result<Vec<AccountProblem>, CollectError> {
        let (session, regions) = self.regions(account, external_id).await?;
        let passes = regions.len() * EVENT_NAMES.len();
        progress.send_modify(|progress| *progress = HistoryProgress { passes, done: 0, ..*progress });
        let session = &session;
        let mut outcomes = futures::stream::iter(regions)
            .map(|region| async move {
                let history = RegionHistory { collector: self, session, region: &region, since, progress };
                let read = async {
                    let images = history.read().await?;
                    self.describe_images(session, &region, &images, &BTreeSet::new()).await
                };
                (read.await, region)
            })
            .buffer_unordered(REGIONS_AT_ONCE_MAX);
        let mut obstacles = Obstacles::default();
        while let Some((outcome, region)) = outcomes.next().await {
            if let Err(error) = outcome {
                obstacles.add(&region, error)?;
            }
        }
        Ok(obstacles.problems())
    }

    /// A session, and the regions to look at.
    async fn regions(&self, account: &Account, external_id: &str) -> Result<(Session, Vec<String>), CollectError> {
        let target = target_of(account, external_id).map_err(CollectError::Problem)?;
        let session = self.checker.session(&target).await.map_err(CollectError::Problem)?;
        let mut regions = describe::regions(&session).await?;
        regions.retain(|region| !self.settings().skip_regions.contains(region));
        Ok((session, regions))
    }

    /// Describes a region, and writes what that adds. What is known changes together with what is written, so nothing is lost or told twice.
    async fn reconcile_region(&self, session: &Session, region: &str) -> Result<usize, CollectError> {
        let account = &session.target().account_id;
        let place = format!("{account}/{region}");
        let known: Option<Known> = self.memory.get(INSTANCES, &place, &place).await?;
        let described_at: Option<UtcSecond> = self.memory.get(DESCRIBED, &place, &place).await?;
        let description = describe::instances(session, region, self.now).await?;
        // Where nothing ran, nobody noted when that was seen.
        let last = known.as_ref().map(|known| (described_at.unwrap_or(description.began), known));
        let reconciled = reconcile(account, region, last, &description);
        let mut state = Vec::new();
        if known.as_ref() != Some(&reconciled.known) {
            state.push(put(INSTANCES, &place, &place, &reconciled.known)?);
        }
        if reconciled.known.any_on() {
            state.push(put(DESCRIBED, &place, &place, &description.began)?);
        }
        let count = reconciled.observations.len();
        let mut chunks = reconciled.observations.chunks(OBSERVATIONS_PER_ENTRY).peekable();
        // The state goes with the last of them: until then all of it is found again.
        while let Some(chunk) = chunks.next() {
            let records = chunk.iter().map(|observation| record(account, region, observation)).collect::<Result<_, _>>()?;
            let state = if chunks.peek().is_none() { std::mem::take(&mut state) } else { Vec::new() };
            self.committer.commit(Entry { records, state, ..Entry::default() }).await?;
            chunk.iter().for_each(count_observation);
        }
        if !state.is_empty() {
            self.committer.commit(Entry { state, ..Entry::default() }).await?;
        }
        let images = description.instances.into_iter().filter_map(|instance| instance.image_id).collect();
        self.describe_images(session, region, &images, &self.sighted.images(account, region)).await?;
        Ok(count)
    }

    /// Asks about the images that are due, and writes what is new. See [`due`].
    async fn describe_images(
        &self,
        session: &Session,
        region: &str,
        seen: &BTreeSet<String>,
        sighted: &BTreeSet<String>,
    ) -> Result<(), CollectError> {
        let account = &session.target().account_id;
        let place = format!("{account}/{region}");
        let known: BTreeMap<String, KnownImage> = self.memory.scan(IMAGES, &place, &format!("{place}/")).await?.into_iter().collect();
        let asked_at = (self.now)();
        // Each answer is durable before the next one is asked for: a history may name thousands.
        for ids in due(&known, seen, sighted, asked_at).chunks(IMAGES_PER_CALL) {
            let mut entry = Entry::default();
            for image in describe::images(session, region, ids).await? {
                let (facts, now_known) = news(known.get(image.id()), &image, account, region, asked_at);
                for fact in facts {
                    let value = serde_json::to_vec(&fact).map_err(|error| CollectError::Fault(error.to_string()))?;
                    let (partition_key, key) = (fact.partition_key().as_bytes().to_vec(), fact.to_key().into_bytes());
                    entry.messages.push(Message { topic: Topic::ImageFacts, partition_key, key, value });
                }
                entry.state.push(put(IMAGES, &place, &format!("{place}/{}", image.id()), &now_known)?);
            }
            self.committer.commit(entry).await?;
        }
        Ok(())
    }
}

/// An observation as a record of `cloudtrail.records`.
fn record(account: &str, region: &str, observation: &Observation<'_>) -> Result<(EventId<'static>, Vec<u8>), CollectError> {
    let fault = |error: serde_json::Error| CollectError::Fault(error.to_string());
    let uri = format!("ec2://{account}/{region}/{}", observation.observed.instance_id);
    let source = SourceRef { uri: uri.into(), version: None, index: 0 };
    let json = serde_json::to_string(observation).map_err(fault)?;
    let message = TrailRecord::message(&source, &json).map_err(fault)?;
    Ok((EventId(observation.event_id.to_string().into()), message))
}

/// Observations are what changes numbers beside CloudTrail: they are countable.
pub(super) fn count_observation(observation: &Observation<'_>) {
    let kind = match (observation.event_name, observation.observed.not_before) {
        (Observed::Running, _) => "running",
        (Observed::Stopped, None) => "stopped",
        (Observed::Stopped, Some(_)) => "stopped_within_bounds",
    };
    metrics::counter!("cloudigrade_observations_total", "lane" => super::reconcile::LANE, "kind" => kind).increment(1);
}
