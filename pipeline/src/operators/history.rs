//! An instance's state: the set of what its events say.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use cloudigrade_schemas::power::PowerChange;
use cloudigrade_schemas::{EventId, PowerAction, PowerEvent, SourceRef, UtcSecond};

use super::binary::{self, Reader, put_maybe_text, put_number, put_signed, put_text, put_text_after};
use crate::log::LogError;

/// The first byte of the encoding.
const FORMAT: u8 = 3;
/// The first byte of the encoding before there were observations. It is the same but for them.
const FORMAT_WITHOUT_OBSERVATIONS: u8 = 2;
/// What stands in place of an action where an event no longer names the instance.
const NOTHING: u8 = u8::MAX;

/// The set of what an instance's events say, whatever their order of arrival and however often they arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History<'a> {
    /// How often the instance's intervals or events have changed.
    pub revision: u32,
    /// What each event says, by its id.
    told: Vec<Told<'a>>,
}

/// What an event says in one telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'a> {
    event_id: EventId<'a>,
    telling: u32,
    change: Option<PowerChange<'a>>,
}

impl<'a> From<PowerEvent<'a>> for Told<'a> {
    fn from(PowerEvent { event_id, telling, change, .. }: PowerEvent<'a>) -> Self {
        Self { event_id, telling, change }
    }
}

/// Each event in its highest telling.
pub type Tellings<'h> = BTreeMap<&'h EventId<'h>, &'h Told<'h>>;

/// A distinct event of a history.
#[derive(Clone, Copy, Debug)]
pub struct HistoryEvent<'h> {
    /// Its id.
    pub event_id: &'h EventId<'h>,
    /// What it says.
    pub change: &'h PowerChange<'h>,
}

impl<'a> History<'a> {
    /// What its events say.
    pub fn tellings(&self) -> Tellings<'_> {
        self.told.iter().map(|told| (&told.event_id, told)).collect()
    }

    /// As it is kept, with what its events say now.
    pub fn encode(revision: u32, tellings: &Tellings<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        out.push(FORMAT);
        put_number(&mut out, u64::from(revision));
        let mut uri_before = "";
        for Told { event_id, telling, change } in tellings.values() {
            put_text(&mut out, event_id.as_str());
            put_number(&mut out, u64::from(*telling));
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
            if change.action.is_observation() {
                put_bound(&mut out, change.not_before);
            }
            uri_before = &change.source.uri;
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`LogError::Storage`] for anything else.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, LogError> {
        Self::read(&mut Reader::new(bytes)).ok_or_else(|| binary::damaged("reading an instance's history", &"not a history"))
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        if !matches!(reader.byte()?, FORMAT | FORMAT_WITHOUT_OBSERVATIONS) {
            return None;
        }
        let mut history = Self { revision: u32::try_from(reader.number()?).ok()?, told: Vec::new() };
        while !reader.is_at_end() {
            let event_id = EventId(Cow::Borrowed(reader.text()?));
            let telling = u32::try_from(reader.number()?).ok()?;
            let change = match reader.byte()? {
                NOTHING => None,
                action => {
                    let before = history.told.iter().rev().find_map(|told| Some(&*told.change.as_ref()?.source.uri));
                    Some(read_change(reader, action, before.unwrap_or_default())?)
                }
            };
            history.told.push(Told { event_id, telling, change });
        }
        Some(history)
    }
}

/// Adds what arrived. Whether it says anything new: the same once more does not.
pub fn add<'h>(tellings: &mut Tellings<'h>, arrived: &'h [Told<'h>]) -> bool {
    let mut new = false;
    for told in arrived {
        // The same telling with other contents happens only when a caller's events were not told by one `extract`.
        let newer = |known: &&Told<'_>| (told.telling, &told.change) > (known.telling, &known.change);
        if tellings.get(&told.event_id).is_none_or(newer) {
            tellings.insert(&told.event_id, told);
            new = true;
        }
    }
    new
}

/// The distinct events in their order: by time, then by the order of actions within one second.
///
/// Two events of one action in one second are one; the first by event id is kept. Of observations, the one that tells most is: a stop
/// that is exact or within the closest bounds, then one that names the type.
pub fn distinct<'h>(tellings: &Tellings<'h>) -> Vec<HistoryEvent<'h>> {
    let told = tellings.values().filter_map(|told| Some(HistoryEvent { event_id: &told.event_id, change: told.change.as_ref()? }));
    let mut events: Vec<_> = told.collect();
    let order = |event: &HistoryEvent<'_>| (event.change.occurred_at, event.change.action);
    events.sort_by_key(|event| (order(event), worth(event.change)));
    events.dedup_by_key(|event| order(event));
    events
}

/// How much an observation tells, the most first. All CloudTrail events are alike.
fn worth(change: &PowerChange<'_>) -> (Reverse<i64>, bool) {
    match change.action.is_observation() {
        true => (Reverse(change.not_before.map_or(i64::MAX, |bound| bound.0)), change.instance_type.is_none()),
        false => (Reverse(i64::MAX), false),
    }
}

fn read_change<'a>(reader: &mut Reader<'a>, action: u8, uri_before: &str) -> Option<PowerChange<'a>> {
    let maybe = |text: Option<&'a str>| text.map(Cow::Borrowed);
    let action = PowerAction::ALL.into_iter().find(|known| number_of(*known) == action)?;
    Some(PowerChange {
        action,
        occurred_at: UtcSecond(reader.signed()?),
        instance_type: maybe(reader.maybe_text()?),
        image_id: maybe(reader.maybe_text()?),
        source: SourceRef { uri: reader.text_after(uri_before)?, version: maybe(reader.maybe_text()?), index: reader.number()? },
        not_before: if action.is_observation() { read_bound(reader)? } else { None },
    })
}

/// Writes the bound of an observation, if it has one.
fn put_bound(out: &mut Vec<u8>, bound: Option<UtcSecond>) {
    out.push(u8::from(bound.is_some()));
    bound.into_iter().for_each(|bound| put_signed(out, bound.0));
}

fn read_bound(reader: &mut Reader<'_>) -> Option<Option<UtcSecond>> {
    match reader.byte()? {
        0 => Some(None),
        1 => Some(Some(UtcSecond(reader.signed()?))),
        _ => None,
    }
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
        PowerAction::ObservedRunning => 7,
        PowerAction::ObservedStopped => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: &'static str, telling: u32, change: Option<PowerChange<'static>>) -> Told<'static> {
        Told { event_id: EventId(id.into()), telling, change }
    }

    fn change(action: PowerAction, uri: &'static str, told: Option<&'static str>) -> Option<PowerChange<'static>> {
        let source = SourceRef { uri: uri.into(), version: told.map(Cow::Borrowed), index: 300 };
        let not_before = Some(UtcSecond(-300)).filter(|_| action.is_observation() && told.is_some());
        Some(PowerChange { occurred_at: UtcSecond(-1), action, instance_type: told.map(Cow::Borrowed), image_id: None, source, not_before })
    }

    #[test]
    fn a_history_comes_back_and_what_is_none_is_refused() {
        let uris = ["/logs/é1", "/logs/è2", "", "/logs/è22", "x", "/l", "ec2://1/r/i", "ec2://1/r/i"];
        let ids = ["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7"];
        let events = PowerAction::ALL.into_iter().zip(uris).zip(ids);
        let mut arrived: Vec<Told<'_>> = events.map(|((action, uri), id)| told(id, 0, change(action, uri, Some("m5.large")))).collect();
        arrived.push(told("e2", 7, None));
        arrived.push(told("e8", 0, change(PowerAction::ObservedStopped, "", None)));
        arrived.push(told("e9", 0, change(PowerAction::StopInstances, "", None)));
        let mut tellings = Tellings::new();
        assert!(add(&mut tellings, &arrived) && !add(&mut tellings, &arrived[..3]));
        let kept = History::encode(5, &tellings);
        let read = History::decode(&kept).unwrap();
        assert_eq!((read.revision, read.tellings()), (5, tellings));
        assert!(History::decode(&[]).is_err() && History::decode(b"{}").is_err());
        assert!(History::decode(&kept[..kept.len() - 1]).is_err());
    }

    #[test]
    fn the_numbers_of_actions_are_those_of_the_first_histories() {
        assert_eq!(PowerAction::ALL.map(number_of), [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn histories_from_before_there_were_observations_are_read() {
        let arrived = [told("e0", 0, change(PowerAction::StopInstances, "/logs/1", Some("t3.micro"))), told("e1", 1, None)];
        let mut tellings = Tellings::new();
        add(&mut tellings, &arrived);
        let mut kept = History::encode(7, &tellings);
        kept[0] = FORMAT_WITHOUT_OBSERVATIONS;
        assert_eq!(History::decode(&kept).unwrap().tellings(), tellings);
        kept[0] = FORMAT + 1;
        assert!(History::decode(&kept).is_err());
    }
}
