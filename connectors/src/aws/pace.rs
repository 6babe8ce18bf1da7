//! How fast AWS is called: a pace for each account, region and API, which slows down when AWS throttles and finds back afterwards.
//!
//! The pace is ours rather than a fixed quota of a library, because it must change while it runs: AWS does not tell its quotas, and they
//! are shared with whatever else runs in the account.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::api::{Api, Quota};
use super::jitter::jitter;
use crate::limits::{PACE_JITTER_PERCENT, PACE_SLOWEST, PACES_MAX};

/// Account, region and API.
type Key = (String, String, Api);

/// The paces of all calls.
#[derive(Debug, Default)]
pub struct Paces {
    paces: Mutex<HashMap<Key, Pace>>,
}

/// One pace: a leaky bucket whose leak can be narrowed.
#[derive(Debug)]
struct Pace {
    /// When the bucket would be empty.
    empty_at: Instant,
    /// Time between calls as it is now.
    every: Duration,
}

impl Paces {
    /// Waits until a call may be made. Those that wait are let through in order, one at a time.
    pub async fn wait(&self, account: &str, region: &str, api: Api) {
        let now = Instant::now();
        let at = self.reserve((account.to_owned(), region.to_owned(), api), now);
        if at > now {
            let wait = at - now;
            tokio::time::sleep(wait + jitter(api.quota().every * PACE_JITTER_PERCENT / 100)).await;
        }
    }

    /// AWS throttled: half as fast from now on, and not before the next turn.
    pub fn throttled(&self, account: &str, region: &str, api: Api) {
        let now = Instant::now();
        let mut paces = self.lock();
        let pace = paces.entry((account.to_owned(), region.to_owned(), api)).or_insert_with(|| Pace::new(api.quota(), now));
        pace.throttled(api.quota(), now);
    }

    /// A call went well: a little faster again, up to the quota.
    pub fn went_well(&self, account: &str, region: &str, api: Api) {
        if let Some(pace) = self.lock().get_mut(&(account.to_owned(), region.to_owned(), api)) {
            pace.went_well(api.quota());
        }
    }

    fn reserve(&self, key: Key, now: Instant) -> Instant {
        let quota = key.2.quota();
        let mut paces = self.lock();
        if paces.len() >= PACES_MAX && !paces.contains_key(&key) {
            make_room(&mut paces, now);
        }
        paces.entry(key).or_insert_with(|| Pace::new(quota, now)).reserve(quota, now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Pace>> {
        // Each change is a single step: a panic elsewhere leaves nothing half done.
        self.paces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    fn new(quota: Quota, now: Instant) -> Self {
        Self { empty_at: now, every: quota.every }
    }

    /// Takes a turn and says when it is.
    fn reserve(&mut self, quota: Quota, now: Instant) -> Instant {
        let filled = self.empty_at.max(now);
        self.empty_at = filled + self.every;
        let slack = self.every * quota.burst.saturating_sub(1);
        filled.checked_sub(slack).map_or(now, |at| at.max(now))
    }

    /// Half as fast; what was saved up for a burst is lost. The wait does not grow beyond that of the slowest pace.
    fn throttled(&mut self, quota: Quota, now: Instant) {
        self.every = (self.every * 2).min(quota.every * PACE_SLOWEST);
        self.empty_at = now + self.every * quota.burst;
    }

    fn went_well(&mut self, quota: Quota) {
        self.every = (self.every * 9 / 10).max(quota.every);
    }

    fn at_rest(&self, api: Api, now: Instant) -> bool {
        self.empty_at <= now && self.every == api.quota().every
    }
}

/// Forgets the paces at rest, which a new one equals, and then, if all are in use, all: AWS throttles us if that was too many.
fn make_room(paces: &mut HashMap<Key, Pace>, now: Instant) {
    paces.retain(|(_, _, api), pace| !pace.at_rest(*api, now));
    if paces.len() >= PACES_MAX {
        paces.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Api::LookupEvents.quota();

    /// How long the last of some calls waits that all come at once.
    fn last_of(pace: &mut Pace, calls: u32, now: Instant) -> Duration {
        (0..calls).map(|_| pace.reserve(QUOTA, now) - now).last().unwrap_or_default()
    }

    #[test]
    fn an_api_is_called_no_faster_than_its_quota_after_a_burst() {
        let now = Instant::now();
        let mut pace = Pace::new(QUOTA, now);
        assert_eq!(last_of(&mut pace, QUOTA.burst, now), Duration::ZERO);
        assert_eq!(last_of(&mut pace, 10, now), QUOTA.every * 10);
        let rested = now + QUOTA.every * 12;
        assert_eq!(last_of(&mut pace, QUOTA.burst, rested), Duration::ZERO);
    }

    #[test]
    fn regions_do_not_wait_for_each_other() {
        let now = Instant::now();
        let paces = Paces::default();
        let key = |region: &str| ("111122223333".to_owned(), region.to_owned(), Api::LookupEvents);
        for _ in 0..5 {
            paces.reserve(key("us-east-1"), now);
        }
        assert!(paces.reserve(key("us-east-1"), now) > now);
        assert_eq!(paces.reserve(key("eu-west-1"), now), now);
    }

    #[test]
    fn throttling_slows_down_to_a_limit_and_success_finds_back() {
        let now = Instant::now();
        let mut pace = Pace::new(QUOTA, now);
        for _ in 0..20 {
            pace.throttled(QUOTA, now);
        }
        assert_eq!(pace.every, QUOTA.every * PACE_SLOWEST);
        let first = pace.reserve(QUOTA, now);
        assert!(first >= now + QUOTA.every * PACE_SLOWEST, "{:?}", first - now);
        for _ in 0..60 {
            pace.went_well(QUOTA);
        }
        assert_eq!(pace.every, QUOTA.every);
    }

    #[test]
    fn paces_at_rest_are_forgotten_and_equal_new_ones() {
        let now = Instant::now();
        let mut paces = HashMap::new();
        let key = |n: usize| (n.to_string(), "r".to_owned(), Api::DescribeInstances);
        paces.insert(key(0), Pace::new(Api::DescribeInstances.quota(), now));
        let mut busy = Pace::new(Api::DescribeInstances.quota(), now);
        busy.throttled(Api::DescribeInstances.quota(), now);
        paces.insert(key(1), busy);
        make_room(&mut paces, now);
        assert_eq!(paces.keys().map(|key| key.0.as_str()).collect::<Vec<_>>(), ["1"]);
    }
}
