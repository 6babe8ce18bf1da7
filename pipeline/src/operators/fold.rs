//! From an instance's events to its runs: an on/off machine.
//!
//! On while on, and off while off, change nothing: the first start and the first stop count. Off without a known start gives no
//! run: how long it ran before is not known. The type of a run is the last one told at its start; a change while running takes
//! effect at the next start (EC2 allows it only while stopped), and nothing is filled in backwards.

use std::borrow::Cow;

use cloudigrade_schemas::interval::Edge;
use cloudigrade_schemas::power::Effect;
use cloudigrade_schemas::{Interval, PowerAction};

use super::HistoryEvent;

/// The runs of one instance, in order, from its distinct events in order.
pub fn runs_of<'h>(events: &[HistoryEvent<'h>]) -> Vec<Interval<'h>> {
    let image_id = image_of(events);
    let mut runs = Vec::new();
    let mut instance_type: Option<&str> = None;
    let mut open: Option<Interval<'h>> = None;
    for event in events {
        instance_type = event.change.instance_type.as_deref().or(instance_type);
        match event.change.action.effect() {
            Effect::Retype => {}
            Effect::On if open.is_some() => {}
            Effect::On => {
                let text = |told: Option<&'h str>| told.map(Cow::Borrowed);
                open = Some(Interval { start: edge(event), end: None, instance_type: text(instance_type), image_id: text(image_id) });
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
fn image_of<'h>(events: &[HistoryEvent<'h>]) -> Option<&'h str> {
    let launches = events.iter().rev().filter(|event| event.change.action == PowerAction::RunInstances);
    launches.filter_map(|event| event.change.image_id.as_deref()).next()
}

fn edge<'h>(event: &HistoryEvent<'h>) -> Edge<'h> {
    Edge {
        at: event.change.occurred_at,
        kind: event.change.action,
        event_id: event.event_id.borrowed(),
        source: event.change.source.borrowed(),
    }
}
