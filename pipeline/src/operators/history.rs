//! An instance's state: the set of what its events say.

use std::collections::BTreeMap;

use cloudigrade_schemas::power::PowerChange;
use cloudigrade_schemas::{EventId, PowerAction, PowerEvent, SourceRef, UtcSecond};

use super::binary::{self, Reader, put_maybe_text, put_number, put_signed, put_text, put_text_after};
use crate::log::LogError;

/// The first byte of the encoding.
const FORMAT: u8 = 2;
/// What stands in place of an action where an event no longer names the instance.
const NOTHING: u8 = u8::MAX;

/// The set of an instance's events, whatever their order of arrival and however often they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How often the instance's intervals or events have changed.
    revision: u32,
    /// What each event says, in its highest telling.
    events: BTreeMap<EventId, Telling>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Telling {
    n: u32,
    change: Option<PowerChange>,
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

    /// As it is kept.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        put_number(&mut out, u64::from(self.revision));
        let mut uri_before = "";
        for (event_id, Telling { n, change }) in &self.events {
            put_text(&mut out, event_id.as_str());
            put_number(&mut out, u64::from(*n));
            let Some(change) = change else {
                out.push(NOTHING);
                continue;
            };
            out.push(number_of(change.action));
            put_signed(&mut out, change.occurred_at.0);
            put_maybe_text(&mut out, change.instance_type.as_deref());
            put_maybe_text(&mut out, change.image_id.as_deref());
            put_text_after(&mut out, uri_before, &change.source.uri);
            put_maybe_text(&mut out, change.source.version.as_deref());
            put_number(&mut out, change.source.index);
            uri_before = &change.source.uri;
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`LogError::Storage`] for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, LogError> {
        Self::read(&mut Reader::new(bytes)).ok_or_else(|| binary::damaged("reading an instance's history", &"not a history"))
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.byte()? != FORMAT {
            return None;
        }
        let mut history = Self { revision: u32::try_from(reader.number()?).ok()?, events: BTreeMap::new() };
        let mut uri_before = String::new();
        while !reader.is_at_end() {
            let event_id = EventId(reader.text()?.to_owned());
            let n = u32::try_from(reader.number()?).ok()?;
            let change = match reader.byte()? {
                NOTHING => None,
                action => Some(read_change(reader, action, &uri_before)?),
            };
            if let Some(change) = &change {
                uri_before.clone_from(&change.source.uri);
            }
            history.events.insert(event_id, Telling { n, change });
        }
        Some(history)
    }
}

fn read_change(reader: &mut Reader<'_>, action: u8, uri_before: &str) -> Option<PowerChange> {
    Some(PowerChange {
        action: PowerAction::ALL.into_iter().find(|known| number_of(*known) == action)?,
        occurred_at: UtcSecond(reader.signed()?),
        instance_type: reader.maybe_text()?,
        image_id: reader.maybe_text()?,
        source: SourceRef { uri: reader.text_after(uri_before)?, version: reader.maybe_text()?, index: reader.number()? },
    })
}

/// The number that stands for an action in what is kept. Never change or reuse one.
const fn number_of(action: PowerAction) -> u8 {
    match action {
        PowerAction::RunInstances => 1,
        PowerAction::ModifyInstanceAttribute => 2,
        PowerAction::StartInstances => 3,
        PowerAction::StopInstances => 4,
        PowerAction::TerminateInstances => 5,
        PowerAction::BidEvictedEvent => 6,
    }
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::InstanceKey;

    use super::*;

    fn event(id: &str, telling: u32, change: Option<PowerChange>) -> PowerEvent {
        let instance = InstanceKey { account_id: "1".into(), region: "r".into(), instance_id: "i".into() };
        PowerEvent { instance, event_id: EventId(id.into()), telling, change }
    }

    fn change(action: PowerAction, uri: &str, told: Option<&str>) -> Option<PowerChange> {
        let source = SourceRef { uri: uri.into(), version: told.map(str::to_owned), index: 300 };
        let (instance_type, image_id) = (told.map(str::to_owned), None);
        Some(PowerChange { occurred_at: UtcSecond(-1), action, instance_type, image_id, source })
    }

    #[test]
    fn a_history_comes_back_and_what_is_none_is_refused() {
        let mut history = History::default();
        history.next_revision();
        for (number, action) in PowerAction::ALL.into_iter().enumerate() {
            history.insert(event(&format!("e{number}"), 0, change(action, &format!("/logs/é{number}"), Some("m5.large"))));
        }
        history.insert(event("e2", 7, None));
        history.insert(event("e9", 0, change(PowerAction::StopInstances, "", None)));
        let kept = history.encode();
        assert_eq!(History::decode(&kept).unwrap(), history);
        assert!(History::decode(&[]).is_err() && History::decode(b"{}").is_err());
        assert!(History::decode(&kept[..kept.len() - 1]).is_err());
    }

    #[test]
    fn the_numbers_of_actions_are_those_of_the_first_histories() {
        assert_eq!(PowerAction::ALL.map(number_of), [1, 2, 3, 4, 5, 6]);
    }
}
