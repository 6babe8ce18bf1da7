//! The command line of `tail`.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use cloudigrade_schemas::{Topic, UtcSecond};

use crate::config::{duration, moment};
use crate::data::now;

#[derive(Debug, Args)]
#[command(
    after_help = "Shows the last records, then those that come, until Ctrl-C. Nothing is consumed: tasks do not notice. Of users and tokens the values are\nnot shown. Records of one partition come in their order. A log in the data folder is asked of the server that has it; where none runs,\nthis ends at the end.\n\nExamples:\n  cloudigrade tail power.events\n  cloudigrade tail dead.letters --since 2h --no-follow --format json | jq .value.cause\n  cloudigrade tail instance.intervals --key '123456789012/us-east-1/i-0*' --last 100"
)]
pub struct Tail {
    /// The topic
    #[arg(value_name = "TOPIC", value_parser = PossibleValuesParser::new(Topic::ALL.map(Topic::name)).try_map(|name| topic(&name)))]
    pub topic: Topic,
    /// Only records with this key; with a * at its end, those whose key begins so
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Records that entered the log since: 2024-03-01, 2024-03-01T00:00:00Z, or 15m ago; all of the log is looked through
    #[arg(long, value_name = "TIME|DURATION", value_parser = since, conflicts_with = "last")]
    pub since: Option<UtcSecond>,
    /// How many of the last records to begin with
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub last: usize,
    /// End at the end instead of waiting for more
    #[arg(long)]
    pub no_follow: bool,
    /// How to print records
    #[arg(long, value_enum, default_value_t = TailFormat::Table)]
    pub format: TailFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// One line each, as wide as the terminal
    Table,
    /// One JSON object each, with the whole value
    Json,
}

fn topic(name: &str) -> Result<Topic, String> {
    Topic::ALL.into_iter().find(|topic| topic.name() == name).ok_or_else(|| format!("there is no topic {name}"))
}

/// A moment, or how long ago it was.
fn since(text: &str) -> Result<UtcSecond, String> {
    let ago = |ago: std::time::Duration| UtcSecond(now().0.saturating_sub(i64::try_from(ago.as_secs()).unwrap_or(i64::MAX)));
    moment::parse(text).or_else(|wrong| duration::parse(text).map(ago).map_err(|_| format!("{wrong}, nor a length of time, 15m")))
}
