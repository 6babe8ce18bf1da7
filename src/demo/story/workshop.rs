//! People who try things out: short lives, calls that change nothing, calls that are refused, a type that no price list knows.

use cloudigrade_schemas::{PowerAction, UtcSecond};

use crate::demo::calendar::{DAY, HOUR, MINUTE, is_workday, later};
use crate::demo::place::WORKSHOP;
use crate::demo::record::{Caller, LaunchBy, Refusal};
use crate::demo::world::{Launch, Machine, World};

const PEOPLE: [&str; 5] = ["mia", "noah", "priya", "lin", "zoe"];
const TYPES: [&str; 4] = ["t3.micro", "t3.small", "t3.medium", "m5.large"];
/// A type before its release: its size is not public.
const PROTOTYPE: &str = "xp1.prototype";
/// The day of the window, from 0, from which on a terminated instance seems to run for ever.
const UNLUCKY_DAY: i64 = 20;

pub(super) fn tell(world: &mut World) {
    let image_id = world.image();
    let unlucky = later(world.calendar.window.start, UNLUCKY_DAY * DAY);
    for day in world.days() {
        let visitors = if is_workday(day) { world.random.between(2, 4) } else { world.random.between(0, 1) };
        let forgotten = day == unlucky;
        for visitor in 0..visitors.max(i64::from(forgotten)) {
            let at = world.after(day, 0, 9 * HOUR);
            let person = Caller::Person(world.random.pick(PEOPLE));
            let instance_type = if world.random.chance(10) { PROTOTYPE } else { world.random.pick(TYPES) };
            let count = world.random.below(2) + 1;
            let launch = Launch { count, instance_type, image_id: &image_id, by: LaunchBy::Request };
            let machines = world.launch(WORKSHOP, at, person, &launch);
            let Some(first) = machines.first().copied() else { return };
            if forgotten && visitor == 0 {
                world.terminate(&machines[1..], later(at, HOUR), person);
                world.end_unlogged(PowerAction::TerminateInstances, first, later(at, HOUR), person);
            } else {
                play(world, &machines, at, person);
            }
        }
    }
}

fn play(world: &mut World, machines: &[Machine], launched: UtcSecond, person: Caller) {
    let mut at = launched;
    let mut pause = |world: &mut World, most: i64| {
        at = world.after(at, 2 * MINUTE, most);
        at
    };
    if world.random.chance(30) {
        let why = world.random.pick([Refusal::Unauthorized, Refusal::DryRun, Refusal::TooManyVcpus, Refusal::NotFound]);
        let action = if why == Refusal::TooManyVcpus { PowerAction::RunInstances } else { PowerAction::StopInstances };
        let at = pause(world, 20 * MINUTE);
        world.refuse(action, machines, at, person, why);
    }
    if world.random.chance(25) {
        let at = pause(world, 20 * MINUTE);
        world.start(machines, at, person);
    }
    if world.random.chance(55) {
        let at = pause(world, 6 * HOUR);
        world.stop(machines, at, person);
        if world.random.chance(25) {
            let at = pause(world, 5 * MINUTE);
            world.stop(machines, at, person);
        }
        if world.random.chance(20) {
            let instance_type = world.random.pick(TYPES);
            let at = pause(world, 5 * MINUTE);
            machines.iter().for_each(|machine| world.retype(*machine, instance_type, at, person));
        }
        let at = pause(world, 15 * HOUR);
        world.start(machines, at, person);
    }
    let at = pause(world, 9 * HOUR);
    world.terminate(machines, at, person);
    if world.random.chance(20) {
        let at = pause(world, 10 * MINUTE);
        world.terminate(machines, at, person);
    }
}
