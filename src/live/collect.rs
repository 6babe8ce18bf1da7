//! Starts what finds things: the source of log files, the fleet of accounts, the worker that has images inspected, and the look at completeness.

use std::sync::Arc;
use std::time::Duration;

use cloudigrade_connectors::aws::fleet::Overview;
use cloudigrade_connectors::aws::{Checker, Collector, Fleet, FleetSettings, Memory, Sighted};
use cloudigrade_connectors::codec::CodecLimits;
use cloudigrade_connectors::completeness::{Listened, Rules, SilenceLimits, look, open_gaps};
use cloudigrade_connectors::source::listing::{ListOptions, ListSource};
use cloudigrade_connectors::source::sqs::{Inside, SqsOptions, SqsSource};
use cloudigrade_connectors::source::{Committer, Readiness, ledger};
use cloudigrade_pipeline::embedded::EmbeddedLog;
use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_pipeline::operators::accounts;
use cloudigrade_schemas::{Account, Gap, GapKind};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::parts::Parts;
use super::{external_ids, inspect};
use crate::aws;
use crate::config::{Accounts, Config};
use crate::control::service::Collecting;
use crate::data::now;

/// How often is looked whether accounts have changed.
const ACCOUNTS_EVERY: Duration = Duration::from_millis(500);
/// How often is looked at completeness.
const COMPLETENESS_EVERY: Duration = Duration::from_secs(20);
/// How much of the time for stopping is left to the log and the tables when the source gives back what it has not finished.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// What everything that finds things shares.
pub struct Finding<'a> {
    pub config: &'a Config,
    pub log: &'a EmbeddedLog,
    pub committer: &'a Committer,
    pub readiness: &'a Readiness,
    pub stop: &'a CancellationToken,
}

impl Finding<'_> {
    /// Starts all that the configuration names, and gives what asks AWS about accounts and how far it is, if that is named.
    pub async fn start(&self, parts: &mut Parts) -> anyhow::Result<Collecting> {
        self.start_source(parts).await?;
        let accounts = watch::Sender::new(Arc::new(read_accounts(self.log)?));
        let collecting = match &self.config.accounts {
            Some(settings) => {
                let checker = aws::checker(self.config, settings).await?;
                let overview = self.start_fleet(parts, &checker, settings, accounts.subscribe());
                inspect::start(parts, self.log, &checker, &self.config.inspection, accounts.subscribe(), self.stop)?;
                Collecting { aws: Some(checker), overview: Some(overview) }
            }
            None => Collecting::default(),
        };
        self.start_completeness(parts, accounts.subscribe());
        parts.spawn("accounts", follow_accounts(self.log.clone(), accounts, self.stop.clone()));
        Ok(collecting)
    }

    async fn start_source(&self, parts: &mut Parts) -> anyhow::Result<()> {
        let drain = self.config.serve.shutdown_limit.saturating_sub(STOP_MARGIN);
        let inside = Inside {
            committer: self.committer.clone(),
            known: ledger::known(self.log.clone(), self.log.partitions()),
            readiness: self.readiness.clone(),
            codec: CodecLimits::default(),
        };
        if let Some(options) = aws::queue(self.config) {
            let source = SqsSource::connect(&aws::sdk(self.config).await, SqsOptions { drain, ..options }, inside)?;
            let stop = self.stop.clone();
            parts.spawn("queue", async move { Ok(source.run(stop, CancellationToken::new()).await?) });
        } else if let Some(options) = aws::listing(self.config) {
            let source = ListSource::connect(&aws::sdk(self.config).await, ListOptions { drain, ..options }, inside)?;
            let stop = self.stop.clone();
            parts.spawn("listing", async move { Ok(source.run(stop, CancellationToken::new()).await?) });
        }
        Ok(())
    }

    fn start_fleet(
        &self,
        parts: &mut Parts,
        checker: &Checker,
        settings: &Accounts,
        accounts: watch::Receiver<Arc<Vec<Account>>>,
    ) -> watch::Receiver<Overview> {
        let memory = Memory::new(Arc::new(self.log.clone()), self.log.partitions());
        let collector = Collector::new(checker.clone(), self.committer.clone(), memory, Sighted::of(self.log.clone()), now);
        let fleet_settings = FleetSettings { interval: settings.reconcile_every, accounts_at_once: settings.at_once.get() };
        let fleet = Fleet::new(collector, fleet_settings, accounts, external_ids(self.log));
        let overview = fleet.overview();
        let stop = self.stop.clone();
        parts.spawn("fleet", async move {
            fleet.run(stop).await;
            Ok(())
        });
        overview
    }

    fn start_completeness(&self, parts: &mut Parts, accounts: watch::Receiver<Arc<Vec<Account>>>) {
        let (log, committer, stop) = (self.log.clone(), self.committer.clone(), self.stop.clone());
        let silence = SilenceLimits { after: self.config.source.silence_after, ..SilenceLimits::default() };
        let underway = self.config.source.missing_after;
        parts.spawn("completeness", async move {
            let mut ticks = tokio::time::interval(COMPLETENESS_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    _ = ticks.tick() => {}
                }
                let listened = Listened::of(accounts.borrow().iter());
                let rules = Rules { silence, underway, ..Rules::while_serving(listened) };
                for partition in 0..log.partitions() {
                    let (log, rules) = (log.clone(), rules.clone());
                    let entries = tokio::task::spawn_blocking(move || look(&log, log.partitions(), partition, &rules, now())).await??;
                    for entry in entries {
                        committer.commit(entry).await?;
                    }
                }
                let log = log.clone();
                count_gaps(&tokio::task::spawn_blocking(move || open_gaps(&log, log.partitions())).await??);
            }
        });
    }
}

/// Tells how many gaps are open, of each kind.
fn count_gaps(open: &[Gap]) {
    for kind in [GapKind::LogFilesMissing, GapKind::DigestMissing, GapKind::Silence] {
        let count = open.iter().filter(|gap| gap.kind == kind).count();
        metrics::gauge!("cloudigrade_gaps_open", "kind" => kind.word()).set(count as f64);
    }
}

/// Tells whoever listens of each change of an account.
async fn follow_accounts(log: EmbeddedLog, accounts: watch::Sender<Arc<Vec<Account>>>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut seen = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(ACCOUNTS_EVERY) => {}
        }
        let log = log.clone();
        let before = seen.clone();
        let (ends, read) = tokio::task::spawn_blocking(move || {
            let ends = ends(&log)?;
            let read = if Some(&ends) == before.as_ref() { None } else { Some(read_accounts(&log)?) };
            Ok::<_, LogError>((ends, read))
        })
        .await??;
        seen = Some(ends);
        if let Some(read) = read {
            accounts.send_if_modified(|known| {
                let changed = **known != read;
                if changed {
                    *known = Arc::new(read);
                }
                changed
            });
        }
    }
}

/// Where the topic of accounts ends: when nothing was added, nothing has changed.
fn ends(log: &EmbeddedLog) -> Result<Vec<u64>, LogError> {
    (0..log.partitions()).map(|partition| Ok(log.end(cloudigrade_schemas::Topic::Accounts, partition)?.offset)).collect()
}

fn read_accounts(log: &EmbeddedLog) -> Result<Vec<Account>, LogError> {
    accounts::all_accounts(log, log.partitions())
}
