//! `cloudigrade run`: some of what `serve` does, in a process of its own.

use crate::cli::Run;
use crate::commands::serve;
use crate::config::Config;
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::live::roles::Roles;

/// Runs the roles until SIGTERM or Ctrl-C.
pub async fn run(data: &DataFolder, args: &Run, config: &Config) -> anyhow::Result<Code> {
    let roles = Roles::of(args.roles.iter().copied());
    if roles != Roles::all() && !data.is_shared() {
        let message = "the log in a data folder is for one process, which does everything: use `cloudigrade serve`, or have the log on Kafka ([kafka])";
        return Err(error(Code::Usage, message));
    }
    serve::run(data, &args.serve, &roles, config).await
}
