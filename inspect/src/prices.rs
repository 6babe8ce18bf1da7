//! What AWS charges for what inspections use: dated data, of which configuration can replace each price.

/// The data; its first line says of when and from where it is.
const DATA: &str = include_str!("../data/aws_prices.csv");

/// Millionths of a dollar in a dollar.
const MICRO: f64 = 1e6;

/// Prices in millionths of a dollar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// A snapshot, for a GiB and month.
    pub snapshot_gib_month: u64,
    /// Copying a snapshot to another region, for a GiB.
    pub transfer_gib: u64,
    /// A `gp3` volume, for a GiB and month.
    pub volume_gib_month: u64,
    /// A scanner, for an hour: more than what small types cost.
    pub scanner_hour: u64,
    /// A thousand blocks of 512 KiB that are got directly.
    pub thousand_blocks: u64,
    /// A thousand requests that list blocks directly.
    pub thousand_listings: u64,
}

/// Prices that are not those of the data, in dollars, by their names in it.
pub type Overrides = std::collections::BTreeMap<String, f64>;

/// A price that cannot be one.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadPrice {
    /// Nothing has this price.
    #[error("there is no price of {0}; the prices are of {names}", names = NAMES.join(", "))]
    Unknown(String),
    /// It is below nothing, or no number.
    #[error("{usd} dollars are no price of {name}")]
    NotOne {
        /// Of what.
        name: String,
        /// What was given.
        usd: f64,
    },
}

/// What has a price.
const NAMES: [&str; 6] = ["snapshot_gib_month", "transfer_gib", "volume_gib_month", "scanner_hour", "thousand_blocks", "thousand_listings"];

impl Default for Prices {
    /// Those of the data.
    fn default() -> Self {
        let mut prices =
            Self { snapshot_gib_month: 0, transfer_gib: 0, volume_gib_month: 0, scanner_hour: 0, thousand_blocks: 0, thousand_listings: 0 };
        for (name, usd) in rows() {
            if let Some(price) = prices.price(name) {
                *price = micro(usd);
            }
        }
        prices
    }
}

impl Prices {
    /// The prices of the data, but for those that are given.
    ///
    /// # Errors
    /// [`BadPrice`].
    pub fn with(overrides: &Overrides) -> Result<Self, BadPrice> {
        let mut prices = Self::default();
        for (name, usd) in overrides {
            let price = prices.price(name).ok_or_else(|| BadPrice::Unknown(name.clone()))?;
            if !usd.is_finite() || *usd < 0.0 {
                return Err(BadPrice::NotOne { name: name.clone(), usd: *usd });
            }
            *price = micro(*usd);
        }
        Ok(prices)
    }

    /// Of when and from where the prices of the data are.
    pub fn source() -> &'static str {
        DATA.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }

    fn price(&mut self, name: &str) -> Option<&mut u64> {
        match name {
            "snapshot_gib_month" => Some(&mut self.snapshot_gib_month),
            "transfer_gib" => Some(&mut self.transfer_gib),
            "volume_gib_month" => Some(&mut self.volume_gib_month),
            "scanner_hour" => Some(&mut self.scanner_hour),
            "thousand_blocks" => Some(&mut self.thousand_blocks),
            "thousand_listings" => Some(&mut self.thousand_listings),
            _ => None,
        }
    }
}

fn rows() -> impl Iterator<Item = (&'static str, f64)> {
    let lines = DATA.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines.filter_map(|line| line.split_once(',')).filter_map(|(name, usd)| Some((name, usd.parse().ok()?)))
}

/// Dollars as millionths, rounded.
fn micro(usd: f64) -> u64 {
    (usd * MICRO).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_is_in_the_data_and_nothing_else_is() {
        assert_eq!(rows().map(|(name, _)| name).collect::<Vec<_>>(), NAMES);
        assert!(rows().all(|(_, usd)| usd > 0.0));
        let prices = Prices::default();
        assert_eq!((prices.snapshot_gib_month, prices.thousand_blocks, prices.thousand_listings), (50_000, 3_000, 600));
        assert!(Prices::source().starts_with("Known as of 20"));
    }

    #[test]
    fn configuration_replaces_prices_one_by_one_and_what_is_none_is_refused() {
        let given = |name: &str, usd: f64| Prices::with(&Overrides::from([(name.to_owned(), usd)]));
        assert_eq!(given("scanner_hour", 0.1).unwrap(), Prices { scanner_hour: 100_000, ..Prices::default() });
        assert_eq!(given("scanner_hour", 0.0).unwrap().scanner_hour, 0);
        assert!(matches!(given("scanner_hour", -1.0), Err(BadPrice::NotOne { .. })));
        assert!(matches!(given("scanner_hour", f64::NAN), Err(BadPrice::NotOne { .. })));
        assert!(given("coffee", 1.0).unwrap_err().to_string().contains("snapshot_gib_month, transfer_gib"));
    }
}
