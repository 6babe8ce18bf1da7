//! From an instance's events to its runs: an on/off machine.
//!
//! On while on, and off while off, change nothing: the first start and the first stop count. Off without a known start gives no
//! run: how long it ran before is not known. The type of a run is the last one told at its start; a change while running takes
//! effect at the next start (EC2 allows it only while stopped), and nothing is filled in backwards.
//!
//! What was observed fills in what CloudTrail did not say, and only that: [`observed`] says which observations count. Two things come with it:
//! * An end that is known only within bounds is the later bound, and carries the earlier one. Runtime is then never too short, and how
//!   much too long it can be is known.
//! * EC2's launch time changes with every start and with nothing else. A launch seen while the instance was on shows that it had stopped in
//!   between: the run ends at the new launch, within bounds from when it was last known to be on, and another begins.

use std::borrow::Cow;

use cloudigrade_schemas::interval::Edge;
use cloudigrade_schemas::power::Effect;
use cloudigrade_schemas::{Interval, PowerAction, UtcSecond};

use super::HistoryEvent;
use super::observed::{self, OBSERVATION_SLACK, Step, slack_before};

/// The runs of one instance, in order, from its distinct events in order.
pub fn runs_of<'h>(events: &[HistoryEvent<'h>]) -> Vec<Interval<'h>> {
    let mut machine = Machine { events, image_id: image_of(events), instance_type: None, open: None, runs: Vec::new() };
    if events.iter().any(|event| event.change.action.is_observation()) {
        observed::steps(events).for_each(|step| machine.take(&step));
    } else {
        events.iter().for_each(|event| machine.take(&Step::of(*event)));
    }
    machine.runs.extend(machine.open.map(|open| open.run));
    machine.runs
}

/// An instance has one image for its life: the last one that a launch tells, or else the last one that was seen.
fn image_of<'h>(events: &[HistoryEvent<'h>]) -> Option<&'h str> {
    let told_by = |tells: fn(PowerAction) -> bool| {
        events.iter().rev().filter(|event| tells(event.change.action)).find_map(|event| event.change.image_id.as_deref())
    };
    told_by(|action| action == PowerAction::RunInstances).or_else(|| told_by(PowerAction::is_observation))
}

/// The machine, and the runs that are over.
struct Machine<'e, 'h> {
    events: &'e [HistoryEvent<'h>],
    image_id: Option<&'h str>,
    /// The last type that was told.
    instance_type: Option<&'h str>,
    open: Option<Open<'h>>,
    runs: Vec<Interval<'h>>,
}

/// A run that goes on.
struct Open<'h> {
    run: Interval<'h>,
    /// The latest moment at which it is known to have been on.
    on_at: UtcSecond,
    /// Whether its start told its type, rather than something before.
    is_typed: bool,
}

impl<'h> Machine<'_, 'h> {
    fn take(&mut self, step: &Step<'h>) {
        self.instance_type = step.instance_type().or(self.instance_type);
        match step.effect {
            Effect::Retype => {}
            Effect::On => self.turn_on(step),
            Effect::Off => self.turn_off(&step.event),
        }
    }

    fn turn_on(&mut self, step: &Step<'h>) {
        let at = step.event.change.occurred_at;
        if let Some(open) = &mut self.open {
            let ran_for = at.0 - open.run.start.at.0;
            let Some(launch) = step.launch.filter(|launch| ran_for > slack_before(launch.change)) else {
                open.on_at = at;
                // The same start, seen once more: it may know the type.
                if let Some(seen) = step.launch.and_then(|launch| launch.change.instance_type.as_deref()).filter(|_| !open.is_typed) {
                    (open.run.instance_type, open.is_typed) = (Some(Cow::Borrowed(seen)), true);
                }
                return;
            };
            let on_at = last_seen_on(self.events, open.on_at, at);
            let not_before = Some(on_at).filter(|on_at| *on_at < at);
            self.close(Edge { at, not_before, ..edge(&launch) });
        }
        let text = |told: Option<&'h str>| told.map(Cow::Borrowed);
        let (instance_type, image_id) = (text(self.instance_type), text(self.image_id));
        let run = Interval { start: edge(&step.event), end: None, instance_type, image_id };
        self.open = Some(Open { run, on_at: at, is_typed: step.instance_type().is_some() });
    }

    fn turn_off(&mut self, event: &HistoryEvent<'h>) {
        let Some(open) = &self.open else { return };
        let (at, on_at) = (event.change.occurred_at, open.on_at);
        // EC2's descriptions lag behind its calls: one that still shows the state before a start is no stop.
        let is_stale = event.change.not_before.is_some_and(|seen_on| seen_on < on_at && at.0 - on_at.0 <= OBSERVATION_SLACK);
        if !is_stale {
            let not_before = event.change.not_before.map(|seen_on| seen_on.max(on_at)).filter(|not_before| *not_before < at);
            self.close(Edge { not_before, ..edge(event) });
        }
    }

    fn close(&mut self, end: Edge<'h>) {
        self.runs.extend(self.open.take().map(|open| Interval { end: Some(end), ..open.run }));
    }
}

/// When an instance was last seen running within a time, if that is later than its beginning. Who sees it stopped says so.
fn last_seen_on(events: &[HistoryEvent<'_>], from: UtcSecond, until: UtcSecond) -> UtcSecond {
    let stops = events.iter().filter(|event| event.change.action == PowerAction::ObservedStopped);
    stops.filter_map(|stop| stop.change.not_before).filter(|seen_on| *seen_on < until).fold(from, UtcSecond::max)
}

fn edge<'h>(event: &HistoryEvent<'h>) -> Edge<'h> {
    Edge {
        at: event.change.occurred_at,
        kind: event.change.action,
        event_id: event.event_id.borrowed(),
        source: event.change.source.borrowed(),
        not_before: None,
    }
}
