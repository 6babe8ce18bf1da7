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

/// Heaps that the allocator may keep.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS_MAX: i32 = 2;

fn main() -> std::process::ExitCode {
    if let Some(code) = houndigrade::sandbox::become_child_if_asked() {
        return code;
    }
    bound_heaps();
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
