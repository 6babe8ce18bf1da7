//! The SQL shell: queries end with `;`, with history.

use cloudigrade_query::{Limits, Tables};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::runtime::Handle;

use super::sql::answer;
use crate::output::{self, Destination, tell};

/// Queries that the history keeps.
const HISTORY_MAX: usize = 1_000;

const HELP: &str = "\
  SELECT ... ;     run a query; it may take several lines
  \\d               list the tables
  \\d TABLE         list a table's columns
  \\e               example queries
  \\q or Ctrl-D     leave; Ctrl-C gives up the query";

const EXAMPLES: &str = "\
  SELECT * FROM instance_intervals ORDER BY started_at LIMIT 10;
  SELECT account_id, sum(runtime_seconds) / 3600 AS hours FROM usage('2024-03-01', '2024-04-01', 'month', 'UTC') GROUP BY account_id;
  SELECT bucket_start, peak_instances, peak_at FROM concurrency('2024-03-01', '2024-04-01', 'day', 'UTC');
  SELECT * FROM sys.unknown_instance_types;";

/// Runs the shell until its user leaves.
pub fn run(tables: &Tables, destination: &Destination, limits: &Limits, runtime: &Handle) -> anyhow::Result<()> {
    let config = Config::builder().max_history_size(HISTORY_MAX)?.auto_add_history(false).build();
    let mut editor: Editor<(), FileHistory> = Editor::with_config(config)?;
    let history = history_file();
    if let Some(file) = &history {
        // A first session has no history yet.
        let _absent = editor.load_history(file);
    }
    tell(format_args!("cloudigrade {}: SQL over the tables, read-only. \\? for help.", env!("CARGO_PKG_VERSION")));
    let mut query = String::new();
    loop {
        let prompt = if query.is_empty() { "sql> " } else { "...> " };
        match editor.readline(prompt) {
            Ok(line) => query.push_str(&line),
            Err(ReadlineError::Interrupted) => {
                query.clear();
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
        let text = query.trim().to_owned();
        if text.is_empty() {
            query.clear();
            continue;
        }
        if !text.starts_with('\\') && !text.ends_with(';') {
            query.push('\n');
            continue;
        }
        query.clear();
        editor.add_history_entry(&text)?;
        match text.split_whitespace().collect::<Vec<_>>()[..] {
            ["\\q"] => break,
            ["\\?"] => tell(format_args!("{HELP}")),
            ["\\e"] => tell(format_args!("{EXAMPLES}")),
            ["\\d"] => ask(tables, "SHOW TABLES", destination, limits, runtime),
            ["\\d", table] => ask(tables, &format!("DESCRIBE {}", table.trim_end_matches(';')), destination, limits, runtime),
            [command, ..] if command.starts_with('\\') => tell(format_args!("there is no {command}; \\? for help")),
            _ => ask(tables, text.trim_end_matches(';'), destination, limits, runtime),
        }
    }
    if let Some(file) = &history
        && let Err(error) = editor.save_history(file)
    {
        tell(format_args!("cloudigrade: the history could not be saved to {}: {error}", file.display()));
    }
    Ok(())
}

/// A wrong query ends with a message, not the shell.
fn ask(tables: &Tables, query: &str, destination: &Destination, limits: &Limits, runtime: &Handle) {
    let answered = runtime.block_on(async {
        tables.refresh().await?;
        tokio::select! {
            answered = answer(tables, query, destination, limits) => answered,
            _ = tokio::signal::ctrl_c() => {
                tell("cancelled");
                Ok(())
            }
        }
    });
    if let Err(error) = answered {
        tell(format_args!("{}", output::message(&error)));
    }
}

fn history_file() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(std::path::Path::new(&home).join(".cloudigrade_history"))
}
