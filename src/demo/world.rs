//! The simulated EC2: the only place where instances change, and where that is witnessed and logged.

use cloudigrade_schemas::power::Effect;
use cloudigrade_schemas::{InstanceKey, PowerAction, UtcSecond};

use super::calendar::{Calendar, Span, later};
use super::place::Place;
use super::random::Random;
use super::record::{Call, Caller, LaunchBy, Record, Refusal, State, Switched};
use super::truth::{Ledger, Truth, Witness};

/// One instance of a [`World`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine(usize);

/// What a launch asks for.
#[derive(Clone, Debug)]
pub(super) struct Launch<'a> {
    pub(super) count: usize,
    pub(super) instance_type: &'static str,
    pub(super) image_id: &'a str,
    pub(super) by: LaunchBy,
}

/// Whether CloudTrail delivers a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Made,
    Lost,
}

struct Instance {
    id: String,
    place: Place,
    state: State,
    actual: Ledger,
    as_logged: Ledger,
    lost: Option<(PowerAction, UtcSecond)>,
    touched: UtcSecond,
}

/// The simulated EC2 and the log of it. What is asked of it at or after the log's end does not happen.
///
/// What is asked of one instance must be asked in order of time; different instances may be asked in any order.
pub(super) struct World {
    pub(super) calendar: Calendar,
    pub(super) random: Random,
    instances: Vec<Instance>,
    records: Vec<Record>,
}

impl World {
    pub(super) fn new(calendar: Calendar, random: Random) -> Self {
        Self { calendar, random, instances: Vec::new(), records: Vec::new() }
    }

    /// A moment `least` to `most` seconds after another.
    pub(super) fn after(&mut self, moment: UtcSecond, least: i64, most: i64) -> UtcSecond {
        later(moment, self.random.between(least, most))
    }

    /// An image id.
    pub(super) fn image(&mut self) -> String {
        format!("ami-{}", self.random.hex(17))
    }

    /// Instances that run since before the log: no record tells of their launch.
    pub(super) fn existed(&mut self, place: Place, since: UtcSecond, launch: &Launch<'_>) -> Vec<Machine> {
        let machines: Vec<_> = (0..launch.count).map(|_| self.add(place)).collect();
        for machine in &machines {
            let actual = &mut self.instances[machine.0].actual;
            actual.launched_as(launch.image_id, launch.instance_type);
            actual.on(since);
        }
        machines
    }

    /// One RunInstances call.
    pub(super) fn launch(&mut self, place: Place, at: UtcSecond, caller: Caller, launch: &Launch<'_>) -> Vec<Machine> {
        if launch.count == 0 || at >= self.calendar.log.end {
            return Vec::new();
        }
        let machines: Vec<_> = (0..launch.count).map(|_| self.add(place)).collect();
        for machine in &machines {
            self.witness(*machine, at, Delivery::Made, |ledger| {
                ledger.launched_as(launch.image_id, launch.instance_type);
                ledger.on(at);
            });
        }
        let (instance_type, image_id, by) = (launch.instance_type, launch.image_id.to_owned(), launch.by);
        self.log(at, place, caller, Call::Launch { instances: self.ids(&machines), instance_type, image_id, by });
        machines
    }

    /// One StartInstances call.
    pub(super) fn start(&mut self, machines: &[Machine], at: UtcSecond, caller: Caller) {
        self.switch(PowerAction::StartInstances, machines, at, caller, Delivery::Made);
    }

    /// One StopInstances call.
    pub(super) fn stop(&mut self, machines: &[Machine], at: UtcSecond, caller: Caller) {
        self.switch(PowerAction::StopInstances, machines, at, caller, Delivery::Made);
    }

    /// One TerminateInstances call.
    pub(super) fn terminate(&mut self, machines: &[Machine], at: UtcSecond, caller: Caller) {
        self.switch(PowerAction::TerminateInstances, machines, at, caller, Delivery::Made);
    }

    /// A call that stops or terminates one instance, and whose record CloudTrail never delivers.
    pub(super) fn end_unlogged(&mut self, action: PowerAction, machine: Machine, at: UtcSecond, caller: Caller) {
        self.switch(action, &[machine], at, caller, Delivery::Lost);
    }

    fn switch(&mut self, action: PowerAction, machines: &[Machine], at: UtcSecond, caller: Caller, delivery: Delivery) {
        let Some(place) = self.place_of(machines, at) else { return };
        let switched = machines.iter().map(|machine| self.switch_one(action, *machine, at, delivery)).collect();
        if delivery == Delivery::Made {
            self.log(at, place, caller, Call::Switch { action, instances: switched });
        }
    }

    fn switch_one(&mut self, action: PowerAction, machine: Machine, at: UtcSecond, delivery: Delivery) -> Switched {
        let effect = action.effect();
        self.witness(machine, at, delivery, |ledger| if effect == Effect::On { ledger.on(at) } else { ledger.off(at) });
        let instance = &mut self.instances[machine.0];
        if delivery == Delivery::Lost {
            instance.lost = Some((action, at));
        }
        let before = instance.state;
        let (after, settled) = match (action, before) {
            (PowerAction::StartInstances, State::Stopped) => (State::Pending, State::Running),
            (PowerAction::StopInstances, State::Running) => (State::Stopping, State::Stopped),
            (PowerAction::TerminateInstances, State::Running | State::Stopped) => (State::ShuttingDown, State::Terminated),
            _ => (before, before),
        };
        instance.state = settled;
        Switched { instance: instance.id.clone(), before, after }
    }

    /// EC2 takes Spot instances back.
    pub(super) fn reclaim(&mut self, machines: &[Machine], at: UtcSecond) {
        let Some(place) = self.place_of(machines, at) else { return };
        for machine in machines {
            self.witness(*machine, at, Delivery::Made, |ledger| ledger.off(at));
            self.instances[machine.0].state = State::Terminated;
        }
        self.log(at, place, Caller::Ec2, Call::Reclaim { instances: self.ids(machines) });
    }

    /// One ModifyInstanceAttribute call that gives a stopped instance another type.
    pub(super) fn retype(&mut self, machine: Machine, instance_type: &'static str, at: UtcSecond, caller: Caller) {
        let Some(place) = self.place_of(&[machine], at) else { return };
        self.witness(machine, at, Delivery::Made, |ledger| ledger.becomes(instance_type));
        self.log(at, place, caller, Call::Retype { instance: self.instances[machine.0].id.clone(), instance_type });
    }

    /// A call that EC2 refuses: logged, but nothing changes.
    pub(super) fn refuse(&mut self, action: PowerAction, machines: &[Machine], at: UtcSecond, caller: Caller, why: Refusal) {
        let Some(place) = self.place_of(machines, at) else { return };
        self.log(at, place, caller, Call::Refused { action, instances: self.ids(machines), why });
    }

    /// What was logged, in no particular order, and the truth.
    pub(super) fn end(self) -> (Vec<Record>, Truth) {
        let witnesses = self.instances.into_iter().map(|instance| Witness {
            key: InstanceKey {
                account_id: instance.place.account.into(),
                region: instance.place.region.into(),
                instance_id: instance.id.into(),
            },
            actual: instance.actual,
            as_logged: instance.as_logged,
            lost: instance.lost,
        });
        (self.records, Truth::of(self.calendar.window, witnesses.collect()))
    }

    /// Where a group is; `None` when it is empty or the log has ended.
    fn place_of(&self, machines: &[Machine], at: UtcSecond) -> Option<Place> {
        let first = machines.first().filter(|_| at < self.calendar.log.end)?;
        Some(self.instances[first.0].place)
    }

    fn add(&mut self, place: Place) -> Machine {
        let id = format!("i-{}", self.random.hex(17));
        let (actual, as_logged) = (Ledger::default(), Ledger::default());
        self.instances.push(Instance { id, place, state: State::Running, actual, as_logged, lost: None, touched: UtcSecond(i64::MIN) });
        Machine(self.instances.len() - 1)
    }

    fn ids(&self, machines: &[Machine]) -> Vec<String> {
        machines.iter().map(|machine| self.instances[machine.0].id.clone()).collect()
    }

    fn witness(&mut self, machine: Machine, at: UtcSecond, delivery: Delivery, change: impl Fn(&mut Ledger)) {
        let instance = &mut self.instances[machine.0];
        debug_assert!(instance.touched <= at, "{} was asked in the wrong order", instance.id);
        instance.touched = at;
        change(&mut instance.actual);
        if delivery == Delivery::Made {
            change(&mut instance.as_logged);
        }
    }

    fn log(&mut self, at: UtcSecond, place: Place, caller: Caller, call: Call) {
        self.records.push(Record { at, place, caller, call });
    }

    /// The days of the log.
    pub(super) fn days(&self) -> impl Iterator<Item = UtcSecond> + use<> {
        self.calendar.log.days()
    }

    /// The `n`th such weekday from the window's start on, from 0.
    pub(super) fn weekday_of_window(&self, n: i64, weekday: i64) -> UtcSecond {
        let Span { start, .. } = self.calendar.window;
        let ahead = (weekday - super::calendar::weekday(start)).rem_euclid(7);
        later(start, (ahead + 7 * n) * super::calendar::DAY)
    }
}
