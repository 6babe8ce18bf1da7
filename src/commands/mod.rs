//! The commands, one a file.

mod accounts;
mod backfill;
mod config;
mod dead_letters;
mod demo;
mod doctor;
mod gaps;
mod images;
mod ingest;
mod inspect;
mod inspections;
mod migrate;
mod password;
mod report;
mod run;
mod serve;
mod shell;
mod sql;
mod tables;
mod tail;
mod top;
mod users;
mod verify;

use clap::CommandFactory;
use cloudigrade_query::limits::THREAD_STACK_BYTES;
use tokio::runtime::Handle;

use crate::cli::{Cli, Command};
use crate::config::Config;
use crate::data::DataFolder;
use crate::exit::Code;
use crate::live::roles::Roles;
use crate::output;

/// Runs a command to its end.
pub fn run(cli: Cli, config: &Config) -> anyhow::Result<Code> {
    let runtime = tokio::runtime::Builder::new_multi_thread().thread_stack_size(THREAD_STACK_BYTES).enable_all().build()?;
    let ended = run_within(runtime.handle(), cli, config);
    // Dropping the runtime would wait for what a command has given up, such as a stop that takes longer than it may.
    runtime.shutdown_background();
    ended
}

fn run_within(handle: &Handle, cli: Cli, config: &Config) -> anyhow::Result<Code> {
    let data = DataFolder::of(&cli.global, config)?;
    match cli.command {
        Command::Ingest(args) => ingest::run(&data, &args, handle),
        Command::Backfill(args) => handle.block_on(backfill::run(&data, &args, config)),
        Command::Report(args) => handle.block_on(report::run(&data, args.kind)),
        Command::Sql(args) => sql::run(&data, &args, handle),
        Command::DeadLetters(args) => handle.block_on(dead_letters::run(&data, &args, config)),
        Command::Gaps(args) => handle.block_on(gaps::run(&data, &args)),
        Command::Verify(args) => verify::run(&args, handle),
        Command::Tables(args) => handle.block_on(tables::run(&data, &args)),
        Command::Tail(args) => tail::run(&data, &args, handle),
        Command::Top(args) => top::run(&args, config),
        Command::Migrate(args) => migrate::run(&data, &args, config, handle),
        Command::Demo(args) => demo::run(&args, handle),
        Command::Serve(args) => handle.block_on(serve::run(&data, &args, &Roles::all(), config)),
        Command::Run(args) => handle.block_on(run::run(&data, &args, config)),
        Command::Accounts(args) => handle.block_on(accounts::run(&data, args, config)),
        Command::Users(args) => handle.block_on(users::run(&data, args, config)),
        Command::Images(args) => handle.block_on(images::run(&data, args, config)),
        Command::Inspections(args) => handle.block_on(inspections::run(&data, args, config)),
        Command::Config(args) => config::run(&args, config),
        Command::Doctor(args) => handle.block_on(doctor::run(&data, &args, config)),
        Command::Inspect(args) => inspect::run(args),
        Command::Completions { shell } => {
            // The generator panics where its output fails: memory does not.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "cloudigrade", &mut script);
            output::print(|out| out.write_all(&script))?;
            Ok(Code::Done)
        }
    }
}
