//! What S3 will charge for reading, before it is read. Pure: numbers in, numbers out.

use serde::Serialize;

/// Dated prices; the file says of when and from where.
const PRICES: &str = include_str!("../../../data/s3_prices.csv");
/// The region whose prices stand for those that are not in the data.
const DEFAULT_REGION: &str = "us-east-1";
/// Bytes of the gigabyte that AWS charges by.
const GB: f64 = (1_u64 << 30) as f64;

/// Prices in US dollars.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prices {
    /// The region whose prices they are.
    pub region: String,
    /// A thousand requests that list.
    pub list_per_1000: f64,
    /// A thousand requests that read.
    pub get_per_1000: f64,
    /// A gigabyte that leaves the region.
    pub transfer_per_gb: f64,
}

impl Prices {
    /// The prices of a region, or those that stand for them.
    pub fn of(region: Option<&str>) -> Option<Self> {
        let find = |wanted: &str| rows().find(|prices| prices.region == wanted);
        region.and_then(find).or_else(|| find(DEFAULT_REGION))
    }

    /// Since when they are, and where they are from.
    pub fn source() -> &'static str {
        PRICES.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

fn rows() -> impl Iterator<Item = Prices> {
    let lines = PRICES.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.filter_map(|line| {
        let mut fields = line.split(',');
        let region = fields.next()?.to_owned();
        let mut number = || fields.next()?.parse().ok();
        Some(Prices { region, list_per_1000: number()?, get_per_1000: number()?, transfer_per_gb: number()? })
    })
}

/// What reading will take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// Requests that list.
    pub lists: u64,
    /// Requests that read.
    pub gets: u64,
    /// Bytes that leave the region.
    pub transfer_bytes: u64,
}

/// What S3 will charge, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// For requests that list.
    pub lists: f64,
    /// For requests that read.
    pub gets: f64,
    /// For bytes that leave the region.
    pub transfer: f64,
    /// All of it.
    pub total: f64,
}

/// What S3 will charge for work.
pub fn estimate(work: &Work, prices: &Prices) -> Estimate {
    let lists = work.lists as f64 / 1e3 * prices.list_per_1000;
    let gets = work.gets as f64 / 1e3 * prices.get_per_1000;
    let transfer = work.transfer_bytes as f64 / GB * prices.transfer_per_gb;
    Estimate { lists, gets, transfer, total: lists + gets + transfer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_what_leaves_the_region_are_charged() {
        let prices = Prices { region: "r".into(), list_per_1000: 0.005, get_per_1000: 0.0004, transfer_per_gb: 0.02 };
        let near = estimate(&Work { lists: 2_000, gets: 1_000_000, transfer_bytes: 0 }, &prices);
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(near.lists, 0.01) && close(near.gets, 0.4) && close(near.transfer, 0.0) && close(near.total, 0.41));
        let far = estimate(&Work { lists: 0, gets: 0, transfer_bytes: 10 << 30 }, &prices);
        assert!(close(far.transfer, 0.2) && close(far.total, 0.2));
        assert_eq!(estimate(&Work::default(), &prices), Estimate::default());
    }

    #[test]
    fn every_row_of_prices_is_read_and_they_say_of_when_they_are() {
        let lines = PRICES.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(rows().count(), lines - 1);
        assert!(Prices::source().contains("20") && Prices::source().contains("https://"), "{}", Prices::source());
        assert_eq!(Prices::of(Some("xx-none-1")), Prices::of(None));
        assert!(Prices::of(None).unwrap().get_per_1000 > 0.0);
    }
}
