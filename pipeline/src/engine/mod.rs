//! What an operator is, and the one loop that drives operators: poll, fold, commit.

mod cx;
mod step;

pub use cx::Cx;
pub use step::{Counters, Step, step};

use crate::log::{LogError, Record};
use cloudigrade_schemas::Topic;

/// A pure fold over records: synchronous and deterministic, with no clock, no I/O and no randomness.
///
/// It takes `&self`: all that it remembers between records is in the state of [`Cx`], so that nothing survives a commit that was
/// given up.
pub trait Operator: Send + Sync {
    /// The topics it wants.
    fn inputs(&self) -> &'static [Topic];

    /// Folds the records of a batch, in their order, into state and outputs. It sees a whole batch so that it can fold the
    /// records of one key once; how records are divided into batches must not change the final state and tables.
    ///
    /// Bad data is not an error: it becomes a dead letter.
    ///
    /// # Errors
    /// Only those of reading state.
    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError>;
}
