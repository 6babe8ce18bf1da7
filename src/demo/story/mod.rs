//! What the people and programs of a company do with their instances, one file for each kind of work.

mod autoscaling;
mod jobs;
mod office;
mod servers;
mod workshop;

use super::FleetError;
use super::world::World;

/// Lets everything happen.
pub(super) fn tell(world: &mut World) -> Result<(), FleetError> {
    servers::tell(world);
    autoscaling::tell(world);
    office::tell(world)?;
    jobs::tell(world);
    workshop::tell(world);
    Ok(())
}
