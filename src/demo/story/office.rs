//! Development machines that run while their people work, by the clock of the office.

use cloudigrade_schemas::{PowerAction, UtcSecond};

use crate::demo::FleetError;
use crate::demo::calendar::{FRIDAY, HOUR, MINUTE, WallClock, is_workday, later};
use crate::demo::place::{BERLIN, NEW_YORK, Place};
use crate::demo::record::{Caller, LaunchBy, Refusal};
use crate::demo::world::{Launch, Machine, World};

const SCHEDULER: Caller = Caller::Role("instance-scheduler");

struct Office {
    place: Place,
    zone: &'static str,
    machines: usize,
    instance_type: &'static str,
    people: [&'static str; 4],
    /// The Friday of the window, from 0, on which the record of someone's StopInstances is lost.
    unlucky_friday: i64,
}

const OFFICES: [Office; 2] = [
    Office {
        place: BERLIN,
        zone: "Europe/Berlin",
        machines: 22,
        instance_type: "t3.xlarge",
        people: ["jonas", "leyla", "anna", "viktor"],
        unlucky_friday: 1,
    },
    Office {
        place: NEW_YORK,
        zone: "America/New_York",
        machines: 14,
        instance_type: "t3.large",
        people: ["grace", "omar", "wei", "sofia"],
        unlucky_friday: 2,
    },
];

pub(super) fn tell(world: &mut World) -> Result<(), FleetError> {
    for office in OFFICES {
        office.live(world)?;
    }
    Ok(())
}

impl Office {
    fn live(&self, world: &mut World) -> Result<(), FleetError> {
        let clock = WallClock::of(self.zone)?;
        let image_id = world.image();
        let mut machines = Vec::new();
        let unlucky = world.weekday_of_window(self.unlucky_friday, FRIDAY);
        for day in world.days().filter(|day| is_workday(*day)) {
            let opens = clock.at(day, 7 * HOUR + 30 * MINUTE)?;
            let closes = clock.at(day, 19 * HOUR)?;
            let mut working = if machines.is_empty() {
                let launch = Launch { count: self.machines, instance_type: self.instance_type, image_id: &image_id, by: LaunchBy::Request };
                machines = world.launch(self.place, opens, SCHEDULER, &launch);
                machines.clone()
            } else {
                self.arrive(world, &machines, opens)
            };
            self.leave(world, &mut working, clock.at(day, 16 * HOUR)?, day == unlucky);
            let closed = world.after(closes, 0, 40);
            world.stop(&working, closed, SCHEDULER);
        }
        Ok(())
    }

    /// The machines of all who come to work are started; now and then EC2 has no room at first.
    fn arrive(&self, world: &mut World, machines: &[Machine], opens: UtcSecond) -> Vec<Machine> {
        let working: Vec<_> = machines.iter().copied().filter(|_| world.random.chance(88)).collect();
        let mut at = world.after(opens, 0, 40);
        if world.random.chance(8) {
            world.refuse(PowerAction::StartInstances, &working, at, SCHEDULER, Refusal::NoCapacity);
            at = later(at, 90);
        }
        world.start(&working, at, SCHEDULER);
        working
    }

    /// Some stop their machine themselves when they go home; some of these have it made larger or smaller for tomorrow.
    fn leave(&self, world: &mut World, working: &mut Vec<Machine>, from: UtcSecond, unlucky: bool) {
        let count = world.random.below(4) + 1;
        for (n, machine) in world.random.take(working, count).into_iter().enumerate() {
            let at = world.after(from, 0, 170 * MINUTE);
            let person = Caller::Person(world.random.pick(self.people));
            if unlucky && n == 0 {
                world.end_unlogged(PowerAction::StopInstances, machine, at, person);
                continue;
            }
            world.stop(&[machine], at, person);
            if world.random.chance(12) {
                let instance_type = world.random.pick(["t3.medium", "t3.large", "t3.xlarge", "t3.2xlarge", "m5.xlarge"]);
                world.retype(machine, instance_type, later(at, 4 * MINUTE), person);
            }
        }
    }
}
