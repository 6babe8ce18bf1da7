//! Who is paid for an image, by what AWS says of it, as dated data.
//!
//! `data/billing_codes.csv` and `data/vendor_images.csv` say in their heads where they come from and of what day they are. A code that is not in
//! them says nothing: it is never guessed.

use crate::image::BillingModel;
use crate::image_fact::ImageMetadata;

/// AWS's billing codes, with `#` lines that give their source and date.
const CODES: &str = include_str!("../data/billing_codes.csv");
/// Images that a vendor makes, likewise.
const VENDORS: &str = include_str!("../data/vendor_images.csv");

/// How a product code begins that AWS Marketplace gave.
const MARKETPLACE: &str = "marketplace:";

/// The system in an image, as a billing code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BilledSystem {
    /// Red Hat Enterprise Linux.
    Rhel,
    /// Windows.
    Windows,
    /// Another one, and not RHEL.
    Other,
    /// The code does not say.
    Untold,
}

/// What a billing code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BillingCode {
    /// `RunInstances:0010`.
    pub usage_operation: &'static str,
    /// `Red Hat Enterprise Linux`.
    pub platform_details: &'static str,
    /// What system the image holds.
    pub system: BilledSystem,
    /// Who is paid for it.
    pub billing: BillingModel,
}

/// The billing code of an image: by its operation, else by its platform in words.
pub fn code_of(image: &ImageMetadata) -> Option<BillingCode> {
    match (image.usage_operation.as_deref(), image.platform_details.as_deref()) {
        (Some(operation), _) => codes().find(|code| code.usage_operation == operation),
        (None, Some(platform)) => codes().find(|code| code.platform_details.eq_ignore_ascii_case(platform)),
        (None, None) => None,
    }
}

/// All billing codes that are known.
pub fn codes() -> impl Iterator<Item = BillingCode> {
    rows(CODES).filter_map(|[usage_operation, platform_details, system, billing]| {
        let system = match system {
            "rhel" => BilledSystem::Rhel,
            "windows" => BilledSystem::Windows,
            "other" => BilledSystem::Other,
            "" => BilledSystem::Untold,
            _ => return None,
        };
        Some(BillingCode { usage_operation, platform_details, system, billing: model(billing)? })
    })
}

/// How Red Hat bills an image that it made; `None` for what is not one of its images.
pub fn vendor_image(image: &ImageMetadata) -> Option<BillingModel> {
    let (owner, name) = (image.owner_id.as_deref()?, image.name.as_deref()?.to_lowercase());
    rows(VENDORS).find(|[vendor, holds, _]| *vendor == owner && name.contains(holds)).and_then(|[_, _, billing]| model(billing))
}

/// The product code of AWS Marketplace that an image has.
pub fn marketplace_code(image: &ImageMetadata) -> Option<&str> {
    image.product_codes.iter().map(String::as_str).find(|code| code.starts_with(MARKETPLACE))
}

/// Of what day the older of both files is, `2026-11-26`.
pub fn as_of() -> &'static str {
    head(CODES, "as of: ").min(head(VENDORS, "as of: "))
}

fn head(file: &'static str, name: &str) -> &'static str {
    file.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name)).unwrap_or("unknown")
}

fn model(word: &str) -> Option<BillingModel> {
    if word.is_empty() { Some(BillingModel::Unknown) } else { BillingModel::ALL.into_iter().find(|model| model.word() == word) }
}

/// The rows of a file, without those of its head.
fn rows<const N: usize>(file: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let cells = |line: &'static str| line.splitn(N, ',').collect::<Vec<_>>().try_into().ok();
    file.lines().filter(|line| !line.starts_with('#')).skip(1).filter_map(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str) -> usize {
        file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).count() - 1
    }

    fn image(operation: Option<&str>, platform: Option<&str>) -> ImageMetadata {
        let text = |text: Option<&str>| text.map(str::to_owned);
        ImageMetadata { usage_operation: text(operation), platform_details: text(platform), ..ImageMetadata::default() }
    }

    fn of_vendor(owner: &str, name: &str) -> Option<BillingModel> {
        vendor_image(&ImageMetadata { owner_id: Some(owner.to_owned()), name: Some(name.to_owned()), ..ImageMetadata::default() })
    }

    #[test]
    fn every_line_of_the_data_reads_and_no_code_is_there_twice() {
        assert_eq!((codes().count(), rows::<3>(VENDORS).count()), (lines(CODES), lines(VENDORS)));
        for code in codes() {
            let same = |other: &BillingCode| {
                other.usage_operation == code.usage_operation || other.platform_details.eq_ignore_ascii_case(code.platform_details)
            };
            assert_eq!(codes().filter(same).count(), 1, "{code:?}");
        }
        assert!(rows::<3>(VENDORS).all(|[_, _, billing]| matches!(billing, "payg" | "byos")));
    }

    #[test]
    fn the_data_says_its_source_and_date() {
        assert!(as_of().len() == 10 && [CODES, VENDORS].iter().all(|file| head(file, "source: ") != "unknown"));
    }

    #[test]
    fn the_code_decides_and_the_platform_only_where_there_is_no_code() {
        let said = |operation, platform| code_of(&image(operation, platform)).map(|code| (code.system, code.billing));
        assert_eq!(said(Some("RunInstances:0010"), None), Some((BilledSystem::Rhel, BillingModel::Payg)));
        assert_eq!(said(Some("RunInstances:00g0"), Some("Windows")), Some((BilledSystem::Rhel, BillingModel::Byos)));
        assert_eq!(said(None, Some("red hat enterprise linux with HA")), Some((BilledSystem::Rhel, BillingModel::Payg)));
        assert_eq!(said(Some("RunInstances"), None), Some((BilledSystem::Untold, BillingModel::Unknown)));
        assert_eq!((said(Some("RunInstances:ffff"), Some("Windows")), said(None, None)), (None, None));
    }

    #[test]
    fn the_vendors_images_are_known_by_owner_and_name_in_whatever_case() {
        assert_eq!(of_vendor("309956199498", "RHEL-9.2.0_HVM-20230503-x86_64-41-Access2-GP2"), Some(BillingModel::Byos));
        assert_eq!(of_vendor("841258680906", "RHEL-8.6.0_HVM-HOURLY2-GP2"), Some(BillingModel::Payg));
        assert_eq!((of_vendor("309956199498", "RHEL-9"), of_vendor("111122223333", "RHEL-9-Access2-GP2")), (None, None));
    }
}
