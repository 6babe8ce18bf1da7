//! A fold over one group, for plans without GROUP BY.
//!
//! Each thread folds a part, and one of them then takes the parts together. They are all here, so what goes from one to the other is the part
//! itself, not what it would be written down as: written and read again, the parts of a large table took longer than taking them together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray};
use datafusion::common::Result;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
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
    parts: Arc<Parts<F>>,
}

impl<F: Fold> FoldAll<F> {
    pub(crate) fn new(scope: &Scope, parts: &Arc<Parts<F>>) -> Self {
        Self { scope: scope.clone(), part: FoldGroups::of_one(scope), parts: Arc::clone(parts) }
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
        for number in numbers.iter() {
            let number = number.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
            let part = number.and_then(|number| self.parts.take(number)).ok_or(FoldError::NotAState)?;
            self.part.absorb(part)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::List(Arc::new(self.take().take_rows(EmitTo::All)?)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let part = self.take();
        Ok(vec![ScalarValue::LargeBinary(Some(self.parts.put(part).to_le_bytes().to_vec()))])
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(&self.part)
    }
}
