//! Amounts of money, as people write them.

/// A cent, in millionths of a dollar.
const CENT_MICRO_USD: u64 = 10_000;

/// An estimate in millionths of a dollar as people write money, rounded up to the cent.
pub fn dollars(micro_usd: u64) -> String {
    let cents = micro_usd.div_ceil(CENT_MICRO_USD);
    format!("${}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_rounded_up_to_the_cent() {
        assert_eq!([0, 1, 10_000, 10_001, 217_124, 12_340_000].map(dollars), ["$0.00", "$0.01", "$0.01", "$0.02", "$0.22", "$12.34"]);
    }
}
