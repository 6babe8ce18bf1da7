//! `cloudigrade sql`: one query, or a shell.

use std::io::{IsTerminal, Read, Write};
use std::time::Duration;

use cloudigrade_query::{Limits, Tables, Viewer, run_sql};
use futures::StreamExt;
use tokio::runtime::Handle;

use super::shell;
use crate::cli::Sql;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::output::Destination;

/// Runs the query that is given, or that standard input holds, or a shell.
pub fn run(data: &DataFolder, args: &Sql, runtime: &Handle) -> anyhow::Result<Code> {
    let destination = Destination::of(&args.output)?;
    let limits =
        Limits { rows: args.max_rows, time: Duration::from_secs(args.timeout), memory_bytes: args.memory << 20, ..Limits::default() };
    let tables = runtime.block_on(data.open_tables())?;
    match &args.query {
        Some(query) => runtime.block_on(answer(&tables, query, &destination, &limits))?,
        None if std::io::stdin().is_terminal() => shell::run(&tables, &destination, &limits, runtime)?,
        None => {
            let mut query = String::new();
            std::io::stdin().take(QUERY_BYTES_MAX + 1).read_to_string(&mut query)?;
            if query.len() as u64 > QUERY_BYTES_MAX {
                return Err(error(Code::Usage, format!("the query is longer than {QUERY_BYTES_MAX} bytes")));
            }
            runtime.block_on(answer(&tables, &query, &destination, &limits))?;
        }
    }
    Ok(Code::Done)
}

/// Bytes of a query on standard input.
const QUERY_BYTES_MAX: u64 = 1 << 20;

/// Runs one query and writes its rows as they come.
pub async fn answer(tables: &Tables, query: &str, destination: &Destination, limits: &Limits) -> anyhow::Result<()> {
    let mut rows = run_sql(tables, &Viewer::Everything, query, now(), limits).await?;
    let mut writer = destination.begin(&rows.schema())?;
    while let Some(batch) = rows.next().await {
        writer.write(&batch?)?;
    }
    writer.finish()?.flush()?;
    Ok(())
}
