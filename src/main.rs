//! cloudigrade: how long, how many and how large the instances were, from CloudTrail logs.
//!
//! This package is the only place that knows all parts: it reads the command line, wires the parts together, and turns errors into
//! messages and exit codes. Data goes to standard output, messages to standard error.

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
mod output;
mod users;

use clap::Parser;

/// Heaps that the allocator may keep.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_MAX: i32 = 2;

fn main() -> std::process::ExitCode {
    if let Some(code) = houndigrade::sandbox::become_child_if_asked() {
        return code;
    }
    bound_heaps();
    let cli = cli::Cli::parse();
    match run(cli) {
        Ok(code) => code.into(),
        Err(error) if output::reader_is_gone(&error) => exit::Code::Done.into(),
        Err(error) => {
            eprintln!("cloudigrade: {}", output::message(&error));
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

/// glibc gives threads heaps of their own, and keeps in each what was freed there: with many threads that come and go, memory grew to a
/// multiple of what was ever in use at once.
fn bound_heaps() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes two integers, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS_MAX);
    }
}

/// Log lines go to standard error: warnings, or what `RUST_LOG` asks for.
fn start_log(verbose: u8, format: config::LogFormat) {
    use std::io::IsTerminal;

    use tracing_subscriber::EnvFilter;

    // What libraries say is told by our own errors already.
    let default = match verbose {
        0 => "off,cloudigrade=warn,cloudigrade_pipeline=warn,cloudigrade_connectors=warn,cloudigrade_query=warn",
        1 => "warn,cloudigrade=info,cloudigrade_pipeline=info,cloudigrade_connectors=info,cloudigrade_query=info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        config::LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        config::LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).init(),
    }
}
