//! Work that comes and goes: Spot workers at night, batch jobs by day.

use cloudigrade_schemas::UtcSecond;

use crate::demo::calendar::{HOUR, MINUTE, is_workday, later};
use crate::demo::place::{RENDERING, WAREHOUSE};
use crate::demo::record::{Caller, LaunchBy};
use crate::demo::world::{Launch, World};

const RENDER_FARM: Caller = Caller::Role("render-farm");
const PIPELINE: Caller = Caller::Role("nightly-etl");

pub(super) fn tell(world: &mut World) {
    let (farm, batch) = (world.image(), world.image());
    for day in world.days() {
        render(world, day, &farm);
        if is_workday(day) {
            for hour in [9, 15] {
                crunch(world, later(day, hour * HOUR), &batch);
            }
        }
    }
}

/// A night on the render farm. EC2 takes workers back as it likes; most are replaced.
fn render(world: &mut World, day: UtcSecond, image_id: &str) {
    let spot = |count| Launch { count, instance_type: "c5.2xlarge", image_id, by: LaunchBy::Spot };
    let mut at = world.after(later(day, 6 * HOUR), 0, 20 * MINUTE);
    let count = world.random.between(12, 24) as usize;
    let mut workers = world.launch(RENDERING, at, RENDER_FARM, &spot(count));
    for _ in 0..world.random.between(4, 7) {
        at = world.after(at, 35 * MINUTE, 70 * MINUTE);
        let count = world.random.below(4);
        let reclaimed = world.random.take(&mut workers, count);
        world.reclaim(&reclaimed, at);
        if world.random.chance(70) {
            let soon = world.after(at, 2 * MINUTE, 6 * MINUTE);
            workers.extend(world.launch(RENDERING, soon, RENDER_FARM, &spot(reclaimed.len())));
        }
    }
    world.terminate(&workers, later(at, 40 * MINUTE), RENDER_FARM);
}

/// A batch job: many instances at once, gone within hours. One of them fails at once.
fn crunch(world: &mut World, hour: UtcSecond, image_id: &str) {
    let at = world.after(hour, 0, 10 * MINUTE);
    let launch = Launch { count: world.random.between(16, 36) as usize, instance_type: "r5.large", image_id, by: LaunchBy::Request };
    let mut workers = world.launch(WAREHOUSE, at, PIPELINE, &launch);
    let failed = world.random.take(&mut workers, 1);
    world.terminate(&failed, later(at, 20), PIPELINE);
    let half = workers.len() / 2;
    let early = world.random.take(&mut workers, half);
    let done = world.after(at, 35 * MINUTE, 80 * MINUTE);
    world.terminate(&early, done, PIPELINE);
    let all_done = world.after(done, 10 * MINUTE, 60 * MINUTE);
    world.terminate(&workers, all_done, PIPELINE);
}
