//! What is found out about an account, as commands in the log: when it changes, and not more often.

use std::time::Duration;

use cloudigrade_schemas::account::AccountProblem;
use cloudigrade_schemas::{Account, AccountAction, AccountCommand, AccountState, Topic, UtcSecond};

use super::Shared;
use super::member::Found;
use crate::limits::{PROBLEMS_TOLD_MAX, VERIFIED_TOLD_SECONDS};
use crate::source::committer::{Entry, Message};

/// Who gives these commands.
const BY: &str = "fleet";
/// How long a command may take to show in the account.
const DECIDED_WITHIN: Duration = Duration::from_secs(10);

/// What was told of one account.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// The problems that were told last, and those that the account showed then: they may be shown in another way than they are told.
    last: Option<(Vec<AccountProblem>, Vec<AccountProblem>)>,
}

impl Telling {
    /// Tells what a round found.
    pub(super) async fn tell(&mut self, shared: &Shared, account: &Account, mut found: Found) {
        found.problems.truncate(PROBLEMS_TOLD_MAX);
        let now = (shared.collector.now)();
        // What was done meanwhile by others counts, not what was so when the round began.
        let Some(current) = shared.account(&account.to_key()).filter(super::is_active) else { return };
        let Some(action) = self.action(&current, &found, now) else { return };
        if let AccountAction::Failed { problems, .. } = &action {
            for problem in problems {
                tracing::warn!(account = account.to_key(), code = problem.code, "{}; {}", problem.detail, problem.help);
            }
        }
        if let Err(error) = send(shared, &current, action, now).await {
            tracing::error!(account = account.to_key(), error, "what was found about an account could not be told");
            return;
        }
        let shown = decided(shared, &current).await;
        self.last = Some((found.problems, shown));
    }

    /// What there is to tell, if anything.
    fn action(&self, account: &Account, found: &Found, now: UtcSecond) -> Option<AccountAction> {
        let Found { problems, verified, trail } = found;
        let is_other_trail = trail.is_some() && account.trail != *trail;
        if !problems.is_empty() {
            let shown = account.problems == *problems;
            let told = self.last.as_ref().is_some_and(|(told, shown)| told == problems && *shown == account.problems);
            let is_news = is_other_trail || !(shown || told);
            return is_news.then(|| AccountAction::Failed { problems: problems.clone(), trail: trail.clone() });
        }
        let is_news = account.state == AccountState::Pending
            || !account.problems.is_empty()
            || is_other_trail
            || account.verified_at.is_none_or(|verified| now.0 - verified.0 >= VERIFIED_TOLD_SECONDS);
        (*verified && is_news).then(|| AccountAction::Verified { trail: trail.clone() })
    }
}

async fn send(shared: &Shared, account: &Account, action: AccountAction, now: UtcSecond) -> Result<(), String> {
    let key = account.tenant.clone().into_bytes();
    let command = AccountCommand {
        // Not made of the time alone: two findings within one second are two commands.
        id: format!("{BY}:{}:{now}:{:016x}", account.to_key(), getrandom::u64().map_err(|error| error.to_string())?),
        tenant: account.tenant.clone(),
        account_id: account.account_id.clone(),
        at: now,
        by: BY.to_owned(),
        action,
    };
    let value = serde_json::to_vec(&command).map_err(|error| error.to_string())?;
    let message = Message { topic: Topic::AccountCommands, partition_key: key.clone(), key, value };
    let entry = Entry { messages: vec![message], ..Entry::default() };
    shared.collector.committer.commit(entry).await.map_err(|error| error.to_string())
}

/// Waits until a command shows in the account, and gives the problems that it shows then.
async fn decided(shared: &Shared, before: &Account) -> Vec<AccountProblem> {
    let mut accounts = shared.accounts.clone();
    let key = before.to_key();
    let changed = accounts.wait_for(|accounts| accounts.iter().find(|account| account.to_key() == key) != Some(before));
    // A command that changes nothing does not show.
    let _ = tokio::time::timeout(DECIDED_WITHIN, changed).await;
    shared.account(&key).map(|account| account.problems).unwrap_or_default()
}

/// The problems of a verification and of what else was tried, without those that are told twice: a region's refusal says what the
/// verification said already, and where.
pub(super) fn merged(mut problems: Vec<AccountProblem>, more: Vec<AccountProblem>) -> Vec<AccountProblem> {
    for problem in more {
        let is_told = |told: &AccountProblem| told.code == problem.code && problem.detail.starts_with(&told.detail);
        if !problems.iter().any(is_told) {
            problems.push(problem);
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::account::Trail;

    use super::*;
    use crate::sample;

    const NOW: UtcSecond = UtcSecond(1_706_695_200);

    fn problem(detail: &str) -> AccountProblem {
        AccountProblem { code: "permission_missing".to_owned(), detail: detail.to_owned(), help: String::new() }
    }

    fn account(state: AccountState, problems: &[AccountProblem]) -> Account {
        Account { verified_at: Some(NOW), problems: problems.to_vec(), ..sample::account(state) }
    }

    fn trail() -> Option<Trail> {
        Some(sample::trail(true))
    }

    fn found(problems: &[AccountProblem], verified: bool, trail: Option<Trail>) -> Found {
        Found { problems: problems.to_vec(), verified, trail }
    }

    #[test]
    fn problems_are_told_when_they_change_and_not_again() {
        let mut telling = Telling::default();
        let failed = |telling: &Telling, shown: &[AccountProblem], problems: &[AccountProblem]| {
            telling.action(&account(AccountState::Enabled, shown), &found(problems, false, None), NOW).is_some()
        };
        let (one, two) = ([problem("one")], [problem("two")]);
        assert!(failed(&telling, &[], &one));
        assert!(!failed(&telling, &one, &one));
        assert!(failed(&telling, &one, &two));
        telling.last = Some((one.to_vec(), Vec::new()));
        assert!(!failed(&telling, &[], &one), "told, and shown in another way");
        assert!(failed(&telling, &two, &one), "somebody else said something else since");
    }

    #[test]
    fn a_trail_is_told_even_where_something_else_is_in_the_way() {
        let (mut telling, one) = (Telling::default(), [problem("one")]);
        telling.last = Some((one.to_vec(), one.to_vec()));
        let told = |account: &Account| telling.action(account, &found(&one, false, trail()), NOW);
        let failed = AccountAction::Failed { problems: one.to_vec(), trail: trail() };
        assert_eq!(told(&account(AccountState::Pending, &one)), Some(failed));
        assert_eq!(told(&Account { trail: trail(), ..account(AccountState::Pending, &one) }), None);
    }

    #[test]
    fn being_in_order_is_told_when_it_is_news() {
        let telling = Telling::default();
        let told = |account: &Account, verified, now| telling.action(account, &found(&[], verified, trail()), now);
        let sound = Account { trail: trail(), ..account(AccountState::Enabled, &[]) };
        assert_eq!(told(&sound, false, NOW), None, "nothing was verified");
        assert_eq!(told(&sound, true, NOW), None, "nothing is new");
        let verified = Some(AccountAction::Verified { trail: trail() });
        assert_eq!(told(&Account { state: AccountState::Pending, ..sound.clone() }, true, NOW), verified);
        assert_eq!(told(&Account { problems: vec![problem("x")], ..sound.clone() }, true, NOW), verified);
        assert_eq!(told(&Account { trail: None, ..sound.clone() }, true, NOW), verified);
        assert_eq!(told(&sound, true, UtcSecond(NOW.0 + VERIFIED_TOLD_SECONDS)), verified);
    }

    #[test]
    fn what_a_region_refuses_is_not_told_beside_the_same_refusal_at_home() {
        let all = merged(vec![problem("ec2:X is not permitted")], vec![problem("ec2:X is not permitted in us-east-1"), problem("ec2:Y")]);
        assert_eq!(all.iter().map(|problem| problem.detail.as_str()).collect::<Vec<_>>(), ["ec2:X is not permitted", "ec2:Y"]);
    }
}
