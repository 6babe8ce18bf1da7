//! All accounts, for as long as the program runs: each in a task of its own, so that what fails in one harms no other.
//!
//! Which accounts there are is watched, not kept: whoever decides about accounts is elsewhere, and a change of an account shows here within
//! moments. What is found out about an account goes into the log as a command, like everybody else's wishes.

mod member;
pub(crate) mod removal;
mod telling;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudigrade_schemas::{Account, AccountState, UtcSecond};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::member::Member;
pub use self::removal::is_due as is_trail_due;
use super::collector::Collector;
use super::history::HistoryProgress;
use crate::limits::{
    ACCOUNT_RETRY, ACCOUNTS_AT_ONCE_MAX, HISTORIES_AT_ONCE_MAX, LANES_MAX, RECONCILE_INTERVAL, RECONCILE_INTERVAL_MAX,
    RECONCILE_INTERVAL_MIN,
};

/// Tells the external id of a tenant, if the tenant is known.
pub type ExternalIds = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// All accounts as they stand, deleted ones included where they are known.
pub type Accounts = watch::Receiver<Arc<Vec<Account>>>;

/// What is configured of the fleet.
#[derive(Clone, Copy, Debug)]
pub struct FleetSettings {
    /// How often an account is compared with EC2, within [`RECONCILE_INTERVAL_MIN`] and [`RECONCILE_INTERVAL_MAX`].
    pub interval: Duration,
    /// Accounts that are worked on at the same time.
    pub accounts_at_once: usize,
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self { interval: RECONCILE_INTERVAL, accounts_at_once: ACCOUNTS_AT_ONCE_MAX }
    }
}

/// How the collecting from an account goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountProgress {
    /// When all its regions were last compared with EC2.
    pub reconciled_at: Option<UtcSecond>,
    /// How many things are in the way.
    pub problems: usize,
    /// How far its history is read.
    pub history: HistoryProgress,
    /// Whether all of its history is read.
    pub history_done: bool,
}

/// How it goes, by account key.
pub type Overview = BTreeMap<String, AccountProgress>;

/// The fleet.
pub struct Fleet {
    shared: Arc<Shared>,
    accounts: Accounts,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// What the members share.
struct Shared {
    collector: Collector,
    settings: FleetSettings,
    accounts: Accounts,
    external_ids: ExternalIds,
    /// Members that work at the same time.
    at_once: Semaphore,
    /// Members that read history at the same time. Apart, as it takes long: nobody waits an hour to be compared.
    histories: Semaphore,
    /// One at a time works on an AWS account, however many tenants have registered it.
    lanes: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    overview: watch::Sender<Overview>,
}

impl Shared {
    /// The account as it stands.
    fn account(&self, key: &str) -> Option<Account> {
        self.accounts.borrow().iter().find(|account| account.to_key() == key).cloned()
    }

    fn lane(&self, account_id: &str) -> Arc<tokio::sync::Mutex<()>> {
        // Each change is a single step: a panic elsewhere leaves nothing half done.
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= LANES_MAX {
            // Whoever is in a lane holds it.
            lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        }
        Arc::clone(lanes.entry(account_id.to_owned()).or_default())
    }

    fn note(&self, key: &str, change: impl FnOnce(&mut AccountProgress)) {
        self.overview.send_modify(|overview| change(overview.entry(key.to_owned()).or_default()));
    }
}

/// Whether an account is called into.
fn is_active(account: &Account) -> bool {
    matches!(account.state, AccountState::Pending | AccountState::Enabled)
}

/// When an account began to be collected from, for the last time.
fn since(account: &Account) -> UtcSecond {
    let resumed = account.unmetered.iter().filter_map(|unmetered| unmetered.until).max();
    resumed.map_or(account.created_at, |resumed| resumed.max(account.created_at))
}

/// What makes a member another one: another role, or a new beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    arn: String,
    since: UtcSecond,
}

impl Fleet {
    /// A fleet that has not begun. `overview` is told how it goes, for progress and readiness.
    pub fn new(
        collector: Collector,
        settings: FleetSettings,
        accounts: Accounts,
        external_ids: ExternalIds,
        overview: watch::Sender<Overview>,
    ) -> Self {
        let interval = settings.interval.clamp(RECONCILE_INTERVAL_MIN, RECONCILE_INTERVAL_MAX);
        let settings = FleetSettings { interval, accounts_at_once: settings.accounts_at_once.max(1) };
        Self::with_limits_checked(collector, settings, accounts, external_ids, overview)
    }

    fn with_limits_checked(
        collector: Collector,
        settings: FleetSettings,
        accounts: Accounts,
        external_ids: ExternalIds,
        overview: watch::Sender<Overview>,
    ) -> Self {
        let shared = Shared {
            collector,
            settings,
            accounts: accounts.clone(),
            external_ids,
            at_once: Semaphore::new(settings.accounts_at_once),
            histories: Semaphore::new(HISTORIES_AT_ONCE_MAX),
            lanes: Mutex::default(),
            overview,
        };
        Self { shared: Arc::new(shared), accounts }
    }

    /// Collects until it is stopped. Stopping takes no longer than giving up what is waited for: all that counts is committed whole or not
    /// at all, and is found again.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut members = Members::default();
        loop {
            let accounts = Arc::clone(&self.accounts.borrow_and_update());
            members.follow(&self.shared, &accounts);
            gauge(&accounts);
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.accounts.changed() => if changed.is_err() {
                    // Nobody decides about accounts any more: the program is stopping.
                    stop.cancelled().await;
                    break;
                },
                Some(ended) = members.tasks.join_next() => members.ended(ended),
            }
        }
        members.tasks.shutdown().await;
    }
}

/// The tasks of the members.
#[derive(Default)]
struct Members {
    running: HashMap<String, (Signature, CancellationToken)>,
    removals: HashMap<String, UtcSecond>,
    tasks: JoinSet<Ended>,
    /// After a fall nothing is begun for a while.
    resting: bool,
}

/// What a task was.
enum Ended {
    /// A member, or a removal.
    Work,
    /// The rest after a fall.
    Rest,
}

impl Members {
    /// Has a task for each active account, and none for any other.
    fn follow(&mut self, shared: &Arc<Shared>, accounts: &[Account]) {
        let active: HashMap<String, Signature> = accounts
            .iter()
            .filter(|account| is_active(account))
            .map(|account| (account.to_key(), Signature { arn: account.arn.clone(), since: since(account) }))
            .collect();
        self.running.retain(|key, (signature, stop)| {
            let stays = active.get(key) == Some(&*signature);
            if !stays {
                stop.cancel();
                shared.overview.send_modify(|overview| {
                    overview.remove(key);
                });
            }
            stays
        });
        if self.resting {
            return;
        }
        for (key, signature) in active {
            if !self.running.contains_key(&key) {
                let stop = CancellationToken::new();
                let member = Member::new(Arc::clone(shared), key.clone(), signature.since);
                let stopped = stop.clone();
                self.tasks.spawn(async move {
                    // A member that was told to stop must not go on with anything.
                    tokio::select! {
                        biased;
                        () = stopped.cancelled() => {}
                        () = member.run() => {}
                    }
                    Ended::Work
                });
                self.running.insert(key, (signature, stop));
            }
        }
        for account in accounts.iter().filter(|account| removal::is_due(account, accounts)) {
            if self.removals.insert(account.to_key(), account.changed_at) != Some(account.changed_at) {
                let removal = removal::remove(Arc::clone(shared), account.to_key());
                self.tasks.spawn(async {
                    removal.await;
                    Ended::Work
                });
            }
        }
    }

    /// A task ended. If one fell, all begin anew a little later: which one it was is not known, and none loses anything by it.
    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        match ended {
            Ok(Ended::Work) => {}
            Ok(Ended::Rest) => self.resting = false,
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "collecting from an account failed in a way that is a fault of the program; it begins anew");
                self.running.drain().for_each(|(_, (_, stop))| stop.cancel());
                self.removals.clear();
                if !std::mem::replace(&mut self.resting, true) {
                    self.tasks.spawn(async {
                        tokio::time::sleep(ACCOUNT_RETRY).await;
                        Ended::Rest
                    });
                }
            }
            Err(_) => {}
        }
    }
}

fn gauge(accounts: &[Account]) {
    let count = |is: fn(&Account) -> bool| accounts.iter().filter(|account| is(account)).count() as f64;
    metrics::gauge!("cloudigrade_accounts", "state" => "active").set(count(is_active));
    metrics::gauge!("cloudigrade_accounts", "state" => "obstructed")
        .set(count(|account| is_active(account) && !account.problems.is_empty()));
}

#[cfg(test)]
mod tests;
