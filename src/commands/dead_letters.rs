//! `cloudigrade dead-letters`: what could not be used.

use cloudigrade_query::{Limits, Viewer, printable, run_sql};

use crate::cli::{DeadLetters, Settle, SummaryFormat};
use crate::config::Config;
use crate::control::reach;
use crate::control::wire::{LettersAction, LettersRequest};
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::output::{Destination, print, print_records, tell};

/// Lists them, shows one, or settles some.
pub async fn run(data: &DataFolder, args: &DeadLetters, config: &Config) -> anyhow::Result<Code> {
    let (query, output) = match args {
        DeadLetters::Replay(args) => return settle(data, args, LettersAction::Replay, config).await,
        DeadLetters::Drop(args) => return settle(data, args, LettersAction::Drop, config).await,
        DeadLetters::List { resolved, output } => {
            let (more, only) = if *resolved { (", resolution, resolved_at", "") } else { ("", " WHERE resolved_at IS NULL") };
            (
                format!(
                    "SELECT substr(id, 1, 8) AS id, found_at, reason, source, record_index, detail{more} FROM dead_letters{only} ORDER BY found_at DESC, source, record_index"
                ),
                output,
            )
        }
        DeadLetters::Show { id, output } => {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error(Code::Usage, format!("{id:?} is no id of a dead letter; `cloudigrade dead-letters list` shows them")));
            }
            let id = id.to_ascii_lowercase();
            (
                format!(
                    "SELECT id, found_at, reason, source, record_index, detail, resolution, resolved_at, resolved_by, first_bytes FROM dead_letters WHERE id LIKE '{id}%'"
                ),
                output,
            )
        }
    };
    let tables = data.open_tables().await?;
    let rows = run_sql(&tables, &Viewer::Everything, &query, now(), &Limits::default()).await?;
    let schema = rows.schema();
    let batches = rows.collect().await?;
    if let DeadLetters::Show { id, .. } = args
        && batches.iter().all(|batch| batch.num_rows() == 0)
    {
        return Err(error(Code::NoInput, format!("there is no dead letter {id}; `cloudigrade dead-letters list` shows them")));
    }
    let destination = Destination::of(output)?;
    if destination.is_table() && matches!(args, DeadLetters::Show { .. }) {
        print_records(&batches)?;
    } else {
        destination.write(&schema, &batches)?;
    }
    Ok(Code::Done)
}

/// Replays or drops letters, and says what came of it. Those that stay open are what the exit code tells of.
async fn settle(data: &DataFolder, args: &Settle, action: LettersAction, config: &Config) -> anyhow::Result<Code> {
    if let Some(id) = args.ids.iter().find(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit())) {
        return Err(error(Code::Usage, format!("{id:?} is no id of a dead letter; `cloudigrade dead-letters list` shows them")));
    }
    let ids = args.ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    let answer = reach::ask_about_letters(data, config, LettersRequest { ids, by: reach::by(), action }).await?;
    match args.format {
        SummaryFormat::Json => {
            let json = serde_json::to_string(&answer)?;
            print(|out| writeln!(out, "{json}"))?;
        }
        SummaryFormat::Table => {
            let done = if action == LettersAction::Replay { "replayed" } else { "dropped" };
            print(|out| {
                writeln!(out, "{} {done}, {} stay open", answer.resolved.len(), answer.open.len())?;
                answer.open.iter().try_for_each(|(id, why)| writeln!(out, "{id:.8}  {}", printable(why)))
            })?;
        }
    }
    if answer.more {
        tell("cloudigrade: there are more; run the command again");
    }
    Ok(if answer.open.is_empty() { Code::Done } else { Code::DeadLetters })
}
