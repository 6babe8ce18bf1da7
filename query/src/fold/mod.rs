//! The two folds behind every report, as aggregate functions: [`Usage`] sums, [`Concurrency`] sweeps.
//!
//! A fold sees the pieces of runs, clips them to its period and to when their account is metered, and gives one row a bucket. Neither knows where the pieces come from
//! nor by what they are grouped. Their results do not depend on the order or the batches in which pieces arrive.

mod accumulator;
mod all;
mod bytes;
mod concurrency;
mod distinct;
mod function;
mod metered;
mod pieces;
mod spans;
mod sweep;
mod timeline;
mod usage;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::error::DataFusionError;

pub(crate) use concurrency::Concurrency;
pub(crate) use function::FoldFunction;
pub(crate) use metered::{Metered, outside};
pub(crate) use pieces::{COLUMNS as PIECE_COLUMNS, Clip, Pieces};
pub(crate) use usage::Usage;

use crate::period::Period;
use bytes::Reader;
use pieces::Piece;

/// Why a fold cannot give a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FoldError {
    #[error("a sum passes 64 bits; shorten the period or choose a finer granularity")]
    Overflow,
    #[error("an instance size of {vcpu} vCPU and {memory_mib} MiB is out of range")]
    SizeOutOfRange { vcpu: i64, memory_mib: i64 },
    #[error("an intermediate state of an aggregate does not read")]
    NotAState,
    #[error("the system starts no more threads ({cause}); ask again when less is going on")]
    NoThread { cause: String },
    #[error("argument {index} of an aggregate has the type {found}")]
    Argument { index: usize, found: DataType },
}

impl From<FoldError> for DataFusionError {
    fn from(error: FoldError) -> Self {
        Self::External(Box::new(error))
    }
}

/// How far the data of each account and region reaches, in seconds since 1970.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    by_account: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Reach {
    pub(crate) fn insert(&mut self, account: &str, region: &str, complete_through: i64) {
        self.by_account.entry(account.to_owned()).or_default().insert(region.to_owned(), complete_through);
    }

    /// The part of some accounts.
    pub(crate) fn only(&self, accounts: &[Arc<str>]) -> Self {
        let of =
            |account: &Arc<str>| self.by_account.get_key_value(&**account).map(|(account, regions)| (account.clone(), regions.clone()));
        Self { by_account: accounts.iter().filter_map(of).collect() }
    }

    /// How far an account's region reaches; [`UNKNOWN`] where it was never heard of.
    fn of(&self, account: &str, region: &str) -> i64 {
        self.by_account.get(account).and_then(|regions| regions.get(region)).copied().unwrap_or(UNKNOWN)
    }

    /// How far an account's region reaches; `None` where it was never heard of.
    pub(crate) fn known_of(&self, account: &str, region: &str) -> Option<i64> {
        Some(self.of(account, region)).filter(|reach| *reach != UNKNOWN)
    }

    /// How far all of the data reaches; `None` where there is none.
    pub(crate) fn overall(&self) -> Option<i64> {
        self.by_account.values().flat_map(BTreeMap::values).min().copied()
    }
}

/// The reach of data that was never heard of: all of it is provisional.
const UNKNOWN: i64 = i64::MIN;
/// The reach of a group without a piece.
const NO_PIECE: i64 = i64::MAX;

/// What a fold is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) period: Period,
    pub(crate) reach: Arc<Reach>,
    pub(crate) metered: Arc<Metered>,
    /// Whether buckets in which nothing ran have a row.
    pub(crate) every_bucket: bool,
    /// Whether a group is one instance, so that its instances need no counting.
    pub(crate) one_instance: bool,
}

impl Hash for Scope {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.period.hash(state);
        self.every_bucket.hash(state);
        self.one_instance.hash(state);
    }
}

/// A fold of pieces into one row a bucket, for each group.
pub(crate) trait Fold: Send + Sync + Sized + 'static {
    /// Its name in query plans.
    const NAME: &'static str;
    /// How many of [`pieces::COLUMNS`] it takes: all, or all but the instance.
    const ARGUMENTS: usize;
    /// What it holds of one group.
    type Group: Default + Send + Sync;

    fn new(scope: &Scope) -> Self;
    /// The columns of a row; each holds integers, or moments in microseconds.
    fn measures() -> Vec<Field>;
    /// Takes in a piece, which lies in the period and is not empty.
    fn add(&mut self, group: &mut Self::Group, piece: Piece) -> Result<(), FoldError>;
    /// Writes a group such that [`Fold::merge`] of any fold of the same scope reads it.
    fn encode(&self, group: &Self::Group, out: &mut Vec<u8>);
    /// Takes in what another fold has encoded.
    fn merge(&mut self, group: &mut Self::Group, from: &mut Reader<'_>) -> Result<(), FoldError>;
    /// Calls `row` for each bucket, ascending, with the values of its measures.
    fn finish(&self, group: Self::Group, row: &mut dyn FnMut(usize, &[Option<i64>])) -> Result<(), FoldError>;
    /// As [`Fold::finish`], of what several folds of the same scope hold of one group.
    fn finish_together(
        mut first: (Self, Self::Group),
        others: Vec<(Self, Self::Group)>,
        row: &mut dyn FnMut(usize, &[Option<i64>]),
    ) -> Result<(), FoldError> {
        for (fold, group) in others {
            let mut bytes = Vec::new();
            fold.encode(&group, &mut bytes);
            first.0.merge(&mut first.1, &mut Reader::new(&bytes))?;
        }
        first.0.finish(first.1, row)
    }
    /// The bytes that a group holds beside its own size.
    fn heap_bytes(group: &Self::Group) -> usize;
    /// The bytes that were allocated for groups since the last call.
    fn take_growth(&mut self) -> usize;
}

/// Pushes and counts the bytes by which the vector grew.
fn push_counted<T>(vec: &mut Vec<T>, value: T, growth: &mut usize) {
    let before = vec.capacity();
    if before == 0 {
        // Many groups hold one item; room for more comes with the second.
        vec.reserve_exact(1);
    }
    vec.push(value);
    *growth += (vec.capacity() - before) * size_of::<T>();
}
