//! Reads from the table `accounts` when which accounts are not metered.

use arrow::array::{AsArray, RecordBatch};
use cloudigrade_schemas::account::Unmetered;

use crate::error::QueryError;
use crate::fold::Metered;

/// Reads the rows of the table.
pub(super) fn read(rows: &[RecordBatch]) -> Result<Metered, QueryError> {
    let mut accounts = Vec::new();
    for batch in rows {
        let column = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_view_opt());
        let (Some(ids), Some(unmetered)) = (column("account_id"), column("unmetered")) else {
            return Err(QueryError::Storage { message: "the table accounts has unexpected columns".into() });
        };
        for row in 0..batch.num_rows() {
            let account = ids.value(row);
            let unreadable = |error| QueryError::Storage { message: format!("the table accounts: unmetered of {account}: {error}") };
            let spans: Vec<Unmetered> = serde_json::from_str(unmetered.value(row)).map_err(unreadable)?;
            accounts.push((account, spans));
        }
    }
    Ok(Metered::of(accounts))
}
