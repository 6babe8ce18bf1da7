//! The state machine of an inspection: from what a step gave to the next state. Pure: no clock, no calls.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::findings::ImageFindings;
use cloudigrade_schemas::inspection::{
    Inspection, InspectionEnd, InspectionStage, InspectionState, InspectionWay, Made, SourceDisk, SpecialImage,
};

use crate::cloud::{DirectRead, Step};
use crate::detail::for_everybody;
use crate::estimate::estimate;
use crate::limits::{
    CLEAN_UP_TOLD_AFTER_SECONDS, LOOK_EVERY_SECONDS, MISSING_TRIES_MAX, RETRY_FIRST_SECONDS, RETRY_MAX_SECONDS, WAITING_EVERY_SECONDS,
};
use crate::settings::Settings;

/// What a step gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Gave {
    /// It is done; there is nothing to remember.
    Nothing,
    /// The id of what was made.
    Id(String),
    /// The disk of the image, or of its copy.
    Disk(SourceDisk),
    /// What was read without a scanner.
    Read(DirectRead),
}

/// An inspection after a step, and what was found, if that is what the step gave.
pub struct Advanced {
    /// The inspection as it is to be written.
    pub inspection: Inspection,
    /// What its disk holds.
    pub findings: Option<Box<ImageFindings>>,
}

/// What an outcome makes of an inspection in the state whose step was taken.
pub fn advance(mut inspection: Inspection, outcome: Step<Gave>, settings: &Settings, now: UtcSecond) -> Advanced {
    use InspectionState::CleaningUp;
    let mut findings = None;
    inspection.changed_at = inspection.changed_at.max(now);
    match outcome {
        Step::Done(gave) => findings = done(&mut inspection, gave, settings, now),
        Step::NotYet => {
            (inspection.missing, inspection.problem) = (0, None);
            inspection.due_at = after(now, LOOK_EVERY_SECONDS);
            // It has not begun: others are being read.
            if inspection.state == InspectionState::ReadingDirectly {
                inspection.deadline_at = Some(after(now, settings.scan_limit));
            }
        }
        Step::Retry { detail } => put_off(&mut inspection, &detail, now),
        // What is missing while it is being removed is only not removed yet.
        Step::Missing { detail } => {
            inspection.missing += 1;
            put_off(&mut inspection, &detail, now);
            if inspection.missing >= MISSING_TRIES_MAX && inspection.state != CleaningUp {
                fail(&mut inspection, &detail, now);
            }
        }
        Step::Failed { detail } | Step::Refused { detail, .. } if inspection.state == CleaningUp => put_off(&mut inspection, &detail, now),
        Step::Failed { detail } => fail(&mut inspection, &detail, now),
        Step::Refused { special, detail } => {
            let detail = for_everybody(&detail);
            clean_up(&mut inspection, InspectionEnd::Special { special, detail }, now);
        }
    }
    Advanced { inspection, findings }
}

/// Gives an attempt up that is in its state for too long; `None` where it is not. One that is being scanned ends with its batch.
pub fn give_up_if_late(inspection: &Inspection, now: UtcSecond) -> Option<Inspection> {
    let is_late = inspection.deadline_at.is_some_and(|deadline| deadline <= now);
    if !is_late || inspection.state == InspectionState::Scanning {
        return None;
    }
    let mut inspection = inspection.clone();
    inspection.changed_at = inspection.changed_at.max(now);
    if inspection.state == InspectionState::CleaningUp {
        // It goes on cleaning up; whoever waits for its end waits no longer.
        inspection.deadline_at = None;
        return Some(inspection);
    }
    let minutes = (now.0 - inspection.state_since.0) / 60;
    let last = inspection.problem.as_ref().map_or_else(String::new, |problem| format!("; the last that was in the way: {problem}"));
    let detail = format!("it was {} for {minutes} minutes{last}", inspection.state.word().replace('_', " "));
    fail(&mut inspection, &detail, now);
    Some(inspection)
}

/// An attempt that failed in a way that another may not.
pub fn fail(inspection: &mut Inspection, detail: &str, now: UtcSecond) {
    let detail = for_everybody(detail);
    clean_up(inspection, InspectionEnd::Failed { detail }, now);
}

/// Ends an attempt, as soon as nothing is left of it.
pub fn clean_up(inspection: &mut Inspection, end: InspectionEnd, now: UtcSecond) {
    use InspectionState::{AwaitingConsent, CleaningUp, Looking, Over, ReadingDirectly, Waiting};
    let is_nothing_made =
        inspection.made == Made::default() && matches!(inspection.state, Waiting | Looking | AwaitingConsent | ReadingDirectly);
    inspection.end = Some(end);
    inspection.changed_at = inspection.changed_at.max(now);
    let state = if is_nothing_made { Over } else { CleaningUp };
    let limit = (state == CleaningUp).then_some(CLEAN_UP_TOLD_AFTER_SECONDS);
    enter(inspection, state, limit, now);
}

/// Where an inspection begins once an account was found that can be asked.
pub fn begin_looking(inspection: &mut Inspection, settings: &Settings, now: UtcSecond) {
    inspection.way = settings.way;
    enter(inspection, InspectionState::Looking, Some(settings.copy_limit), now);
}

/// What somebody's consent makes of it.
pub fn agree(inspection: &mut Inspection, by: Option<String>, settings: &Settings, now: UtcSecond) {
    inspection.agreed_by = by.or_else(|| Some("the rules".to_owned()));
    inspection.changed_at = inspection.changed_at.max(now);
    if inspection.state == InspectionState::AwaitingConsent {
        begin_reading(inspection, settings, now);
    }
}

/// How far it is, as far as what is known of the image depends on it; `None` where that does not change.
pub fn stage_of(inspection: &Inspection) -> Option<InspectionStage> {
    use InspectionState as S;
    match inspection.state {
        S::Waiting | S::Looking => None,
        S::AwaitingConsent => {
            Some(InspectionStage::AwaitingConsent { estimated_cost_micro_usd: inspection.estimated_cost_micro_usd.unwrap_or_default() })
        }
        S::CopyingImage
        | S::AwaitingImageCopy
        | S::Sharing
        | S::CopyingSnapshot
        | S::AwaitingSnapshot
        | S::Unsharing
        | S::CreatingVolume
        | S::AwaitingVolume
        | S::Ready => Some(InspectionStage::Preparing),
        S::Scanning | S::ReadingDirectly => Some(InspectionStage::Inspecting),
        S::CleaningUp if inspection.deadline_at.is_some() => None,
        S::CleaningUp | S::Over => {
            let lost = || InspectionEnd::Failed { detail: "it ended without saying how".to_owned() };
            Some(InspectionStage::Ended { end: inspection.end.clone().unwrap_or_else(lost) })
        }
    }
}

/// A state, from now on.
pub fn enter(inspection: &mut Inspection, state: InspectionState, limit: Option<i64>, now: UtcSecond) {
    inspection.state = state;
    inspection.state_since = now;
    (inspection.tries, inspection.missing, inspection.problem) = (0, 0, None);
    inspection.due_at = now;
    inspection.deadline_at = limit.map(|seconds| after(now, seconds));
}

/// Later by some seconds.
pub fn after(now: UtcSecond, seconds: i64) -> UtcSecond {
    UtcSecond(now.0.saturating_add(seconds))
}

/// How long is waited before something that was tried so often is tried again.
pub fn back_off(tries: u32) -> i64 {
    RETRY_FIRST_SECONDS.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(RETRY_MAX_SECONDS)
}

fn put_off(inspection: &mut Inspection, detail: &str, now: UtcSecond) {
    inspection.tries = inspection.tries.saturating_add(1);
    inspection.problem = Some(for_everybody(detail));
    inspection.due_at = after(now, back_off(inspection.tries));
}

fn done(inspection: &mut Inspection, gave: Gave, settings: &Settings, now: UtcSecond) -> Option<Box<ImageFindings>> {
    use InspectionState as S;
    let (call, copy) = (Some(settings.step_limit), Some(settings.copy_limit));
    match (inspection.state, gave) {
        (S::Looking, Gave::Disk(disk)) => {
            let crosses = inspection.region != settings.region;
            inspection.estimated_cost_micro_usd = Some(estimate(disk.size_gib, crosses, settings));
            inspection.disk = Some(disk);
            if settings.consent && inspection.agreed_by.is_none() {
                enter(inspection, S::AwaitingConsent, None, now);
            } else {
                begin_reading(inspection, settings, now);
            }
        }
        (S::CopyingImage, Gave::Id(id)) => {
            inspection.made.image_copy_id = Some(id);
            enter(inspection, S::AwaitingImageCopy, copy, now);
        }
        (S::AwaitingImageCopy, Gave::Disk(disk)) => {
            inspection.made.image_copy_snapshot_id = Some(disk.snapshot_id);
            begin_sharing(inspection, settings, now);
        }
        (S::Sharing, _) => enter(inspection, S::CopyingSnapshot, copy, now),
        (S::CopyingSnapshot, Gave::Id(id)) => {
            inspection.made.snapshot_copy_id = Some(id);
            enter(inspection, S::AwaitingSnapshot, copy, now);
        }
        (S::AwaitingSnapshot, _) => enter(inspection, S::Unsharing, call, now),
        (S::Unsharing, _) => {
            inspection.made.shared_snapshot_id = None;
            enter(inspection, S::CreatingVolume, call, now);
        }
        (S::CreatingVolume, Gave::Id(id)) => {
            inspection.made.volume_id = Some(id);
            enter(inspection, S::AwaitingVolume, call, now);
        }
        (S::AwaitingVolume, _) => enter(inspection, S::Ready, copy, now),
        (S::ReadingDirectly, Gave::Read(read)) => return directly_read(inspection, read, settings, now),
        (S::CleaningUp, _) => {
            inspection.made = Made::default();
            enter(inspection, S::Over, None, now);
        }
        (state, gave) => fail(inspection, &format!("the step of {} gave {gave:?}; this is a fault of the program", state.word()), now),
    }
    None
}

/// The first step that costs.
fn begin_reading(inspection: &mut Inspection, settings: &Settings, now: UtcSecond) {
    if inspection.way == InspectionWay::EbsDirect {
        enter(inspection, InspectionState::ReadingDirectly, Some(settings.scan_limit), now);
        return;
    }
    let owner = inspection.disk.as_ref().and_then(|disk| disk.owner_id.as_deref());
    let is_own = owner.is_some() && owner == inspection.reader.as_ref().map(|reader| reader.account_id.as_str());
    if is_own {
        begin_sharing(inspection, settings, now);
    } else {
        enter(inspection, InspectionState::CopyingImage, Some(settings.copy_limit), now);
    }
}

/// That the snapshot may be shared is written before it is: whatever happens then, the sharing is taken back.
fn begin_sharing(inspection: &mut Inspection, settings: &Settings, now: UtcSecond) {
    inspection.made.shared_snapshot_id = inspection.snapshot_id().map(str::to_owned);
    enter(inspection, InspectionState::Sharing, Some(settings.step_limit), now);
}

fn directly_read(inspection: &mut Inspection, read: DirectRead, settings: &Settings, now: UtcSecond) -> Option<Box<ImageFindings>> {
    match read {
        DirectRead::Found { findings, .. } => settle(inspection, findings, now),
        DirectRead::NotPossible { .. } if settings.scanner_instead => {
            inspection.way = InspectionWay::Scanner;
            begin_reading(inspection, settings, now);
            None
        }
        DirectRead::NotPossible { detail } => {
            let detail = for_everybody(&format!("its snapshot cannot be read directly, and no scanner is configured: {detail}"));
            clean_up(inspection, InspectionEnd::Special { special: SpecialImage::NotDirectly, detail }, now);
            None
        }
    }
}

/// What findings make of an inspection. Where nothing could be opened they are no findings: the disk was not there.
pub fn settle(inspection: &mut Inspection, findings: Box<ImageFindings>, now: UtcSecond) -> Option<Box<ImageFindings>> {
    if findings.drives.is_empty() && findings.is_rhel.is_none() {
        let errors = findings.errors.join("; ");
        fail(inspection, &format!("the inspector found no disk: {errors}"), now);
        return None;
    }
    clean_up(inspection, InspectionEnd::Found, now);
    Some(findings)
}

/// Puts an inspection off that waits until it can begin, and says why.
pub fn wait_on(inspection: &mut Inspection, why: &str, now: UtcSecond) {
    inspection.due_at = after(now, WAITING_EVERY_SECONDS);
    if inspection.problem.as_deref() != Some(why) {
        inspection.problem = Some(why.to_owned());
        inspection.changed_at = inspection.changed_at.max(now);
    }
}
