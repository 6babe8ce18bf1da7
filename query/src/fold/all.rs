//! A fold over one group, for plans without GROUP BY.
//!
//! Each thread folds a part, and one of them then has all parts finished together. They are all here, so what goes from one to the other is the
//! part itself, not what it would be written down as: written and read again, the parts of a large table took longer than all that follows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray};
use datafusion::common::Result;
use datafusion::logical_expr::{Accumulator, GroupsAccumulator};
use datafusion::scalar::ScalarValue;

use super::accumulator::FoldGroups;
use super::{Fold, FoldError, Scope};

/// The parts that were folded and not taken together yet, by the number that the plan hands on. They go with the plan.
pub(crate) struct Parts<F: Fold>(Mutex<(u64, BTreeMap<u64, FoldGroups<F>>)>);

impl<F: Fold> Default for Parts<F> {
    fn default() -> Self {
        Self(Mutex::new((0, BTreeMap::new())))
    }
}

impl<F: Fold> Parts<F> {
    fn put(&self, part: FoldGroups<F>) -> u64 {
        let (next, parts) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        parts.insert(*next, part);
        *next
    }

    fn take(&self, number: u64) -> Option<FoldGroups<F>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&number)
    }
}

/// A fold over one group.
pub(crate) struct FoldAll<F: Fold> {
    scope: Scope,
    part: FoldGroups<F>,
    /// What others folded.
    others: Vec<FoldGroups<F>>,
    parts: Arc<Parts<F>>,
}

impl<F: Fold> FoldAll<F> {
    pub(crate) fn new(scope: &Scope, parts: &Arc<Parts<F>>) -> Self {
        Self { scope: scope.clone(), part: FoldGroups::of_one(scope), others: Vec::new(), parts: Arc::clone(parts) }
    }

    fn take(&mut self) -> FoldGroups<F> {
        std::mem::replace(&mut self.part, FoldGroups::of_one(&self.scope))
    }
}

impl<F: Fold> fmt::Debug for FoldAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(F::NAME)
    }
}

impl<F: Fold> Accumulator for FoldAll<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        Ok(self.part.add_rows(values, |_| Some(0))?)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let numbers = states.first().and_then(|states| states.as_binary_opt::<i64>()).ok_or(FoldError::NotAState)?;
        for numbers in numbers {
            for number in numbers.ok_or(FoldError::NotAState)?.chunks(size_of::<u64>()) {
                let number = number.try_into().map(u64::from_le_bytes).map_err(|_| FoldError::NotAState)?;
                self.others.push(self.parts.take(number).ok_or(FoldError::NotAState)?);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let others = std::mem::take(&mut self.others);
        Ok(ScalarValue::List(Arc::new(self.take().rows_together(others)?)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let part = self.take();
        let parts = std::mem::take(&mut self.others).into_iter().chain([part]);
        let numbers: Vec<u8> = parts.flat_map(|part| self.parts.put(part).to_le_bytes()).collect();
        Ok(vec![ScalarValue::LargeBinary(Some(numbers))])
    }

    fn size(&self) -> usize {
        self.others.iter().chain([&self.part]).map(GroupsAccumulator::size).sum()
    }
}
