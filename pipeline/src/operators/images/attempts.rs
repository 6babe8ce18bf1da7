//! Which attempts to read an image's disks there are to be, and what the worker is told about them.
//!
//! Which one is wanted next is a function of what holds of the image ([`Wanted::of`]); what was told is remembered ([`Told`]), so that nothing is
//! told twice. An attempt ends by a fact that the worker writes, so no clock is needed here: a worker that gave an attempt up says so.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::image_fact::{InspectionRequest, InspectionWanted};
use cloudigrade_schemas::inspection::{CommandId, InspectionCommand, InspectionEnd, InspectionOrder};
use serde::{Deserialize, Serialize};

use super::known::Known;
use super::reason::without_reading;
use super::verdict::Description;
use crate::limits::INSPECTION_ATTEMPTS_MAX;

/// What the worker was told of an image's attempts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    /// The newest attempt that was begun, from 1; 0 where none was.
    pub(super) attempt: u32,
    /// Whether somebody asked for it, and not the rules.
    pub(super) is_asked: bool,
    /// Whether it was told that somebody agreed to it.
    pub(super) is_agreed: bool,
    /// Whether it was told to give it up.
    pub(super) is_aborted: bool,
    /// The accounts that it was told it can ask ([`Known::accounts`]).
    pub(super) accounts: Vec<String>,
}

impl Told {
    /// The attempt that the worker is to make, as far as it was told, and whether it is to give it up; `None` where none is left to be made.
    pub(super) fn at_work(&self, known: &Known) -> Option<(u32, bool)> {
        (self.attempt > ended(known)).then_some((self.attempt, self.is_aborted))
    }
}

/// The newest attempt that is over; 0 where none is.
fn ended(known: &Known) -> u32 {
    let running = || known.inspection.as_ref().map_or(0, |told| told.what.attempt.saturating_sub(1));
    known.end().map_or_else(running, |(attempt, _)| attempt)
}

/// What somebody wants, unless an attempt has come to its end since.
fn request(known: &Known, wanted: InspectionWanted) -> Option<&str> {
    let told = &known.request.as_ref()?.what;
    (told.wanted == wanted && told.after_attempt >= ended(known)).then_some(told.by.as_str())
}

/// Whether somebody wanted an attempt given up, and nothing else since.
fn is_unwanted(known: &Known, attempt: u32) -> bool {
    let is_it = |what: &InspectionRequest| what.wanted == InspectionWanted::Abort && what.after_attempt.saturating_add(1) == attempt;
    known.request.as_ref().is_some_and(|told| is_it(&told.what))
}

/// The attempt after one that failed, or that was given up because nobody needed it then, if there is one. Those that somebody asked for begin a
/// new count.
pub(super) fn next_attempt(known: &Known) -> Option<u32> {
    let (attempt, end) = known.end()?;
    match end {
        InspectionEnd::Found | InspectionEnd::Special { .. } => return None,
        InspectionEnd::Aborted if is_unwanted(known, attempt) => return None,
        InspectionEnd::Aborted | InspectionEnd::Failed { .. } => {}
    }
    if request(known, InspectionWanted::Inspect).is_some() {
        return Some(attempt + 1);
    }
    let asked = known.request.as_ref().filter(|told| told.what.wanted == InspectionWanted::Inspect);
    let before = asked.map_or(0, |told| told.what.after_attempt.min(attempt));
    (attempt - before < INSPECTION_ATTEMPTS_MAX).then_some(attempt + 1)
}

/// Whether the rules want its disks read: it is described, it has a snapshot, and nothing else says what is in it.
fn is_to_be_read(known: &Known, described: &Description<'_>) -> bool {
    let has_snapshot = known.metadata.as_ref().is_some_and(|told| told.what.root_snapshot_id.is_some());
    has_snapshot && known.disks.is_none() && !is_settled(known, described)
}

/// Whether it is known without reading its disks.
fn is_settled(known: &Known, described: &Description<'_>) -> bool {
    known.is_vouched_for() || without_reading(described).is_some()
}

/// The attempt that is wanted next, and who asked for it, where the rules do not want it by themselves.
fn wanted<'k>(known: &'k Known, described: &Description<'_>) -> Option<(u32, Option<&'k str>)> {
    if let Some(by) = request(known, InspectionWanted::Inspect) {
        // Nobody can be asked for the disks of an image that is not described.
        return known.metadata.as_ref().map(|_| (ended(known) + 1, Some(by)));
    }
    if !is_to_be_read(known, described) || request(known, InspectionWanted::Abort).is_some() {
        return None;
    }
    match &known.inspection {
        None => Some((1, None)),
        Some(_) => next_attempt(known).map(|attempt| (attempt, None)),
    }
}

/// What the worker is to be told now; `told` becomes what it has been told then.
pub(super) fn commands(image_id: &str, known: &Known, described: &Description<'_>, told: &mut Told) -> Vec<InspectionCommand> {
    let command = |attempt: u32, order: InspectionOrder, by: Option<&str>| InspectionCommand {
        command_id: CommandId::of(image_id, attempt),
        image_id: image_id.to_owned(),
        region: known.region().to_owned(),
        attempt,
        order,
        by: by.map(str::to_owned),
        metadata: known.metadata.as_ref().map(|told| told.what.clone()),
        used_by: known.uses.clone(),
        after: known.inspection.as_ref().map_or(UtcSecond(0), |told| told.at),
    };
    let mut commands = Vec::new();
    if let Some((attempt, by)) = wanted(known, described).filter(|(attempt, _)| *attempt > told.attempt) {
        *told = Told { attempt, is_asked: by.is_some(), is_agreed: by.is_some(), is_aborted: false, accounts: known.accounts() };
        commands.push(command(attempt, InspectionOrder::Inspect, by));
        return commands;
    }
    let Some((attempt, false)) = told.at_work(known) else { return commands };
    if let Some(by) = request(known, InspectionWanted::Inspect).filter(|_| !told.is_agreed) {
        told.is_agreed = true;
        commands.push(command(attempt, InspectionOrder::Agree, Some(by)));
    }
    let by = request(known, InspectionWanted::Abort);
    // What is known by now is not read, unless somebody asked for it. What an attempt found itself is no reason to give it up.
    let has_begun = known.inspection.as_ref().is_some_and(|progress| progress.what.attempt >= attempt);
    let is_known = is_settled(known, described) || (known.disks.is_some() && !has_begun);
    let is_needless = !told.is_asked && !told.is_agreed && is_known;
    if by.is_some() || is_needless {
        told.is_aborted = true;
        commands.push(command(attempt, InspectionOrder::Abort, by));
        return commands;
    }
    // It may wait for an account that it can ask, or its turn with another one come.
    let accounts = known.accounts();
    if told.accounts != accounts {
        told.accounts = accounts;
        commands.push(command(attempt, InspectionOrder::Inspect, request(known, InspectionWanted::Inspect)));
    }
    commands
}
