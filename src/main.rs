//! cloudigrade: how long, how many and how large the instances were, from CloudTrail logs.
//!
//! This package is the only place that knows all parts: it reads the command line, wires the parts together, and turns errors into
//! messages and exit codes. Data goes to standard output, messages to standard error.

mod cli;
mod commands;
mod data;
mod demo;
mod exit;
mod output;

use clap::Parser;

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::parse();
    start_log(cli.global.verbose);
    match commands::run(cli) {
        Ok(code) => code.into(),
        Err(error) if output::reader_is_gone(&error) => exit::Code::Done.into(),
        Err(error) => {
            eprintln!("cloudigrade: {}", output::message(&error));
            exit::Code::of(&error).into()
        }
    }
}

/// Log lines go to standard error: warnings, or what `RUST_LOG` asks for.
fn start_log(verbose: u8) {
    use std::io::IsTerminal;

    use tracing_subscriber::EnvFilter;

    // What libraries say is told by our own errors already.
    let default = match verbose {
        0 => "off,cloudigrade=warn,cloudigrade_pipeline=warn,cloudigrade_connectors=warn,cloudigrade_query=warn",
        1 => "warn,cloudigrade=info,cloudigrade_pipeline=info,cloudigrade_connectors=info,cloudigrade_query=info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal()).init();
}
