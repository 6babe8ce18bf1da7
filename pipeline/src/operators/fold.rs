//! From an instance's events to its runs: an on/off machine.
//!
//! On while on, and off while off, change nothing: the first start and the first stop count. Off without a known start gives no
//! run: how long it ran before is not known. The type of a run is the last one told at its start; a change while running takes
//! effect at the next start (EC2 allows it only while stopped), and nothing is filled in backwards.

use cloudigrade_schemas::interval::Edge;
use cloudigrade_schemas::power::Effect;
use cloudigrade_schemas::{Interval, PowerAction};

use super::HistoryEvent;

/// The runs of one instance, in order, from its distinct events in order.
pub fn runs_of(events: &[HistoryEvent<'_>]) -> Vec<Interval> {
    let image_id = image_of(events);
    let mut runs = Vec::new();
    let mut instance_type: Option<&String> = None;
    let mut open: Option<Interval> = None;
    for event in events {
        instance_type = event.change.instance_type.as_ref().or(instance_type);
        match event.change.action.effect() {
            Effect::Retype => {}
            Effect::On if open.is_some() => {}
            Effect::On => {
                open = Some(Interval { start: edge(event), end: None, instance_type: instance_type.cloned(), image_id: image_id.clone() });
            }
            Effect::Off => {
                if let Some(run) = open.take() {
                    runs.push(Interval { end: Some(edge(event)), ..run });
                }
            }
        }
    }
    runs.extend(open);
    runs
}

/// An instance has one image for its life: the last one that a launch tells.
fn image_of(events: &[HistoryEvent<'_>]) -> Option<String> {
    let launches = events.iter().rev().filter(|event| event.change.action == PowerAction::RunInstances);
    launches.filter_map(|event| event.change.image_id.clone()).next()
}

fn edge(event: &HistoryEvent<'_>) -> Edge {
    Edge { at: event.change.occurred_at, kind: event.change.action, event_id: event.event_id.clone(), source: event.change.source.clone() }
}
