//! Starts what finds things: the source of log files, the fleet of accounts, the worker that has images inspected, and the look at completeness.

use std::sync::Arc;
use std::time::Duration;

use crate::log::{DataLog, patiently};
use cloudigrade_connectors::aws::fleet::Overview;
use cloudigrade_connectors::aws::{Checker, Collector, Fleet, FleetSettings, Memory, Sighted};
use cloudigrade_connectors::codec::CodecLimits;
use cloudigrade_connectors::completeness::{Listened, Rules, SilenceLimits, look, open_gaps};
use cloudigrade_connectors::source::listing::{ListOptions, ListSource};
use cloudigrade_connectors::source::sqs::{Inside, SqsOptions, SqsSource};
use cloudigrade_connectors::source::{Committer, Readiness, ledger};
use cloudigrade_pipeline::log::{Log, LogError, TaskId};
use cloudigrade_pipeline::operators::accounts;
use cloudigrade_schemas::{Account, Gap, GapKind, Topic};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::leading::Leading;
use super::parts::Parts;
use super::roles::{Role, Roles};
use super::{external_ids, inspect, unless_later};
use crate::aws;
use crate::config::{Accounts, Config};
use crate::control::service::Collecting;
use crate::data::now;

/// How often is looked whether accounts have changed.
const ACCOUNTS_EVERY: Duration = Duration::from_millis(500);
/// What one of all sources does: to collect from accounts, and to look at completeness.
pub const LEADER: TaskId = TaskId("source.leader");
/// How often is looked at completeness.
const COMPLETENESS_EVERY: Duration = Duration::from_secs(20);
/// How much of the time for stopping is left to the log and the tables when the source gives back what it has not finished.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// What everything that finds things shares.
pub struct Finding<'a> {
    pub config: &'a Config,
    pub log: &'a DataLog,
    pub readiness: &'a Readiness,
    pub stop: &'a CancellationToken,
}

impl Finding<'_> {
    /// Starts all that the configuration and the roles name, and gives what asks AWS about accounts and how far it is, if that is named.
    /// `committer` is there where the roles let something enter the log.
    pub async fn start(&self, roles: &Roles, committer: Option<&Committer>, parts: &mut Parts) -> anyhow::Result<Collecting> {
        let source = committer.filter(|_| roles.has(Role::Source));
        if let Some(committer) = source {
            self.start_source(committer, parts).await?;
        }
        let leading = source.map(|_| Leading::start(self.log, LEADER, parts, self.stop));
        let accounts = watch::Sender::new(Arc::new(patiently(|| read_accounts(self.log))?));
        let mut collecting = Collecting::default();
        if let Some(settings) = &self.config.accounts {
            let checker = aws::checker(self.config, settings).await?;
            collecting.overview = source
                .zip(leading.clone())
                .map(|(committer, leading)| self.start_fleet(committer, leading, parts, &checker, settings, accounts.subscribe()));
            if roles.has(Role::Inspect) {
                inspect::start(parts, self.log, &checker, &self.config.inspection, accounts.subscribe(), self.stop)?;
            }
            collecting.aws = Some(checker);
        }
        if let Some((committer, leading)) = source.zip(leading) {
            self.start_completeness(committer, leading, parts, accounts.subscribe());
        }
        parts.spawn("accounts", follow_accounts(self.log.clone(), accounts, self.stop.clone()));
        Ok(collecting)
    }

    async fn start_source(&self, committer: &Committer, parts: &mut Parts) -> anyhow::Result<()> {
        let drain = self.config.serve.shutdown_limit.saturating_sub(STOP_MARGIN);
        let inside = Inside {
            committer: committer.clone(),
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
        committer: &Committer,
        leading: Leading,
        parts: &mut Parts,
        checker: &Checker,
        settings: &Accounts,
        accounts: watch::Receiver<Arc<Vec<Account>>>,
    ) -> watch::Receiver<Overview> {
        let (log, checker, committer) = (self.log.clone(), checker.clone(), committer.clone());
        let fleet_settings = FleetSettings { interval: settings.reconcile_every, accounts_at_once: settings.at_once.get() };
        let (told, overview) = watch::channel(Overview::default());
        let collect = move |turn: CancellationToken| {
            let memory = Memory::new(Arc::new(log.clone()), log.partitions());
            let collector = Collector::new(checker.clone(), committer.clone(), memory, Sighted::of(log.clone()), now);
            let fleet = Fleet::new(collector, fleet_settings, accounts.clone(), external_ids(&log), told.clone());
            async move {
                fleet.run(turn).await;
                Ok(())
            }
        };
        let stop = self.stop.clone();
        parts.spawn("fleet", async move { leading.run(stop, collect).await });
        overview
    }

    fn start_completeness(&self, committer: &Committer, leading: Leading, parts: &mut Parts, accounts: watch::Receiver<Arc<Vec<Account>>>) {
        let silence = SilenceLimits { after: self.config.source.silence_after, ..SilenceLimits::default() };
        let underway = self.config.source.missing_after;
        let looker = Looker { log: self.log.clone(), committer: committer.clone(), accounts, silence, underway };
        let stop = self.stop.clone();
        parts.spawn("completeness", async move { leading.run(stop, |turn| looker.clone().look_at_intervals(turn)).await });
    }
}

/// Looks at completeness.
#[derive(Clone)]
struct Looker {
    log: DataLog,
    committer: Committer,
    accounts: watch::Receiver<Arc<Vec<Account>>>,
    silence: SilenceLimits,
    underway: Duration,
}

impl Looker {
    async fn look_at_intervals(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(COMPLETENESS_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let listened = Listened::of(self.accounts.borrow().iter());
            let rules = Rules { silence: self.silence, underway: self.underway, ..Rules::while_serving(listened) };
            for partition in 0..self.log.partitions() {
                let (log, rules) = (self.log.clone(), rules.clone());
                let looked = tokio::task::spawn_blocking(move || look(&log, log.partitions(), partition, &rules, now())).await?;
                match looked {
                    Ok(entries) => {
                        for entry in entries {
                            self.committer.commit(entry).await?;
                        }
                    }
                    Err(error) => unless_later("what is missing is not looked for", Err(error))?,
                }
            }
            let log = self.log.clone();
            let counted = tokio::task::spawn_blocking(move || open_gaps(&log, log.partitions())).await?;
            unless_later("gaps are not counted", counted.map(|open| count_gaps(&open)))?;
        }
        Ok(())
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
async fn follow_accounts(log: DataLog, accounts: watch::Sender<Arc<Vec<Account>>>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut seen = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(ACCOUNTS_EVERY) => {}
        }
        let log = log.clone();
        let before = seen.clone();
        let looked = tokio::task::spawn_blocking(move || {
            // Where nothing was added, nothing has changed.
            let ends = log.ends(Topic::Accounts)?;
            let read = if Some(&ends) == before.as_ref() { None } else { Some(read_accounts(&log)?) };
            Ok::<_, LogError>((ends, read))
        });
        let (ends, read) = match looked.await? {
            Ok(looked) => looked,
            Err(error) => {
                unless_later("accounts are not followed", Err(error))?;
                continue;
            }
        };
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

fn read_accounts(log: &DataLog) -> Result<Vec<Account>, LogError> {
    accounts::all_accounts(log, log.partitions())
}
