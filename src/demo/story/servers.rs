//! Servers that run day and night, apart from maintenance; some of them since before the log.

use cloudigrade_schemas::{PowerAction, UtcSecond};

use crate::demo::calendar::{DAY, HOUR, MINUTE, SUNDAY, TUESDAY, later};
use crate::demo::place::{CORE, Place, SHOP};
use crate::demo::record::{Caller, LaunchBy, Refusal};
use crate::demo::world::{Launch, Machine, World};

const TERRAFORM: Caller = Caller::Role("terraform");
const MAINTENANCE: Caller = Caller::Role("maintenance-window");
const KEEPER: Caller = Caller::Role("keep-running");
const OPERATOR: Caller = Caller::Person("alice");
const NEWCOMER: Caller = Caller::Person("mallory");

/// (place, how many, type): what is rolled out in the first hours of the log.
const ROLES: [(Place, usize, &str); 7] = [
    (SHOP, 6, "m5.xlarge"),
    (SHOP, 4, "r5.2xlarge"),
    (SHOP, 3, "c5.xlarge"),
    (SHOP, 2, "m5.large"),
    (CORE, 5, "m5.2xlarge"),
    (CORE, 3, "r5.xlarge"),
    (CORE, 2, "t3.large"),
];

pub(super) fn tell(world: &mut World) {
    let servers = roll_out(world);
    let (maintenance, intrusion) = (world.weekday_of_window(1, SUNDAY), world.weekday_of_window(1, TUESDAY));
    for day in world.days().skip(1) {
        // A program starts the servers that it is told to keep running. They run already.
        let at = world.after(later(day, 2 * HOUR), 0, 90);
        world.start(&servers[..6], at, KEEPER);
        if day == maintenance {
            maintain(world, &servers, later(day, 3 * HOUR));
        }
        if day == intrusion {
            world.refuse(PowerAction::TerminateInstances, &servers[..2], later(day, 14 * HOUR), NEWCOMER, Refusal::Unauthorized);
        }
    }
    legacy(world);
}

fn roll_out(world: &mut World) -> Vec<Machine> {
    let image_id = world.image();
    let mut at = later(world.calendar.log.start, 8 * HOUR);
    let mut servers = Vec::new();
    for (place, count, instance_type) in ROLES {
        at = world.after(at, 20 * MINUTE, 2 * HOUR);
        let launch = Launch { count, instance_type, image_id: &image_id, by: LaunchBy::Request };
        servers.extend(world.launch(place, at, TERRAFORM, &launch));
    }
    servers
}

/// One by one the servers are patched. Every fourth gets another size while it is down.
fn maintain(world: &mut World, servers: &[Machine], from: UtcSecond) {
    let mut down = from;
    for (n, server) in servers.iter().enumerate() {
        let up = world.after(down, 6 * MINUTE, 25 * MINUTE);
        world.stop(&[*server], down, MAINTENANCE);
        if n % 4 == 3 {
            let instance_type = world.random.pick(["m6i.xlarge", "m6i.2xlarge", "r6i.xlarge"]);
            world.retype(*server, instance_type, later(up, -MINUTE), MAINTENANCE);
        }
        world.start(&[*server], up, MAINTENANCE);
        down = world.after(up, MINUTE, 5 * MINUTE);
    }
}

/// Instances that were launched long before the log.
fn legacy(world: &mut World) {
    let image_id = world.image();
    let since = later(world.calendar.log.start, -400 * DAY);
    let launch = Launch { count: 6, instance_type: "m4.xlarge", image_id: &image_id, by: LaunchBy::Request };
    let old = world.existed(CORE, since, &launch);
    let at = |days: i64, hours: i64| -> UtcSecond { later(world.calendar.window.start, days * DAY + hours * HOUR + 11 * MINUTE) };
    // Stopped and started: the log knows when it runs from then on, but not its type.
    let (down, up) = (at(4, 9), at(5, 8));
    // Gets a newer type: from then on the log knows both.
    let (moved_down, moved, moved_up) = (at(8, 10), at(8, 11), at(8, 12));
    // Shut down for good: the log tells an end without a start.
    let gone = at(12, 15);
    // The other three are never touched, and never heard of.
    world.stop(&old[..1], down, OPERATOR);
    world.start(&old[..1], up, OPERATOR);
    world.stop(&old[1..2], moved_down, OPERATOR);
    world.retype(old[1], "m6i.xlarge", moved, OPERATOR);
    world.start(&old[1..2], moved_up, OPERATOR);
    world.terminate(&old[2..3], gone, OPERATOR);
}
