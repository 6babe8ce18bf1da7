//! `cloudigrade dead-letters`: what could not be used.

use std::fmt::Write;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use cloudigrade_query::{Limits, run_sql};

use crate::cli::DeadLetters;
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::output::{Destination, print};

/// Lists them, or shows one.
pub async fn run(data: &DataFolder, args: &DeadLetters) -> anyhow::Result<Code> {
    let (query, output) = match args {
        DeadLetters::List { output } => {
            ("SELECT substr(id, 1, 8) AS id, found_at, reason, source, record_index, detail FROM dead_letters ORDER BY found_at DESC, source, record_index".to_owned(), output)
        }
        DeadLetters::Show { id, output } => {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error(Code::Usage, format!("{id:?} is no id of a dead letter; `cloudigrade dead-letters list` shows them")));
            }
            let id = id.to_ascii_lowercase();
            (format!("SELECT id, found_at, reason, source, record_index, detail, first_bytes FROM dead_letters WHERE id LIKE '{id}%'"), output)
        }
    };
    let tables = data.open_tables().await?;
    let rows = run_sql(&tables, &query, now(), &Limits::default()).await?;
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

/// One field a line: long texts do not fit into a table.
fn print_records(batches: &[RecordBatch]) -> anyhow::Result<()> {
    let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%SZ"));
    let mut lines = String::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            for (column, field) in batch.columns().iter().zip(batch.schema().fields()) {
                writeln!(lines, "{:<13} {}", field.name(), ArrayFormatter::try_new(column, &options)?.value(row))?;
            }
        }
    }
    print(|out| out.write_all(lines.as_bytes()))
}
