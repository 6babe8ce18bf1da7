//! The command line of `cloudigrade backfill`.

use clap::Args;

use super::SummaryFormat;

#[derive(Debug, Args)]
#[command(
    after_help = "A file counts by when CloudTrail delivered it, which its name says: up to some 15 minutes after its events. A digest file counts when\nthe hour that it tells of lies within. While a server runs on the same --data, it is asked to read; otherwise the data folder is opened.\n\nExamples:\n  cloudigrade backfill s3://bucket --start 2024-03-01 --end 2024-04-01 --dry-run\n  cloudigrade backfill s3://bucket/prefix --start 2024-03-01 --account 123456789012 --region us-east-1,eu-west-1 --yes"
)]
pub struct Backfill {
    /// s3://bucket or s3://bucket/prefix [default: what the configuration collects from]
    #[arg(value_name = "PLACE")]
    pub places: Vec<String>,
    /// Start, inclusive: 2024-03-01 (midnight, UTC) or 2024-03-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub start: String,
    /// End, exclusive: written like the start [default: up to now]
    #[arg(long, value_name = "TIME")]
    pub end: Option<String>,
    /// Only these AWS accounts, separated by commas
    #[arg(long = "account", value_delimiter = ',', value_name = "ACCOUNT_ID")]
    pub accounts: Vec<String>,
    /// Only these regions, separated by commas
    #[arg(long = "region", value_delimiter = ',', value_name = "REGION")]
    pub regions: Vec<String>,
    /// Say how much there is and what reading it will cost, and read nothing
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do not ask before reading
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub prices: PriceOverrides,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// Prices in US dollars, instead of those that the program knows.
#[derive(Debug, Args)]
pub struct PriceOverrides {
    /// Price of a thousand requests that list, in US dollars
    #[arg(long, value_name = "USD", value_parser = price)]
    pub price_list: Option<f64>,
    /// Price of a thousand requests that read, in US dollars
    #[arg(long, value_name = "USD", value_parser = price)]
    pub price_get: Option<f64>,
    /// Price of a gigabyte that leaves the bucket's region, in US dollars; given, all that is read counts as leaving it
    #[arg(long, value_name = "USD", value_parser = price)]
    pub price_transfer: Option<f64>,
}

fn price(text: &str) -> Result<f64, String> {
    let price: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if price.is_finite() && price >= 0.0 { Ok(price) } else { Err("not a price".to_owned()) }
}
