//! `intervals`: power events to run intervals, month by month.
//!
//! The state is each instance's set of events. Its runs are a pure function of the set, so order of arrival, repeats, batch
//! boundaries and crashes cannot change them. A message goes out for each month whose content changed.

use std::collections::BTreeMap;

use cloudigrade_schemas::interval::MonthEvent;
use cloudigrade_schemas::{InstanceKey, InstanceMonth, Interval, Month, PowerEvent, Topic, UtcSecond};

use super::history::{self, History, Tellings, Told};
use super::runs_of;
use crate::engine::{Cx, Operator};
use crate::log::{LogError, Record, Store};

/// Each instance's history, by instance key.
pub(super) const HISTORIES: Store = Store("intervals.histories");

/// Name of what is counted when a message of `power.events` cannot be read: it was not written by `extract`.
const UNREADABLE: &str = "unreadable_power_events";

/// The operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Intervals;

/// The events of one instance in a batch.
struct Arrivals<'a> {
    instance: InstanceKey<'a>,
    events: Vec<Told<'a>>,
    entered_at: UtcSecond,
}

impl Operator for Intervals {
    fn inputs(&self) -> &'static [Topic] {
        &[Topic::PowerEvents]
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        let mut arrivals: BTreeMap<(u32, &[u8]), Arrivals<'_>> = BTreeMap::new();
        for record in records {
            let Ok(event) = serde_json::from_slice::<PowerEvent<'_>>(&record.value) else {
                cx.count(UNREADABLE, 1);
                continue;
            };
            let place = (record.partition, record.key.as_slice());
            let of_instance = arrivals.entry(place).or_insert_with(|| Arrivals {
                instance: event.instance.clone(),
                events: Vec::new(),
                entered_at: record.entered_at,
            });
            of_instance.entered_at = of_instance.entered_at.max(record.entered_at);
            of_instance.events.push(event.into());
        }
        arrivals.into_iter().try_for_each(|((partition, key), arrived)| fold_instance(cx, partition, key, arrived))
    }
}

fn fold_instance(cx: &mut Cx<'_>, partition: u32, key: &[u8], arrived: Arrivals<'_>) -> Result<(), LogError> {
    let kept = cx.get(HISTORIES, partition, key)?;
    let history = kept.as_deref().map(History::decode).transpose()?.unwrap_or_default();
    let before = history.tellings();
    let mut after = before.clone();
    if !history::add(&mut after, &arrived.events) {
        return Ok(());
    }
    let (mut old, new) = (months_of(&before), months_of(&after));
    let mut changed: Vec<(Month, MonthContent<'_>)> =
        new.into_iter().filter(|(month, new)| old.remove(month).as_ref() != Some(new)).collect();
    // Months that hold nothing any more.
    changed.extend(old.into_keys().map(|month| (month, MonthContent::default())));
    let revision = history.revision.saturating_add(u32::from(!changed.is_empty()));
    for (month, (intervals, events)) in changed {
        let message = InstanceMonth { instance: arrived.instance.clone(), month, revision, intervals, events };
        let value = Cx::encode(&message)?;
        cx.send_to(Topic::InstanceIntervals, partition, message.to_key().as_bytes(), value, arrived.entered_at);
    }
    cx.put(HISTORIES, partition, key, History::encode(revision, &after));
    Ok(())
}

type MonthContent<'h> = (Vec<Interval<'h>>, Vec<MonthEvent<'h>>);

/// What an instance's months hold: the runs that touch each, and the events that occurred in it.
fn months_of<'h>(tellings: &Tellings<'h>) -> BTreeMap<Month, MonthContent<'h>> {
    let mut months: BTreeMap<Month, MonthContent<'h>> = BTreeMap::new();
    let events = history::distinct(tellings);
    for run in runs_of(&events) {
        for month in run.months() {
            months.entry(month).or_default().0.push(run.clone());
        }
    }
    for event in events {
        let told = MonthEvent { event_id: event.event_id.borrowed(), change: event.change.borrowed() };
        months.entry(Month::containing(event.change.occurred_at)).or_default().1.push(told);
    }
    months
}
