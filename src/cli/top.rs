//! The command line of `top`.

use std::num::NonZeroU16;

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_help = "Reads /metrics and /readyz of a server, of either log: topics with what enters them, tasks with their lags, and how far queue, log and\nevent time are behind. Rates are those between two looks. Where standard output is no terminal it prints once.\n\nExamples:\n  cloudigrade top\n  cloudigrade top --once --url http://10.0.0.5:8080"
)]
pub struct Top {
    /// The server [default: http:// and serve.listen of the configuration]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Print once, with the rates of one interval, and end
    #[arg(long)]
    pub once: bool,
    /// Seconds between two looks; the server measures every 10, so with fewer rates come in steps
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    pub every: NonZeroU16,
}
