//! Which volumes are read together, and what becomes of a scanner. Pure: no clock, no calls.

use std::collections::BTreeMap;

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::inspection::{CommandId, Inspection, InspectionState, ScannerPlace};

use crate::advance::{after, back_off, enter, fail};
use crate::batch::{Batch, BatchState, Member};
use crate::cloud::{ScannerState, Step};
use crate::detail::for_everybody;
use crate::limits::{BATCH_SIZE_MAX, FINDINGS_AFTER_SCANNER_SECONDS, LOOK_EVERY_SECONDS, MISSING_TRIES_MAX};
use crate::settings::Settings;

/// What a step of a batch gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchGave {
    /// It is done; there is nothing to remember.
    Nothing,
    /// The scanner's instance.
    Id(String),
    /// How the scanner is.
    Scanner(ScannerState),
}

/// The batches to be made of the volumes that are ready, each with its inspections as they are then: full ones at once, and what is left when the
/// first of it has waited long enough. The volumes that were ready first come first.
pub fn gather(ready: Vec<&Inspection>, room: usize, settings: &Settings, now: UtcSecond) -> Vec<(Batch, Vec<Inspection>)> {
    let size = settings.batch_size.clamp(1, BATCH_SIZE_MAX);
    let mut ready = ready;
    ready.sort_by_key(|inspection| (inspection.state_since, &inspection.command_id));
    let is_due = |chunk: &&[&Inspection]| {
        let waited = chunk.first().is_some_and(|first| after(first.state_since, settings.batch_wait) <= now);
        chunk.len() == size || waited
    };
    ready.chunks(size).filter(is_due).take(room).map(|chunk| batch_of(chunk, settings, now)).collect()
}

fn batch_of(chunk: &[&Inspection], settings: &Settings, now: UtcSecond) -> (Batch, Vec<Inspection>) {
    let batch_id = Batch::id_of(chunk.iter().map(|inspection| &inspection.command_id));
    let mut members = Vec::new();
    let mut inspections = Vec::new();
    for (number, inspection) in chunk.iter().enumerate() {
        let device = device_name(number);
        let mut inspection = (*inspection).clone();
        members.push(Member {
            command_id: inspection.command_id.clone(),
            image_id: inspection.image_id.clone(),
            volume_id: inspection.made.volume_id.clone().unwrap_or_default(),
            device: device.clone(),
        });
        inspection.scanner = Some(ScannerPlace { batch_id: batch_id.clone(), device, instance_id: None });
        inspection.changed_at = inspection.changed_at.max(now);
        // Its batch holds the deadline.
        enter(&mut inspection, InspectionState::Scanning, None, now);
        inspections.push(inspection);
    }
    let batch = Batch {
        batch_id,
        members,
        state: BatchState::Starting,
        instance_id: None,
        tries: 0,
        missing: 0,
        problem: None,
        due_at: now,
        deadline_at: Some(after(now, settings.scan_limit)),
        state_since: now,
    };
    (batch, inspections)
}

/// The names that volumes are attached as: `/dev/xvdba` to `/dev/xvdcz`.
fn device_name(number: usize) -> String {
    const LETTERS: usize = 26;
    let letter = |number: usize| char::from(b'a' + (number % LETTERS) as u8);
    format!("/dev/xvd{}{}", letter(1 + number / LETTERS), letter(number))
}

/// What an outcome makes of a batch; `None` when it is over and gone.
pub fn advance(mut batch: Batch, outcome: Step<BatchGave>, settings: &Settings, now: UtcSecond) -> Option<Batch> {
    match outcome {
        Step::Done(gave) => return done(batch, gave, settings, now),
        Step::NotYet => {
            (batch.missing, batch.problem) = (0, None);
            batch.due_at = after(now, LOOK_EVERY_SECONDS);
        }
        Step::Retry { detail } => put_off(&mut batch, &detail, now),
        Step::Missing { detail } => {
            batch.missing += 1;
            put_off(&mut batch, &detail, now);
            if batch.missing >= MISSING_TRIES_MAX && batch.state != BatchState::Stopping {
                enter_batch(&mut batch, BatchState::Stopping, None, now);
                batch.problem = Some(for_everybody(&detail));
            }
        }
        Step::Failed { detail } | Step::Refused { detail, .. } if batch.state == BatchState::Stopping => put_off(&mut batch, &detail, now),
        Step::Failed { detail } | Step::Refused { detail, .. } => {
            enter_batch(&mut batch, BatchState::Stopping, None, now);
            batch.problem = Some(for_everybody(&detail));
        }
    }
    Some(batch)
}

fn done(mut batch: Batch, gave: BatchGave, settings: &Settings, now: UtcSecond) -> Option<Batch> {
    let limit = Some(settings.scan_limit);
    match (batch.state, gave) {
        (BatchState::Starting, BatchGave::Id(id)) => {
            batch.instance_id = Some(id);
            enter_batch(&mut batch, BatchState::Attaching, limit, now);
        }
        (BatchState::Attaching, _) => enter_batch(&mut batch, BatchState::Scanning, limit, now),
        (BatchState::Scanning, BatchGave::Scanner(ScannerState::Ended { detail })) => {
            enter_batch(&mut batch, BatchState::Draining, Some(FINDINGS_AFTER_SCANNER_SECONDS), now);
            batch.problem = Some(for_everybody(&detail));
        }
        (BatchState::Stopping, _) => return None,
        _ => {
            batch.problem = None;
            batch.due_at = after(now, LOOK_EVERY_SECONDS);
        }
    }
    Some(batch)
}

/// What becomes of a batch without a step: it is stopped when none of its members waits for it any more, or when it is late. Gives the batch as it
/// is then, if that is another.
pub fn look_at(batch: &Batch, inspections: &BTreeMap<CommandId, Inspection>, now: UtcSecond) -> Option<Batch> {
    if batch.state == BatchState::Stopping {
        return None;
    }
    let is_late = batch.deadline_at.is_some_and(|deadline| deadline <= now);
    if waiting(batch, inspections).next().is_some() && !is_late {
        return None;
    }
    let mut batch = batch.clone();
    let what = match batch.state {
        BatchState::Starting => "it could not be started",
        BatchState::Attaching => "its volumes could not be attached",
        _ => "it sent no findings",
    };
    let minutes = (now.0 - batch.state_since.0) / 60;
    let last = batch.problem.take().map_or_else(String::new, |problem| format!("; the last that was in the way: {problem}"));
    enter_batch(&mut batch, BatchState::Stopping, None, now);
    batch.problem = is_late.then(|| format!("{what} within {minutes} minutes{last}"));
    Some(batch)
}

/// The members of a batch that still wait for their findings.
pub fn waiting<'i>(batch: &'i Batch, inspections: &'i BTreeMap<CommandId, Inspection>) -> impl Iterator<Item = &'i Inspection> {
    let of_batch = move |inspection: &&Inspection| {
        let place = inspection.scanner.as_ref();
        inspection.state == InspectionState::Scanning && place.is_some_and(|place| place.batch_id == batch.batch_id)
    };
    batch.members.iter().filter_map(move |member| inspections.get(&member.command_id)).filter(of_batch)
}

/// The members as a change of their batch makes them: they know the instance, and those that wait in vain fail.
pub fn members_after(batch: &Batch, inspections: &BTreeMap<CommandId, Inspection>, now: UtcSecond) -> Vec<Inspection> {
    let mut changed = Vec::new();
    for inspection in waiting(batch, inspections) {
        let mut after = inspection.clone();
        if let Some(place) = &mut after.scanner {
            place.instance_id.clone_from(&batch.instance_id);
        }
        after.deadline_at = batch.deadline_at;
        after.problem.clone_from(&batch.problem);
        if batch.state == BatchState::Stopping {
            let why = batch.problem.as_deref().unwrap_or("it was stopped");
            fail(&mut after, &format!("its scanner gave no findings: {why}"), now);
        }
        if after != *inspection {
            after.changed_at = after.changed_at.max(now);
            changed.push(after);
        }
    }
    changed
}

fn enter_batch(batch: &mut Batch, state: BatchState, limit: Option<i64>, now: UtcSecond) {
    batch.state = state;
    batch.state_since = now;
    (batch.tries, batch.missing, batch.problem) = (0, 0, None);
    batch.due_at = now;
    batch.deadline_at = limit.map(|seconds| after(now, seconds));
}

fn put_off(batch: &mut Batch, detail: &str, now: UtcSecond) {
    batch.tries = batch.tries.saturating_add(1);
    batch.problem = Some(for_everybody(detail));
    batch.due_at = after(now, back_off(batch.tries));
}
