//! What an inspection is expected to cost, before anything is paid for.
//!
//! [`crate::prices`] are those of `us-east-1`, on demand, unless others are configured; taxes, discounts and free tiers are not known. An estimate
//! is of one image as part of a full batch, and rather too high than too low.

use cloudigrade_schemas::inspection::InspectionWay;

use crate::settings::Settings;

/// Hours of a month, as AWS counts.
const MONTH_HOURS: u64 = 730;
/// Hours that copies are kept for an inspection, and a scanner runs, at least as AWS counts.
const KEPT_HOURS: u64 = 4;
/// Blocks of a GiB.
const BLOCKS_PER_GIB: u64 = 2048;
/// Of how many blocks of a disk one is read: reading a package database takes a small part of a disk.
const ONE_BLOCK_READ_IN: u64 = 4;
/// Blocks that one request lists.
const BLOCKS_PER_LIST: u64 = crate::aws::limits::BLOCKS_PER_LISTING.unsigned_abs() as u64;

/// What reading a disk of this size is expected to cost, in millionths of a dollar. `crosses` tells whether its region is another than the
/// scanners'. Where a scanner reads what cannot be read directly, it is the dearer of both.
pub fn estimate(size_gib: u32, crosses: bool, settings: &Settings) -> u64 {
    match (settings.way, settings.scanner_instead) {
        (InspectionWay::Scanner, _) => by_scanner(size_gib, crosses, settings),
        (InspectionWay::EbsDirect, false) => directly(size_gib, settings),
        (InspectionWay::EbsDirect, true) => directly(size_gib, settings).max(by_scanner(size_gib, crosses, settings)),
    }
}

fn by_scanner(size_gib: u32, crosses: bool, settings: &Settings) -> u64 {
    let gib = u64::from(size_gib.max(1));
    let prices = &settings.prices;
    let kept = gib * (prices.snapshot_gib_month + prices.volume_gib_month) * KEPT_HOURS;
    let transfer = if crosses { gib * prices.transfer_gib } else { 0 };
    let share = (prices.scanner_hour * KEPT_HOURS).div_ceil(settings.batch_size.max(1) as u64);
    kept.div_ceil(MONTH_HOURS) + transfer + share
}

fn directly(size_gib: u32, settings: &Settings) -> u64 {
    let blocks = u64::from(size_gib.max(1)) * BLOCKS_PER_GIB;
    let lists = blocks.div_ceil(BLOCKS_PER_LIST) * settings.prices.thousand_listings;
    (blocks.div_ceil(ONE_BLOCK_READ_IN) * settings.prices.thousand_blocks + lists).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_grows_with_the_disk_and_follows_the_way() {
        let scanner = Settings::default();
        let direct = Settings { way: InspectionWay::EbsDirect, ..Settings::default() };
        // Ten GiB: copies for some hours, and a twentieth of a scanner: about two cents.
        assert_eq!(estimate(10, false, &scanner), 17_124);
        assert_eq!(estimate(10, true, &scanner), 217_124);
        assert_eq!(estimate(10, true, &direct), 15_373);
        assert_eq!(estimate(10, true, &Settings { scanner_instead: true, ..direct.clone() }), 217_124);
        assert!(estimate(0, false, &scanner) > 0 && estimate(0, false, &direct) > 0, "it is never nothing");
        assert!(estimate(10, false, &Settings { batch_size: 1, ..Settings::default() }) > 17_124);
    }
}
