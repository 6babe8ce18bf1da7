//! Silence: nothing is heard from a region that is in use. CloudTrail's hourly digests tell that a quiet region is quiet; where they do not
//! come either, it is not known whether nothing happens or nothing arrives.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudigrade_schemas::{Account, AccountState, UtcSecond};

use crate::limits::{REGION_FORGOTTEN, SILENCE_AFTER};

/// When a region is silent.
#[derive(Clone, Copy, Debug)]
pub struct SilenceLimits {
    /// Nothing was heard for this long.
    pub after: Duration,
    /// A region of which nothing was heard for this long is not in use.
    pub forgotten: Duration,
}

impl Default for SilenceLimits {
    fn default() -> Self {
        Self { after: SILENCE_AFTER, forgotten: REGION_FORGOTTEN }
    }
}

/// The accounts that are listened to.
#[derive(Clone, Debug, Default)]
pub struct Listened {
    accounts: BTreeMap<String, Listening>,
}

/// How an account is listened to.
#[derive(Clone, Debug)]
struct Listening {
    since: UtcSecond,
    /// The home region of its trail: from there something must come, at least.
    home: Option<String>,
}

impl Listened {
    /// Of all accounts those that are enabled, for whichever tenant.
    pub fn of<'a>(accounts: impl IntoIterator<Item = &'a Account>) -> Self {
        let mut listened = Self::default();
        for account in accounts.into_iter().filter(|account| account.state == AccountState::Enabled) {
            let resumed = account.unmetered.iter().filter_map(|unmetered| unmetered.until).max();
            let since = resumed.map_or(account.created_at, |resumed| resumed.max(account.created_at));
            // arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME
            let home = account.trail.as_ref().and_then(|trail| trail.arn.split(':').nth(3)).filter(|home| !home.is_empty());
            let listening = listened.accounts.entry(account.account_id.clone()).or_insert(Listening { since, home: None });
            listening.since = listening.since.min(since);
            listening.home = listening.home.take().or_else(|| home.map(str::to_owned));
        }
        listened
    }

    /// The account and home region of each, where it is known.
    pub fn homes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.accounts.iter().filter_map(|(account, listening)| Some((account.as_str(), listening.home.as_deref()?)))
    }

    /// Since when the silence of a region lasts, if it is silent.
    pub fn silent_since(&self, account: &str, region: &str, heard: Heard, limits: SilenceLimits, now: UtcSecond) -> Option<UtcSecond> {
        let listening = self.accounts.get(account)?;
        let at_home = listening.home.as_deref() == Some(region);
        let ago = |moment: UtcSecond| Duration::from_secs(u64::try_from(now.0 - moment.0).unwrap_or(0));
        let heard_at = heard
            .heard_at
            .max(heard.told_of)
            .filter(|heard_at| at_home || ago(*heard_at) <= limits.forgotten)
            .or(at_home.then_some(listening.since))?;
        let silent = ago(heard_at.max(listening.since)) > limits.after;
        // Before it was listened to, nothing was to be heard.
        silent.then_some(heard.told_of.unwrap_or(heard_at).max(listening.since))
    }
}

/// What was heard of a region, at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The latest moment that something told of.
    pub told_of: Option<UtcSecond>,
    /// When a digest was read.
    pub heard_at: Option<UtcSecond>,
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::account::{Trail, Unmetered};

    use super::*;

    const NOW: i64 = 1_000_000_000;

    fn account(state: AccountState) -> Account {
        Account {
            tenant: "t".into(),
            account_id: "1".into(),
            arn: "arn:aws:iam::1:role/r".into(),
            name: None,
            state,
            created_at: UtcSecond(0),
            changed_at: UtcSecond(0),
            verified_at: None,
            unmetered: Vec::new(),
            trail: Some(Trail {
                arn: "arn:aws:cloudtrail:eu-west-1:1:trail/x".into(),
                bucket: "b".into(),
                organization: false,
                ours: true,
            }),
            problems: Vec::new(),
        }
    }

    fn silent(account: &Account, region: &str, told_of: Option<i64>, heard_at: Option<i64>) -> Option<i64> {
        let heard = Heard { told_of: told_of.map(UtcSecond), heard_at: heard_at.map(UtcSecond) };
        let listened = Listened::of([account]);
        listened.silent_since("1", region, heard, SilenceLimits::default(), UtcSecond(NOW)).map(|since| since.0)
    }

    #[test]
    fn a_region_is_silent_when_neither_events_nor_digests_came_for_longer_than_they_take() {
        let enabled = account(AccountState::Enabled);
        let (late, soon) = (NOW - 76 * 60, NOW - 74 * 60);
        assert_eq!(silent(&enabled, "us-east-1", Some(late), Some(late)), Some(late));
        assert_eq!(silent(&enabled, "us-east-1", Some(soon), Some(late)), None);
        assert_eq!(silent(&enabled, "us-east-1", Some(late), Some(soon)), None);
        assert_eq!(silent(&enabled, "us-east-1", Some(late), None), Some(late));
    }

    #[test]
    fn a_region_that_was_never_heard_of_is_not_in_use_unless_it_is_the_trails_home() {
        let enabled = account(AccountState::Enabled);
        assert_eq!(silent(&enabled, "us-east-1", None, None), None);
        assert_eq!(silent(&enabled, "us-east-1", Some(NOW - 40 * 86_400), None), None);
        assert_eq!(silent(&enabled, "eu-west-1", None, None), Some(0));
        assert_eq!(silent(&Account { created_at: UtcSecond(NOW - 60), ..enabled }, "eu-west-1", None, None), None);
    }

    #[test]
    fn only_accounts_that_are_enabled_are_listened_to_from_when_they_were() {
        let late = Some(NOW - 7200);
        for state in [AccountState::Pending, AccountState::Paused, AccountState::Disabled, AccountState::Deleted] {
            assert_eq!(silent(&account(state), "us-east-1", late, None), None);
        }
        let again = vec![Unmetered { from: UtcSecond(1), until: Some(UtcSecond(NOW - 6000)) }];
        let resumed_long_ago = Account { unmetered: again, ..account(AccountState::Enabled) };
        assert_eq!(silent(&resumed_long_ago, "us-east-1", late, None), Some(NOW - 6000));
        let resumed = vec![Unmetered { from: UtcSecond(1), until: Some(UtcSecond(NOW - 60)) }];
        assert_eq!(silent(&Account { unmetered: resumed, ..account(AccountState::Enabled) }, "us-east-1", late, None), None);
    }
}
