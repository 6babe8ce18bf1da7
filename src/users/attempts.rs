//! How often somebody may fail to log in: by name and address together, by address, and by name.
//!
//! Each is a bucket of failures that empties with time. An attempt takes its place in all of them before the password is looked at, and a
//! success gives it back; so attempts at the same time cannot be more than the buckets allow. Names that there are and names that there are
//! not are treated alike.
//!
//! The bucket of a name alone holds against many addresses at once. It does not count for addresses that the name has logged in from
//! before: by failing from elsewhere, nobody can shut a user out.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::limits::{
    ADDRESS_FAILURE_EVERY, ADDRESS_FAILURES_BURST, FAILURES_REMEMBERED_MAX, LOGINS_REMEMBERED_MAX, NAME_FAILURE_EVERY, NAME_FAILURES_BURST,
    PAIR_FAILURE_EVERY, PAIR_FAILURES_BURST,
};

/// How many failures, and how long each counts.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

const OF_PAIR: Rate = Rate { burst: PAIR_FAILURES_BURST, every: PAIR_FAILURE_EVERY };
const OF_ADDRESS: Rate = Rate { burst: ADDRESS_FAILURES_BURST, every: ADDRESS_FAILURE_EVERY };
const OF_NAME: Rate = Rate { burst: NAME_FAILURES_BURST, every: NAME_FAILURE_EVERY };

/// What failures are counted of. A name is its hash, so that nobody decides how much memory it takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Pair(u64, IpAddr),
    Address(IpAddr),
    Name(u64),
}

/// An attempt that was let through, until it is known how it ended.
#[must_use]
pub struct Attempt {
    name: u64,
    address: IpAddr,
    counted: Vec<(Of, Rate)>,
}

/// The failures of late.
pub struct Attempts {
    names: RandomState,
    /// When the last failure of each stops counting.
    empty_at: HashMap<Of, Instant>,
    /// Where names have logged in from, and when last.
    known: HashMap<(u64, IpAddr), Instant>,
}

impl Attempts {
    /// None yet.
    pub fn new() -> Self {
        Self { names: RandomState::new(), empty_at: HashMap::new(), known: HashMap::new() }
    }

    /// Lets an attempt through, or says how long to wait.
    pub fn begin(&mut self, name: &str, from: Option<IpAddr>, now: Instant) -> Result<Attempt, Duration> {
        let name = self.names.hash_one(name);
        let address = network(from);
        let mut counted = vec![(Of::Pair(name, address), OF_PAIR), (Of::Address(address), OF_ADDRESS)];
        if !self.known.contains_key(&(name, address)) {
            counted.push((Of::Name(name), OF_NAME));
        }
        let waits = counted.iter().map(|(of, rate)| self.wait(*of, *rate, now));
        let wait = waits.max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(wait);
        }
        self.make_room(now);
        for (of, rate) in &counted {
            let empty_at = self.empty_at.entry(*of).or_insert(now);
            *empty_at = (*empty_at).max(now) + rate.every;
        }
        Ok(Attempt { name, address, counted })
    }

    /// The attempt ended with the right password: it is no failure, and the address is one that the name is used from.
    pub fn succeeded(&mut self, attempt: &Attempt, now: Instant) {
        self.forgive(attempt);
        if self.known.len() >= LOGINS_REMEMBERED_MAX {
            let oldest = self.known.iter().min_by_key(|(_, at)| **at).map(|(pair, _)| *pair);
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        self.known.insert((attempt.name, attempt.address), now);
    }

    /// The attempt says nothing about the password: it was not looked at.
    pub fn forgive(&mut self, attempt: &Attempt) {
        for (of, rate) in &attempt.counted {
            if let Some(empty_at) = self.empty_at.get_mut(of)
                && let Some(earlier) = empty_at.checked_sub(rate.every)
            {
                *empty_at = earlier;
            }
        }
    }

    /// How long until one more failure has room.
    fn wait(&self, of: Of, rate: Rate, now: Instant) -> Duration {
        let empty_in = self.empty_at.get(&of).map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        (empty_in + rate.every).saturating_sub(rate.every * rate.burst)
    }

    /// Forgets what no longer counts; where all counts, what stops counting first.
    fn make_room(&mut self, now: Instant) {
        if self.empty_at.len() + 3 <= FAILURES_REMEMBERED_MAX {
            return;
        }
        self.empty_at.retain(|_, empty_at| *empty_at > now);
        if self.empty_at.len() + 3 > FAILURES_REMEMBERED_MAX {
            let mut moments: Vec<Instant> = self.empty_at.values().copied().collect();
            moments.sort_unstable();
            // An eighth at once, so that this is seldom.
            let kept_from = moments[moments.len() / 8];
            self.empty_at.retain(|_, empty_at| *empty_at > kept_from);
        }
    }
}

/// What counts as one address: of IPv6, the network that one site has.
fn network(from: Option<IpAddr>) -> IpAddr {
    match from.map(|address| address.to_canonical()) {
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        Some(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// How many attempts in a row are let through.
    fn failures(attempts: &mut Attempts, name: &str, from: Option<IpAddr>, now: Instant) -> usize {
        (0..1000).take_while(|_| attempts.begin(name, from, now).is_ok()).count()
    }

    #[test]
    fn failures_of_one_name_from_one_address_are_let_through_a_few_times_and_then_one_each_interval() {
        let (mut attempts, start) = (Attempts::new(), Instant::now());
        let here = address("192.0.2.1");
        assert_eq!(failures(&mut attempts, "ann", here, start), PAIR_FAILURES_BURST as usize);
        assert_eq!(attempts.begin("ann", here, start).err(), Some(PAIR_FAILURE_EVERY));
        assert_eq!(failures(&mut attempts, "ann", here, start + PAIR_FAILURE_EVERY), 1);
        assert_eq!(failures(&mut attempts, "ann", here, start + PAIR_FAILURE_EVERY * 1000), PAIR_FAILURES_BURST as usize);
    }

    #[test]
    fn one_address_cannot_try_many_names() {
        let (mut attempts, now) = (Attempts::new(), Instant::now());
        let tried: usize = (0..100).map(|n| failures(&mut attempts, &format!("user{n}"), address("192.0.2.1"), now)).sum();
        assert_eq!(tried, ADDRESS_FAILURES_BURST as usize);
    }

    #[test]
    fn one_site_of_ipv6_is_one_address() {
        let (mut attempts, now) = (Attempts::new(), Instant::now());
        let tried: usize = (0..100).map(|n| failures(&mut attempts, "ann", address(&format!("2001:db8::{n:x}")), now)).sum();
        assert_eq!(tried, PAIR_FAILURES_BURST as usize);
    }

    #[test]
    fn success_is_no_failure_however_often() {
        let (mut attempts, now) = (Attempts::new(), Instant::now());
        for _ in 0..1000 {
            let attempt = attempts.begin("ann", address("192.0.2.1"), now).unwrap_or_else(|_| panic!("it is let through"));
            attempts.succeeded(&attempt, now);
        }
        assert_eq!(failures(&mut attempts, "ann", address("192.0.2.1"), now), PAIR_FAILURES_BURST as usize);
    }

    #[test]
    fn many_addresses_that_fail_with_a_name_do_not_shut_it_out_where_it_is_used() {
        let (mut attempts, now) = (Attempts::new(), Instant::now());
        let home = address("192.0.2.1");
        let attempt = attempts.begin("ann", home, now).unwrap_or_else(|_| panic!("it is let through"));
        attempts.succeeded(&attempt, now);
        let elsewhere: usize = (0..250).map(|n| failures(&mut attempts, "ann", address(&format!("198.51.100.{n}")), now)).sum();
        assert_eq!(elsewhere, NAME_FAILURES_BURST as usize);
        assert!(attempts.begin("ann", home, now).is_ok());
        // From an address that is new to it, it is let through again soon.
        let wait = attempts.begin("ann", address("203.0.113.1"), now).err();
        assert_eq!(wait, Some(NAME_FAILURE_EVERY));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut attempts, now) = (Attempts::new(), Instant::now());
        for n in 0..FAILURES_REMEMBERED_MAX as u32 {
            let from = Some(IpAddr::V4(Ipv4Addr::from_bits(n)));
            if let Ok(attempt) = attempts.begin(&n.to_string(), from, now) {
                attempts.succeeded(&attempt, now);
            }
            assert!(attempts.begin(&n.to_string(), from, now).is_ok());
        }
        assert!(attempts.empty_at.len() <= FAILURES_REMEMBERED_MAX && attempts.known.len() <= LOGINS_REMEMBERED_MAX);
    }
}
