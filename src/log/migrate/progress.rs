//! How far a move has come, for whoever watches.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Records are copied, after those that are there were held against them.
    Records,
    /// State is copied.
    State,
    /// Positions are translated.
    Positions,
    /// The log that is left is read for its digest.
    ReadingOld,
    /// The other one is read back.
    ReadingNew,
    /// The tables are written anew.
    Tables,
}

impl Step {
    const ALL: [Self; 6] = [Self::Records, Self::State, Self::Positions, Self::ReadingOld, Self::ReadingNew, Self::Tables];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Records => "copying records",
            Self::State => "copying state",
            Self::Positions => "copying positions",
            Self::ReadingOld => "reading the embedded log",
            Self::ReadingNew => "reading back from Kafka",
            Self::Tables => "writing the tables anew",
        }
    }
}

/// How far it has come.
#[derive(Debug, Default)]
pub struct Progress {
    step: AtomicU8,
    done: AtomicU64,
}

impl Progress {
    /// Begins a step.
    pub fn begin(&self, step: Step) {
        self.done.store(0, Ordering::Relaxed);
        let number = Step::ALL.iter().position(|other| *other == step).unwrap_or(0);
        self.step.store(u8::try_from(number).unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts what was done of it.
    pub fn add(&self, done: u64) {
        self.done.fetch_add(done, Ordering::Relaxed);
    }

    /// The step, and how many records or keys of it are done.
    pub fn so_far(&self) -> (Step, u64) {
        let step = Step::ALL.get(usize::from(self.step.load(Ordering::Relaxed))).copied().unwrap_or(Step::Records);
        (step, self.done.load(Ordering::Relaxed))
    }
}
