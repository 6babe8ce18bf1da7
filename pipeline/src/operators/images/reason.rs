//! How far the look into an image is, why, and what its users can do about it.

use cloudigrade_schemas::findings::Inspected;
use cloudigrade_schemas::image::{BillingModel, ImageStatus};
use cloudigrade_schemas::image_fact::InspectionProgress;
use cloudigrade_schemas::inspection::{InspectionEnd, InspectionStage, SpecialImage};
use cloudigrade_schemas::money::dollars;

use super::attempts::next_attempt;
use super::known::Known;
use super::verdict::Description;

/// What remains to do where a disk cannot be read.
const SAY_IT: &str = "Say yourself whether RHEL is in it: by an override, or by the tag cloudigrade-rhel-present.";
/// What follows from paying by the hour.
const NOT_COUNTED: &str = "so it is not counted as RHEL. If you bring your own subscription for it, say so by an override.";

/// What follows from disks on which no file system can be read.
const NOT_SEEN: &str = "so it is not counted as RHEL; the inspection says what was in the way. If RHEL is in it, say so by an override, or by the \
                        tag cloudigrade-rhel-present.";

/// What is known without reading disks comes first: nobody has to read them then. For those who tagged it, what their tags say comes on top.
pub(super) fn status_of(known: &Known, described: &Description<'_>) -> (ImageStatus, String) {
    let disks = known.disks.as_ref().map(|told| &told.what);
    if let Some(disks) = disks.filter(|disks| disks.is_rhel.is_some()) {
        let reason = match disks.inspected {
            Inspected::Complete => "Its disks were read.".to_owned(),
            _ => "Its disks were read, as far as they can be; the evidence says what was found.".to_owned(),
        };
        return (ImageStatus::Inspected, reason);
    }
    let unreadable = disks.filter(|disks| disks.are_unreadable());
    if let Some(reason) = without_reading(described) {
        return (ImageStatus::Inspected, reason);
    }
    if let Some(status) = of_attempt(known) {
        return status;
    }
    if let Some(disks) = unreadable {
        let what = match disks.inspected {
            Inspected::Encrypted => "encrypted",
            Inspected::Unsupported => "of a kind that cannot be read",
            _ => "damaged, or hold nothing that is known",
        };
        return (ImageStatus::Inspected, format!("Its disks were looked at and are {what}, {NOT_SEEN}"));
    }
    let error = |reason: String| (ImageStatus::Error, reason);
    if disks.is_some() {
        return error(format!("Its disks could not be read to where they would tell. {SAY_IT}"));
    }
    if known.is_unavailable() {
        let reason = format!("EC2 does not know it, or shows it to none of the accounts that use it: share it with one of them. {SAY_IT}");
        return (ImageStatus::Unavailable, reason);
    }
    match known.metadata.as_ref().map(|told| &told.what) {
        Some(metadata) if metadata.root_snapshot_id.is_none() => error(special(SpecialImage::NoSnapshot)),
        Some(metadata) if metadata.encrypted == Some(true) => {
            let reason =
                format!("Nothing has looked into it yet. Its snapshot is encrypted: it can be read where its key allows. {SAY_IT}");
            (ImageStatus::Pending, reason)
        }
        _ => (ImageStatus::Pending, format!("Nothing has looked into it yet. {SAY_IT}")),
    }
}

/// Why nobody has to read its disks, whoever uses it, if nobody has to. Tags are for those who gave them.
pub(super) fn without_reading(described: &Description<'_>) -> Option<String> {
    if described.is_windows {
        return Some("It is Windows: there is nothing to look for.".to_owned());
    }
    if let Some(code) = described.product_code {
        return Some(format!("It is sold in AWS Marketplace ({code}) and paid for there, {NOT_COUNTED}"));
    }
    match (described.vendor, described.system()) {
        (Some(BillingModel::Byos), _) => {
            return Some("It is one of Red Hat's images for customers who bring their subscription: RHEL is in it.".to_owned());
        }
        (Some(_), _) => return Some(format!("It is one of Red Hat's images that are paid by the hour, {NOT_COUNTED}")),
        (None, Some(code)) if described.is_billed_as_rhel() => {
            return Some(format!("AWS bills {} in it by the hour ({}), {NOT_COUNTED}", code.platform_details, code.usage_operation));
        }
        (None, Some(code)) if described.is_foreign() => {
            return Some(format!("AWS bills it as {} ({}): there is nothing to look for.", code.platform_details, code.usage_operation));
        }
        _ => {}
    }
    None
}

/// What an attempt to read its disks says of it, where that tells more than what the disks hold.
fn of_attempt(known: &Known) -> Option<(ImageStatus, String)> {
    let InspectionProgress { attempt, progress } = &known.inspection.as_ref()?.what;
    Some(match progress {
        InspectionStage::AwaitingConsent { estimated_cost_micro_usd } => {
            let dollars = dollars(*estimated_cost_micro_usd);
            let reason = format!(
                "Reading its disk would cost about {dollars}, and waits for consent: `cloudigrade images inspect` gives it. {SAY_IT}"
            );
            (ImageStatus::Pending, reason)
        }
        InspectionStage::Preparing => (ImageStatus::Preparing, format!("Its disk is being made ready to be read (attempt {attempt}).")),
        InspectionStage::Inspecting => (ImageStatus::Inspecting, format!("Its disk is being read (attempt {attempt}).")),
        InspectionStage::Ended { end: InspectionEnd::Found } => return None,
        InspectionStage::Ended { end: InspectionEnd::Special { special: why, .. } } => {
            let status = if why.is_sold() { ImageStatus::Inspected } else { ImageStatus::Error };
            (status, special(*why))
        }
        InspectionStage::Ended { end: InspectionEnd::Failed { detail } } => match next_attempt(known) {
            Some(next) => (
                ImageStatus::Pending,
                format!("Attempt {attempt} to read its disk failed: {detail}. It is tried again, as attempt {next}."),
            ),
            None => {
                let again = "`cloudigrade images inspect` tries again.";
                (ImageStatus::Error, format!("Attempt {attempt} to read its disk failed, the last one: {detail}. {again} {SAY_IT}"))
            }
        },
        InspectionStage::Ended { end: InspectionEnd::Aborted } => {
            let again = "`cloudigrade images inspect` has it read after all.";
            let reason = match next_attempt(known) {
                Some(next) => {
                    format!("Reading its disk was given up, as nobody needed it; where somebody does, it is attempt {next}. {SAY_IT}")
                }
                None => format!("Reading its disk was given up. {again} {SAY_IT}"),
            };
            (ImageStatus::Pending, reason)
        }
    })
}

/// Why an image cannot be inspected, and what its users can do.
fn special(special: SpecialImage) -> String {
    match special {
        SpecialImage::StorageNotShared => format!(
            "It is private and of another account, which gives no access to its storage: have its owner share its snapshot with you, then \
             use `cloudigrade images inspect`. {SAY_IT}"
        ),
        SpecialImage::StorageNotPublic => {
            format!("It is public and its storage is not: it is taken for one that is sold or billed by AWS, {NOT_COUNTED}")
        }
        SpecialImage::Marketplace => format!("AWS lets nobody copy it because it is sold in AWS Marketplace, {NOT_COUNTED}"),
        SpecialImage::BillingProduct => format!("AWS lets nobody copy it because AWS bills what is in it, {NOT_COUNTED}"),
        SpecialImage::Encrypted => format!(
            "Its snapshot is encrypted, and the key does not let us read it: allow cloudigrade's account to use the key (a key of your own; \
             AWS's default key cannot be shared), then use `cloudigrade images inspect`. {SAY_IT}"
        ),
        SpecialImage::NoSnapshot => format!("Its root device has no snapshot (an instance store), so it cannot be read. {SAY_IT}"),
        SpecialImage::ImageFailed => format!("AWS says that the image failed or is invalid, so it cannot be read. {SAY_IT}"),
        SpecialImage::ImageGone => format!("The image, or the snapshot of its root disk, was deleted before it could be read. {SAY_IT}"),
        SpecialImage::OtherPartition => {
            format!("It is in another partition of AWS (China, GovCloud) than cloudigrade, from where no disk can be copied. {SAY_IT}")
        }
        SpecialImage::NotDirectly => format!(
            "AWS does not let its snapshot be read directly (so it is with public ones and those of others), and no scanner is configured that \
             could read a copy. {SAY_IT}"
        ),
    }
}
