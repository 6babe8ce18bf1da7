//! `cloudigrade gaps`: where data is missing.

use cloudigrade_query::{Limits, Viewer, run_sql};

use crate::cli::Gaps;
use crate::data::{DataFolder, now};
use crate::exit::Code;
use crate::output::Destination;

/// Lists the gaps that are open, or all that ever were. They are read from their table, which a server that holds the log writes.
pub async fn run(data: &DataFolder, args: &Gaps) -> anyhow::Result<Code> {
    let destination = Destination::of(&args.output)?;
    // Names of objects are long; a program wants them, a person wants to know how many there are.
    let objects = if destination.is_table() { "" } else { " objects," };
    let open = if args.all { "" } else { " WHERE closed_at IS NULL" };
    let query = format!(
        "SELECT account_id, region, kind, missing_from, missing_until, missing_objects,{objects} detail, found_at, closed_at FROM sys.gaps{open} ORDER BY account_id, region, missing_from, kind"
    );
    let tables = data.open_tables().await?;
    let rows = run_sql(&tables, &Viewer::Everything, &query, now(), &Limits::default()).await?;
    let schema = rows.schema();
    destination.write(&schema, &rows.collect().await?)?;
    Ok(Code::Done)
}
