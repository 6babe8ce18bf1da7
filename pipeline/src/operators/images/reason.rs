//! How far the look into an image is, why, and what its users can do about it.

use cloudigrade_schemas::findings::Inspected;
use cloudigrade_schemas::image::{BillingModel, ImageStatus};

use super::known::Known;
use super::verdict::Description;

/// What remains to do where a disk cannot be read.
const SAY_IT: &str = "Say yourself whether RHEL is in it: by an override, or by the tag cloudigrade-rhel-present.";
/// What follows from paying by the hour.
const NOT_COUNTED: &str = "so it is not counted as RHEL. If you bring your own subscription for it, say so by an override.";

/// What is known without reading disks comes first: nobody has to read them then. For those who tagged it, what their tags say comes on top.
pub(super) fn status_of(known: &Known, described: &Description<'_>) -> (ImageStatus, String) {
    let disks = known.disks.as_ref().map(|told| &told.what);
    let inspected = |reason: String| (ImageStatus::Inspected, reason);
    if let Some(disks) = disks.filter(|disks| disks.is_rhel.is_some()) {
        return inspected(match disks.inspected {
            Inspected::Complete => "Its disks were read.".to_owned(),
            _ => "Its disks were read, as far as they can be; the evidence says what was found.".to_owned(),
        });
    }
    if described.is_windows {
        return inspected("It is Windows: there is nothing to look for.".to_owned());
    }
    if let Some(code) = described.product_code {
        return inspected(format!("It is sold in AWS Marketplace ({code}) and paid for there, {NOT_COUNTED}"));
    }
    match (described.vendor, described.system()) {
        (Some(BillingModel::Byos), _) => {
            return inspected("It is one of Red Hat's images for customers who bring their subscription: RHEL is in it.".to_owned());
        }
        (Some(_), _) => return inspected(format!("It is one of Red Hat's images that are paid by the hour, {NOT_COUNTED}")),
        (None, Some(code)) if described.is_billed_as_rhel() => {
            return inspected(format!("AWS bills {} in it by the hour ({}), {NOT_COUNTED}", code.platform_details, code.usage_operation));
        }
        (None, Some(code)) if described.is_foreign() => {
            return inspected(format!(
                "AWS bills it as {} ({}): there is nothing to look for.",
                code.platform_details, code.usage_operation
            ));
        }
        _ => {}
    }
    let error = |reason: String| (ImageStatus::Error, reason);
    if let Some(disks) = disks {
        let what = match disks.inspected {
            Inspected::Encrypted => "A disk of it is encrypted and could not be read.",
            Inspected::Unsupported => "A disk of it is of a kind that cannot be read.",
            Inspected::Corrupt => "A disk of it is damaged or could not be read.",
            Inspected::Complete | Inspected::Partial => "Its disks could not be read to where they would tell.",
        };
        return error(format!("{what} {SAY_IT}"));
    }
    if known.is_unavailable() {
        let reason = format!("EC2 does not know it, or shows it to none of the accounts that use it: share it with one of them. {SAY_IT}");
        return (ImageStatus::Unavailable, reason);
    }
    match known.metadata.as_ref().map(|told| &told.what) {
        Some(metadata) if metadata.root_snapshot_id.is_none() => {
            error(format!("Its root device has no snapshot (an instance store), so it cannot be read. {SAY_IT}"))
        }
        Some(metadata) if metadata.encrypted == Some(true) => {
            let reason =
                format!("Nothing has looked into it yet. Its snapshot is encrypted: it can be read where its key allows. {SAY_IT}");
            (ImageStatus::Pending, reason)
        }
        _ => (ImageStatus::Pending, format!("Nothing has looked into it yet. {SAY_IT}")),
    }
}
