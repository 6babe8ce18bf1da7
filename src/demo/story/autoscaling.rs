//! Auto Scaling groups that follow the load of the day, by launch template.

use std::collections::VecDeque;

use cloudigrade_schemas::UtcSecond;

use crate::demo::calendar::{HOUR, MINUTE, WEDNESDAY, is_workday, later, weekday};
use crate::demo::place::{CORE, Place, SHOP};
use crate::demo::record::{Caller, LaunchBy};
use crate::demo::world::{Launch, Machine, World};

/// Load of each UTC hour in percent of the day's highest.
type Load = [i64; 24];

const SHOPPERS: Load = [38, 30, 24, 18, 14, 10, 8, 8, 10, 14, 22, 34, 48, 60, 68, 72, 74, 76, 80, 88, 96, 100, 84, 58];
const CALLERS: Load = [6, 4, 4, 4, 8, 20, 44, 70, 90, 100, 96, 88, 84, 92, 96, 90, 78, 58, 40, 30, 24, 18, 12, 8];

struct Group {
    place: Place,
    fewest: i64,
    most: i64,
    load: Load,
    /// What is left of the load on days off, in percent.
    day_off: i64,
    instance_type: &'static str,
    image_id: String,
    /// The oldest first.
    running: VecDeque<Machine>,
}

pub(super) fn tell(world: &mut World) {
    let (shop, api) = (world.image(), world.image());
    let shop = Group {
        place: SHOP,
        fewest: 4,
        most: 34,
        load: SHOPPERS,
        day_off: 125,
        instance_type: "c5.large",
        image_id: shop,
        running: VecDeque::new(),
    };
    let api = Group {
        place: CORE,
        fewest: 3,
        most: 18,
        load: CALLERS,
        day_off: 45,
        instance_type: "m5.large",
        image_id: api,
        running: VecDeque::new(),
    };
    shop.live(world);
    api.live(world);
}

impl Group {
    fn live(mut self, world: &mut World) {
        for day in world.days() {
            for (hour, load) in (0..).zip(self.load) {
                let at = later(day, hour * HOUR);
                if weekday(day) == WEDNESDAY && hour == 10 {
                    self.refresh(world, later(at, MINUTE));
                }
                let load = if is_workday(day) { load } else { load * self.day_off / 100 };
                let desired = self.fewest + (self.most - self.fewest) * load / 100 + world.random.between(-1, 1);
                let at = world.after(at, 40 * MINUTE, 59 * MINUTE);
                self.scale(world, at, desired.clamp(self.fewest, self.most));
            }
        }
    }

    /// Brings the group to a size. A difference of one is left as it is.
    fn scale(&mut self, world: &mut World, at: UtcSecond, desired: i64) {
        let missing = desired - self.running.len() as i64;
        if missing >= 2 {
            self.launch(world, at, missing.unsigned_abs() as usize);
        } else if missing <= -2 {
            let oldest: Vec<_> = self.running.drain(..missing.unsigned_abs() as usize).collect();
            world.terminate(&oldest, at, Caller::AutoScaling);
        }
    }

    /// An instance refresh: each of up to eight instances is replaced in the second in which it ends.
    fn refresh(&mut self, world: &mut World, from: UtcSecond) {
        for n in 0..self.running.len().min(8) as i64 {
            let at = later(from, n * 4 * MINUTE);
            let oldest: Vec<_> = self.running.pop_front().into_iter().collect();
            world.terminate(&oldest, at, Caller::AutoScaling);
            self.launch(world, at, 1);
        }
    }

    fn launch(&mut self, world: &mut World, at: UtcSecond, count: usize) {
        let launch = Launch { count, instance_type: self.instance_type, image_id: &self.image_id, by: LaunchBy::Template };
        self.running.extend(world.launch(self.place, at, Caller::AutoScaling, &launch));
    }
}
