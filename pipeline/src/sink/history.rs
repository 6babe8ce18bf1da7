//! What a table keeps of its past, as Delta's own properties say it: every writer then bounds it alike.

use std::collections::HashMap;
use std::time::Duration;

use deltalake_core::DeltaTable;
use deltalake_core::table::config::TableProperty;

use crate::limits::{COMMITS_BETWEEN_CHECKPOINTS, TABLE_HISTORY_MARGIN};

/// The properties, by name, of a table whose replaced files are kept for so long.
pub fn properties(kept: Duration) -> HashMap<String, String> {
    let named_for = interval(kept.saturating_add(TABLE_HISTORY_MARGIN));
    let named = [
        (TableProperty::CheckpointInterval, COMMITS_BETWEEN_CHECKPOINTS.to_string()),
        (TableProperty::DeletedFileRetentionDuration, named_for.clone()),
        (TableProperty::LogRetentionDuration, named_for),
    ];
    named.into_iter().map(|(property, value)| (property.as_ref().to_owned(), value)).collect()
}

/// Those that a loaded table has not, or has otherwise: it was made by an earlier version, or for another time.
pub fn properties_to_set(table: &DeltaTable, kept: Duration) -> deltalake_core::DeltaResult<HashMap<String, String>> {
    let known = table.snapshot()?.metadata().configuration();
    Ok(properties(kept).into_iter().filter(|(name, value)| known.get(name) != Some(value)).collect())
}

/// Whether the commit after this version makes a checkpoint.
pub fn checkpoint_follows(version: u64) -> bool {
    (version + 2).is_multiple_of(COMMITS_BETWEEN_CHECKPOINTS)
}

fn interval(duration: Duration) -> String {
    format!("interval {} seconds", duration.as_secs())
}
