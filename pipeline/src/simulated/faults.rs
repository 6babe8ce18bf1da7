//! What goes wrong, and how often.

/// How often something happens, in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chance(u16);

impl Chance {
    /// The most often that anything happens: a repeated call must succeed some time.
    const PER_MILLE_MAX: u16 = 900;

    /// This often in a thousand, at most 900.
    pub const fn per_mille(n: u16) -> Self {
        Self(if n < Self::PER_MILLE_MAX { n } else { Self::PER_MILLE_MAX })
    }
}

/// The faults that a simulated log injects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A commit does not arrive; the task, which can not know, repeats it.
    pub lost_request: Chance,
    /// A commit happened but its answer got lost; the task, which can not know, repeats it.
    pub lost_reply: Chance,
    /// A commit is given up, as by a rebalance: [`crate::log::LogError::Abort`].
    pub abort: Chance,
    /// A poll, open or read is not possible right now: [`crate::log::LogError::Retry`].
    pub retry: Chance,
    /// Another process takes the task over, before a poll or before any attempt of a commit: [`crate::log::LogError::Fenced`].
    /// After a lost reply, what the fenced commit held is in the log nevertheless.
    pub takeover: Chance,
    /// A commit leaves offsets without records behind it, as Kafka's control records do.
    pub gap: Chance,
    /// A poll returns a part of what it could.
    pub short_poll: Chance,
    /// A deliberate violation of the contract.
    pub bug: Option<Bug>,
}

/// A deliberate violation of the contract, to see that tests find it. Each shows only together with some fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A commit that is given up moves the positions all the same: its records are never read again.
    PositionsNotAtomic,
    /// A commit that is repeated after a lost reply happens again.
    CommitTwice,
    /// A commit now and then forgets one of its outputs.
    DropOutput,
    /// A task that was taken over still commits.
    FenceIgnored,
}

impl Faults {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that a task survives: all but takeovers.
    pub fn transient() -> Self {
        Self {
            lost_request: Chance::per_mille(50),
            lost_reply: Chance::per_mille(100),
            abort: Chance::per_mille(100),
            retry: Chance::per_mille(50),
            takeover: Chance::default(),
            gap: Chance::per_mille(300),
            short_poll: Chance::per_mille(500),
            bug: None,
        }
    }

    /// All of them, often.
    pub fn harsh() -> Self {
        Self { takeover: Chance::per_mille(50), ..Self::transient() }
    }

    /// With a bug.
    #[must_use]
    pub fn with(self, bug: Bug) -> Self {
        Self { bug: Some(bug), ..self }
    }
}

/// Steele, Lea and Flood's SplitMix64: the whole of its state is its seed, and it is the same on every machine and in every release.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0. Slightly uneven, which no test minds.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Whether it happens this time.
    pub(super) fn happens(&mut self, chance: Chance) -> bool {
        chance.0 > 0 && self.below(1000) < usize::from(chance.0)
    }
}
