//! An instance's state: the set of what its events say.

use std::collections::BTreeMap;

use cloudigrade_schemas::power::PowerChange;
use cloudigrade_schemas::{EventId, PowerEvent};
use serde::{Deserialize, Serialize};

/// The set of an instance's events, whatever their order of arrival and however often they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// How often the instance's intervals or events have changed.
    revision: u32,
    /// What each event says, in its highest telling.
    events: BTreeMap<EventId, Telling>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Telling {
    #[serde(default, skip_serializing_if = "is_zero")]
    n: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<PowerChange>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A distinct event of a history.
#[derive(Clone, Copy, Debug)]
pub struct HistoryEvent<'a> {
    /// Its id.
    pub event_id: &'a EventId,
    /// What it says.
    pub change: &'a PowerChange,
}

impl History {
    /// Adds an event. Adding the same one again changes nothing.
    pub fn insert(&mut self, event: PowerEvent) {
        let known = self.events.get(&event.event_id);
        let newer = match known {
            None => true,
            // The same telling with other contents happens only when a caller's events were not told by one `extract`.
            Some(known) => (event.telling, &event.change) > (known.n, &known.change),
        };
        if newer {
            self.events.insert(event.event_id, Telling { n: event.telling, change: event.change });
        }
    }

    /// The distinct events in their order: by time, then by the order of actions within one second.
    ///
    /// Two events of one action in one second are one; the first by event id is kept.
    pub fn distinct(&self) -> Vec<HistoryEvent<'_>> {
        let told = self.events.iter().filter_map(|(event_id, telling)| Some(HistoryEvent { event_id, change: telling.change.as_ref()? }));
        let mut events: Vec<_> = told.collect();
        let order = |event: &HistoryEvent<'_>| (event.change.occurred_at, event.change.action);
        events.sort_by_key(order);
        events.dedup_by_key(|event| order(event));
        events
    }

    /// How often the instance has changed.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Counts one change.
    pub fn next_revision(&mut self) -> u32 {
        self.revision = self.revision.saturating_add(1);
        self.revision
    }
}
