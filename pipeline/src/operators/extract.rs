//! `extract`: CloudTrail records, and observations in their form, to power events, each event once.
//!
//! All deliveries of one `eventID` are in one partition. The state remembers the winning delivery of each: the one whose canonical
//! text sorts first. A delivery with other contents that sorts before it takes its place, and what it says replaces what was said.
//!
//! What records say about the tags of images goes to `image.tags`.

use cloudigrade_schemas::power::PowerChange;
use cloudigrade_schemas::{DeadLetter, DeadLetterReason, EventId, PowerEvent, SourceRef, Topic, TrailRecord, UtcSecond};

use super::canonical::canonical_text;
use super::fields::Json;
use super::seen::Seen;
use super::tag_event::tags_of;
use super::trail_event::{TrailEvent, TrailEvents, Unusable, events_of};
use crate::engine::{Cx, Operator};
use crate::log::{LogError, Record, Store};

/// The winning delivery of each event, by event id.
pub(super) const SEEN: Store = Store("extract.seen");

/// The operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extract;

/// Names of what `extract` counts.
pub mod counted {
    /// Distinct CloudTrail records that are power events.
    pub const POWER_RECORDS: &str = "power_records";
    /// Power events: one an instance.
    pub const POWER_EVENTS: &str = "power_events";
    /// Deliveries of a record that was known already.
    pub const DUPLICATES: &str = "duplicate_records";
    /// Records that could not be used.
    pub const DEAD_LETTERS: &str = "dead_letters";
}

impl Operator for Extract {
    fn inputs(&self) -> &'static [Topic] {
        &[Topic::CloudTrailRecords]
    }

    fn fold(&self, cx: &mut Cx<'_>, records: &[&Record]) -> Result<(), LogError> {
        records.iter().try_for_each(|record| fold_record(cx, record))
    }
}

fn fold_record(cx: &mut Cx<'_>, record: &Record) -> Result<(), LogError> {
    let trail: TrailRecord<'_> = match serde_json::from_slice(&record.value) {
        Ok(trail) => trail,
        Err(error) => {
            let source = SourceRef {
                uri: format!("{}/{}@{}", record.topic.name(), record.partition, record.offset).into(),
                version: None,
                index: 0,
            };
            let unusable = Unusable { reason: DeadLetterReason::BadRecord, detail: format!("not a message of this topic: {error}") };
            return bury(cx, record, &source, unusable, &record.value);
        }
    };
    let TrailEvents { event_id, events } = match events_of(Json(trail.record.get())) {
        Ok(told) if told.events.is_empty() => return fold_tags(cx, record, &trail),
        Ok(told) => told,
        Err(unusable) => return bury(cx, record, &trail.source, unusable, trail.record.get().as_bytes()),
    };
    let event_id = match event_id {
        Some(id) => EventId(id),
        None => EventId::of_content(&canonical_text(trail.record)),
    };
    let bytes_hash = xxhash_rust::xxh3::xxh3_64(trail.record.get().as_bytes());
    let key = event_id.as_str().as_bytes();
    let telling = match cx.get(SEEN, record.partition, key)?.map(|kept| Seen::decode(&kept)).transpose()? {
        None => {
            cx.count(counted::POWER_RECORDS, 1);
            cx.count(counted::POWER_EVENTS, events.len() as u64);
            0
        }
        Some(seen) => {
            cx.count(counted::DUPLICATES, 1);
            if seen.bytes_hash == bytes_hash {
                return Ok(());
            }
            let winner = seen.record()?;
            if canonical_text(trail.record) >= canonical_text(&winner) {
                return Ok(());
            }
            let telling = seen.telling + 1;
            // What was seen had a readable time, or it would not have been remembered.
            let before = events_of(Json(winner.get())).map(|told| told.events).unwrap_or_default();
            for old in before.into_iter().filter(|old| events.iter().all(|new| new.instance != old.instance)) {
                tell(cx, old, &event_id, telling, None, record.entered_at)?;
            }
            telling
        }
    };
    for event in events {
        tell(cx, event, &event_id, telling, Some(&trail.source), record.entered_at)?;
    }
    cx.put(SEEN, record.partition, key, Seen::new(telling, bytes_hash, trail.record)?.encode());
    Ok(())
}

/// Sends what a record says of the tags of images. Said once more it changes nothing: nothing is remembered of it here.
fn fold_tags(cx: &mut Cx<'_>, record: &Record, trail: &TrailRecord<'_>) -> Result<(), LogError> {
    match tags_of(Json(trail.record.get()), &trail.source) {
        Ok(tags) => tags.iter().try_for_each(|tag| cx.send_json(Topic::ImageTags, tag.image_id.as_bytes(), tag, record.entered_at)),
        Err(unusable) => bury(cx, record, &trail.source, unusable, trail.record.get().as_bytes()),
    }
}

/// Sends what an event says of an instance, or that it no longer says anything of it (`source` is `None`).
fn tell(
    cx: &mut Cx<'_>,
    event: TrailEvent<'_>,
    event_id: &EventId<'_>,
    telling: u32,
    source: Option<&SourceRef<'_>>,
    entered_at: UtcSecond,
) -> Result<(), LogError> {
    let TrailEvent { instance, occurred_at, action, instance_type, image_id, not_before } = event;
    let change = source.map(|source| PowerChange { occurred_at, action, instance_type, image_id, source: source.borrowed(), not_before });
    let key = instance.to_key();
    cx.send_json(Topic::PowerEvents, key.as_bytes(), &PowerEvent { instance, event_id: event_id.borrowed(), telling, change }, entered_at)
}

fn bury(cx: &mut Cx<'_>, record: &Record, source: &SourceRef<'_>, unusable: Unusable, content: &[u8]) -> Result<(), LogError> {
    cx.count(counted::DEAD_LETTERS, 1);
    let letter =
        DeadLetter::new(source.uri.clone().into_owned(), Some(source.index), unusable.reason, unusable.detail, content, record.entered_at)
            .with_version(source.version.as_deref().map(str::to_owned));
    cx.send_json(Topic::DeadLetters, letter.id.as_bytes(), &letter, record.entered_at)
}
