//! A little chance, so that what began together does not stay together.

use std::time::Duration;

/// A time between nothing and `most`.
pub(super) fn jitter(most: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.0, |chance| f64::from(chance) / f64::from(u32::MAX));
    most.mul_f64(share)
}
