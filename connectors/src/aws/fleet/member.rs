//! One account of the fleet: rounds through its regions, and its history beside them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudigrade_schemas::account::{AccountProblem, Trail};
use cloudigrade_schemas::{Account, AccountState, UtcSecond};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Shared;
use super::telling::{Telling, merged};
use crate::aws::checker::AccountCheck;
use crate::aws::history::{HistoryProgress, settled};
use crate::aws::jitter::jitter;
use crate::limits::{ACCOUNT_RETRY, HISTORY_FAILURES_TOLD, RECONCILE_TIMEOUT, VERIFY_INTERVAL};

/// How long an account that was just registered is left to whoever registered it, who verifies it too.
const REGISTERING: Duration = Duration::from_secs(30);

/// A member of the fleet.
pub(super) struct Member {
    shared: Arc<Shared>,
    key: String,
    since: UtcSecond,
    /// What keeps its history from being read.
    history_problems: Mutex<Vec<AccountProblem>>,
}

/// What a round found.
pub(super) struct Found {
    pub problems: Vec<AccountProblem>,
    /// Whether role, permissions and trail were looked at and found in order.
    pub verified: bool,
    /// The trail, where one was looked for and is relied on, whatever else is in the way.
    pub trail: Option<Trail>,
}

/// What a member remembers from round to round.
#[derive(Default)]
struct Rounds {
    verified: Option<Instant>,
    failures: u32,
    telling: Telling,
}

impl Member {
    pub(super) fn new(shared: Arc<Shared>, key: String, since: UtcSecond) -> Self {
        Self { shared, key, since, history_problems: Mutex::default() }
    }

    /// Collects until it is dropped, or until the account is gone.
    pub(super) async fn run(self) {
        self.left_to_who_registers().await;
        let (usable, mut is_usable) = watch::channel(false);
        let history = async {
            if is_usable.wait_for(|usable| *usable).await.is_ok() {
                self.read_history().await;
            }
        };
        tokio::join!(self.go_round(&usable), history);
    }

    /// Waits while somebody else verifies it for the first time.
    async fn left_to_who_registers(&self) {
        let now = (self.shared.collector.now)();
        let is_new = |account: &Account| {
            account.state == AccountState::Pending
                && account.problems.is_empty()
                && now.0 - account.changed_at.0 < REGISTERING.as_secs() as i64
        };
        let mut accounts = self.shared.accounts.clone();
        let key = &self.key;
        let settled = accounts.wait_for(|accounts| accounts.iter().all(|account| account.to_key() != *key || !is_new(account)));
        // When the time is over, or nobody decides any more, this member does what it would have done.
        let _ = tokio::time::timeout(REGISTERING, settled).await;
    }

    async fn go_round(&self, usable: &watch::Sender<bool>) {
        let mut rounds = Rounds::default();
        while let Some(account) = self.shared.account(&self.key) {
            let obstructed = match self.round(&account, &mut rounds, usable).await {
                Some(found) => {
                    let obstructed = !found.problems.is_empty();
                    self.shared.note(&self.key, |progress| progress.problems = found.problems.len());
                    rounds.telling.tell(&self.shared, &account, found).await;
                    obstructed
                }
                None => true,
            };
            metrics::counter!("cloudigrade_reconciliations_total", "outcome" => if obstructed { "obstructed" } else { "ok" }).increment(1);
            let pause = pause(self.shared.settings.interval, obstructed, &mut rounds.failures);
            // Less, never more: the interval is what is promised.
            tokio::time::sleep(pause - jitter(pause / 10)).await;
        }
    }

    /// One round: verify if that is due, and compare. `None` when a failure is ours, and was said: the account's owner can do nothing about it.
    async fn round(&self, account: &Account, rounds: &mut Rounds, usable: &watch::Sender<bool>) -> Option<Found> {
        let lane = self.shared.lane(&account.account_id);
        // The order is the same everywhere, and a lane is waited for outside of the places that others could use.
        let _alone = lane.lock().await;
        let _place = self.shared.at_once.acquire().await.ok()?;
        let Some(external_id) = (self.shared.external_ids)(&account.tenant) else {
            return Some(Found { problems: vec![tenant_unknown()], verified: false, trail: None });
        };
        let (mut problems, mut verified, mut trail) = (Vec::new(), false, None);
        if self.verification_is_due(account, rounds) {
            match self.shared.collector.verify(account, &external_id).await {
                AccountCheck::InOrder { trail: found } => {
                    rounds.verified = Some(Instant::now());
                    (verified, trail) = (true, found);
                }
                AccountCheck::Obstructed { problems: found, trail: made } => {
                    rounds.verified = None;
                    (problems, trail) = (found, made);
                }
            }
        }
        if !lets_nothing_through(&problems) {
            let compared = self.compare(account, &external_id).await;
            if compared.is_ok() {
                usable.send_replace(true);
            }
            let found = match compared {
                Ok(found) => found,
                Err(Some(problem)) => vec![problem],
                Err(None) => return None,
            };
            problems = merged(problems, found);
        }
        problems = merged(problems, self.history_problems().clone());
        Some(Found { problems, verified, trail })
    }

    /// Compares all regions. The error is the account's problem, or none when the failure is ours.
    async fn compare(&self, account: &Account, external_id: &str) -> Result<Vec<AccountProblem>, Option<AccountProblem>> {
        let round = self.shared.collector.reconcile_once(account, external_id);
        match tokio::time::timeout(RECONCILE_TIMEOUT, round).await {
            Ok(Ok(round)) => {
                tracing::debug!(account = self.key, round.regions, round.observations, "compared with EC2");
                if round.problems.is_empty() {
                    let now = (self.shared.collector.now)();
                    self.shared.note(&self.key, |progress| progress.reconciled_at = Some(now));
                }
                Ok(round.problems)
            }
            Ok(Err(error)) => {
                let problem = error.problem();
                if problem.is_none() {
                    tracing::error!(account = self.key, %error, "an account could not be compared with EC2");
                }
                Err(problem)
            }
            Err(_) => Err(Some(AccountProblem {
                code: "unreachable".to_owned(),
                detail: format!("the account could not be compared with EC2 within {} s", RECONCILE_TIMEOUT.as_secs()),
                help: "nothing: it is tried again. If it lasts, check the network and AWS's health dashboard".to_owned(),
            })),
        }
    }

    /// Whether role, permissions and trail are to be looked at: at first, now and then, and whenever something is or was in the way.
    fn verification_is_due(&self, account: &Account, rounds: &Rounds) -> bool {
        if account.state == AccountState::Pending || !account.problems.is_empty() || rounds.failures > 0 {
            return true;
        }
        if let Some(verified) = rounds.verified {
            return verified.elapsed() >= VERIFY_INTERVAL;
        }
        let now = (self.shared.collector.now)();
        account.verified_at.is_none_or(|verified| now.0 - verified.0 >= VERIFY_INTERVAL.as_secs() as i64)
    }

    /// Reads the history; and once more when what happened just before the account was registered can be looked up too.
    async fn read_history(&self) {
        let seconds_left = || u64::try_from(settled(self.since).0 - (self.shared.collector.now)().0).unwrap_or(0);
        let is_early = seconds_left() > 0;
        self.read_history_to_its_end().await;
        if is_early {
            tokio::time::sleep(Duration::from_secs(seconds_left())).await;
            self.read_history_to_its_end().await;
        }
    }

    /// Reads what was not read of the history, and again after failures.
    async fn read_history_to_its_end(&self) {
        let begun = self.shared.overview.borrow().get(&self.key).map(|progress| progress.history);
        let (progress, mut news) = watch::channel(begun.unwrap_or_default());
        let shown = async {
            while news.changed().await.is_ok() {
                let history = *news.borrow_and_update();
                self.shared.note(&self.key, |progress| progress.history = history);
            }
        };
        let read = async {
            let mut failures = 0;
            while self.read_history_once(&progress, &mut failures).await {
                let pause = pause(self.shared.settings.interval, true, &mut failures);
                tokio::time::sleep(pause + jitter(pause / 10)).await;
            }
        };
        tokio::select! {
            () = read => {}
            () = shown => {}
        }
    }

    /// Says whether to try again.
    async fn read_history_once(&self, progress: &watch::Sender<HistoryProgress>, failures: &mut u32) -> bool {
        let Some(account) = self.shared.account(&self.key) else { return false };
        let Some(external_id) = (self.shared.external_ids)(&account.tenant) else { return true };
        let Ok(_place) = self.shared.histories.acquire().await else { return false };
        let problems = match self.shared.collector.read_history(&account, &external_id, self.since, progress).await {
            Ok(problems) => problems,
            Err(error) => match error.problem() {
                Some(problem) => vec![problem],
                None => {
                    tracing::error!(account = self.key, %error, "an account's history could not be read");
                    return true;
                }
            },
        };
        if problems.is_empty() {
            let history = *progress.borrow();
            tracing::info!(account = self.key, events = history.events, "the account's history is read");
            self.history_problems().clear();
            self.shared.note(&self.key, |progress| (progress.history, progress.history_done) = (history, true));
            return false;
        }
        let lasts = *failures + 1 >= HISTORY_FAILURES_TOLD || problems.iter().any(|problem| problem.code == "permission_missing");
        *self.history_problems() = if lasts { problems } else { Vec::new() };
        true
    }

    fn history_problems(&self) -> std::sync::MutexGuard<'_, Vec<AccountProblem>> {
        self.history_problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long until the next try: the interval, or less at first after a failure.
fn pause(interval: Duration, obstructed: bool, failures: &mut u32) -> Duration {
    if !obstructed {
        *failures = 0;
        return interval;
    }
    let pause = ACCOUNT_RETRY.saturating_mul(1 << (*failures).min(16)).min(interval);
    *failures = failures.saturating_add(1);
    pause
}

/// Whether a verification found what makes any other call useless. Nothing but silence is such a thing too: others wait for the place.
fn lets_nothing_through(problems: &[AccountProblem]) -> bool {
    let is_closed = |problem: &AccountProblem| {
        matches!(problem.code.as_str(), "assume_role_denied" | "own_credentials" | "wrong_account" | "invalid_arn" | "session_policy")
    };
    let is_silent = |problem: &AccountProblem| matches!(problem.code.as_str(), "unreachable" | "throttled" | "expired");
    problems.iter().any(is_closed) || (!problems.is_empty() && problems.iter().all(is_silent))
}

fn tenant_unknown() -> AccountProblem {
    AccountProblem {
        code: "tenant_unknown".to_owned(),
        detail: "the account's tenant has no external id".to_owned(),
        help: "`cloudigrade accounts policy` makes one; put it into the role's trust policy".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_soon_and_then_ever_more_rarely_but_never_more_rarely_than_all_else() {
        let (interval, mut failures) = (Duration::from_secs(900), 0);
        let pauses: Vec<u64> = (0..8).map(|_| pause(interval, true, &mut failures).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!(pause(interval, false, &mut failures), interval);
        assert_eq!(pause(interval, true, &mut failures).as_secs(), 30);
        assert_eq!(pause(Duration::from_secs(1), true, &mut failures).as_secs(), 1);
    }
}
