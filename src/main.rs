//! cloudigrade: how long, how many and how large the instances were, from CloudTrail logs.
//!
//! This package is the only place that knows all parts: it reads the command line, wires the parts together, and turns errors into
//! messages and exit codes. Data goes to standard output, messages to standard error.

// Where nobody reads standard error, `eprintln!` panics; `output::tell` says the same.
#![warn(clippy::print_stderr)]

mod aws;
mod backend;
mod cli;
mod commands;
mod config;
mod control;
mod data;
mod demo;
mod exit;
mod limits;
mod live;
mod log;
mod output;
mod top;
mod users;

use clap::Parser;
use cloudigrade_pipeline::heap;

fn main() -> std::process::ExitCode {
    if let Some(code) = houndigrade::sandbox::become_child_if_asked() {
        return code;
    }
    heap::bound();
    let cli = cli::Cli::parse();
    match run(cli) {
        Ok(code) => code.into(),
        Err(error) if output::reader_is_gone(&error) => exit::Code::Done.into(),
        Err(error) => {
            output::tell(format_args!("cloudigrade: {}", output::message(&error)));
            exit::Code::of(&error).into()
        }
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<exit::Code> {
    let config = config::load(cli.global.config.as_deref(), variables())?;
    start_log(cli.global.verbose, cli.global.log_format.unwrap_or(config.log.format));
    commands::run(cli, &config)
}

/// The environment, as text: a value that is none becomes one that no setting takes.
fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Log lines go to standard error: warnings, or what `RUST_LOG` asks for.
fn start_log(verbose: u8, format: config::LogFormat) {
    use std::io::IsTerminal;

    use tracing_subscriber::EnvFilter;

    // What libraries say is told by our own errors already.
    let default = match verbose {
        0 => "off,cloudigrade=warn,cloudigrade_pipeline=warn,cloudigrade_connectors=warn,cloudigrade_inspect=warn,cloudigrade_query=warn",
        1 => "warn,cloudigrade=info,cloudigrade_pipeline=info,cloudigrade_connectors=info,cloudigrade_inspect=info,cloudigrade_query=info",
        _ => "debug",
    };
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|asked| !asked.is_empty());
    let filter = asked.map(|asked| EnvFilter::try_new(&asked).map_err(|error| (asked, error))).transpose();
    let filter = filter.unwrap_or_else(|(asked, error)| {
        output::tell(format_args!("cloudigrade: RUST_LOG is {asked:?}, which cannot be used: {error}; it is as if it were not set"));
        None
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    // A line that cannot be written is no reason to end the thread that wrote it, as telling of that on standard error would.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    match format {
        config::LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        config::LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).init(),
    }
}
