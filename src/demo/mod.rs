//! `cloudigrade demo`: a simulated fleet with known truth.
//!
//! A fleet is a pure function of its [`FleetOptions`]. The simulation acts on a [`World`](world::World), which witnesses what
//! happens and logs it; the log is delivered as CloudTrail files, some of it late, twice or never. The [`Truth`] is what was witnessed:
//! it is never read back from the records, so that it can judge what the pipeline makes of them.
//!
//! * [`story`] acts, on [`world`]; [`truth`] is what that leaves behind, and [`compare`] holds a measurement against it
//! * [`record`], [`noise`], [`delivery`], [`json`]: from calls to files
//! * [`plot`] draws the report for a terminal; it knows nothing of fleets
//!
//! Nothing here knows the pipeline, a clock or the terminal. Only [`Fleet::write_to`] touches the file system.

mod calendar;
mod compare;
mod delivery;
mod fleet;
mod json;
mod noise;
mod place;
pub mod plot;
mod random;
mod record;
mod story;
mod templates;
mod truth;
mod world;

#[cfg(test)]
mod tests;

pub use compare::Measured;
pub use fleet::{Fleet, FleetError, FleetOptions, simulate};
pub use truth::Run;
