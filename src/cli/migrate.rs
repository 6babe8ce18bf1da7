//! The command line of `migrate`.

use clap::{Args, ValueEnum};

use super::SummaryFormat;

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct MigrateTo {
    /// Which log to move to
    #[arg(long, value_enum, value_name = "LOG")]
    pub to: Option<MigrateTarget>,
    /// Go on with the log in the data folder after it was moved; what was written in Kafka since is not in it
    #[arg(long)]
    pub undo: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Moves the log of the data folder to the cluster of [kafka], where nothing may be yet: all records, the state and how far each task has\nread. What arrived is read back and its digest compared; then the tables are written anew from there, and the file in the data folder is\nmarked as moved, so that nothing starts with it by mistake. Stop the server first. It may be interrupted: run it again, and it goes on.\nTables stay where --tables says.\n\nExamples:\n  cloudigrade migrate --to kafka --config cloudigrade.toml\n  cloudigrade migrate --undo"
)]
pub struct Migrate {
    #[command(flatten)]
    pub target: MigrateTo,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// A log that one in a data folder can be moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MigrateTarget {
    /// The cluster that the configuration names
    Kafka,
}
