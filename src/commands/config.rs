//! `cloudigrade config`: whether the configuration can be used, and what is in force.

use crate::cli;
use crate::config::Config;
use crate::exit::Code;
use crate::output::{print, tell};

/// Checks, or shows. That the configuration was read is the check: all that is wrong with it was told instead.
pub fn run(args: &cli::Config, config: &Config) -> anyhow::Result<Code> {
    match args {
        cli::Config::Check => {
            let collects = if config.collects() {
                "`serve` collects"
            } else {
                "`serve` only answers: there is no [source.sqs], no [source.list] and no [accounts]"
            };
            tell(format_args!("the configuration is in order; {collects}"));
        }
        cli::Config::Show => {
            let shown = toml::to_string(config)?;
            print(|out| out.write_all(shown.as_bytes()))?;
        }
    }
    Ok(Code::Done)
}
