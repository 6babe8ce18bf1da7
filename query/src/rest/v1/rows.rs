//! Rows of the tables as values.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::paging::Page;
use crate::format::{Format, RowWriter};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::viewer::Viewer;

/// The rows of a question in SQL, as one viewer sees the tables now.
pub(in crate::rest) async fn ask<T: DeserializeOwned>(rest: &Rest, viewer: &Viewer, sql: &str) -> Result<Vec<T>, Failure> {
    let batches = rest.rows(viewer, sql).await?;
    batches.first().map_or_else(|| Ok(Vec::new()), |first| read(&first.schema(), &batches))
}

/// Rows as values: a column a field.
pub(in crate::rest) fn read<T: DeserializeOwned>(schema: &Schema, batches: &[RecordBatch]) -> Result<Vec<T>, Failure> {
    let mut writer = RowWriter::new(Format::Json, schema, Vec::new())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    serde_json::from_slice(&writer.finish()?).map_err(|error| {
        tracing::error!(%error, "rows of the tables are not as they must be");
        Failure::internal()
    })
}

/// A page of the rows of a question, in the given order, and how many rows there are in all.
pub(in crate::rest) async fn page<T: DeserializeOwned>(
    rest: &Rest,
    viewer: &Viewer,
    sql: &str,
    order: &str,
    page: Page,
) -> Result<(Vec<T>, usize), Failure> {
    #[derive(Deserialize)]
    struct Count {
        count: usize,
    }
    let counted: Vec<Count> = ask(rest, viewer, &format!("SELECT count(*) AS count FROM ({sql}) AS counted")).await?;
    let rows = ask(rest, viewer, &format!("SELECT * FROM ({sql}) AS listed ORDER BY {order} {}", page.sql())).await?;
    Ok((rows, counted.first().map_or(0, |counted| counted.count)))
}

/// The one row with an id. Should several share it, none of them is shown.
///
/// # Errors
/// 404 where there is none, 409 where there are several; `name` names them.
pub(in crate::rest) fn only_one<T>(mut found: Vec<T>, name: impl Fn(&T) -> String) -> Result<T, Failure> {
    let names = found.iter().map(&name).collect::<Vec<_>>().join(" and ");
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(Failure::not_found()),
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(Failure::conflict("shared_id", format!("{names} share this id; ask for them by their names"))),
    }
}

/// A text as SQL writes it.
pub(in crate::rest) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A condition that a column is among some texts.
pub(in crate::rest) fn is_among<'a>(column: &str, texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<String> = texts.map(quoted).collect();
    if texts.is_empty() { "false".to_owned() } else { format!("{column} IN ({})", texts.join(", ")) }
}
