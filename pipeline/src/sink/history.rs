//! What a table keeps of its past, as Delta's own properties say it: every writer then bounds it alike.

use std::collections::HashMap;
use std::time::Duration;

use deltalake_core::DeltaTable;
use deltalake_core::table::config::TableProperty;

use crate::limits::{COMMITS_BETWEEN_CHECKPOINTS, TABLE_HISTORY_KEPT};

/// The properties, by name.
pub fn properties() -> HashMap<String, String> {
    let named = [
        (TableProperty::CheckpointInterval, COMMITS_BETWEEN_CHECKPOINTS.to_string()),
        (TableProperty::DeletedFileRetentionDuration, interval(TABLE_HISTORY_KEPT)),
        (TableProperty::LogRetentionDuration, interval(TABLE_HISTORY_KEPT)),
    ];
    named.into_iter().map(|(property, value)| (property.as_ref().to_owned(), value)).collect()
}

/// Those that a loaded table has not, or has otherwise: an earlier version made it.
pub fn properties_to_set(table: &DeltaTable) -> deltalake_core::DeltaResult<HashMap<String, String>> {
    let known = table.snapshot()?.metadata().configuration();
    Ok(properties().into_iter().filter(|(name, value)| known.get(name) != Some(value)).collect())
}

/// Whether the commit after this version makes a checkpoint.
pub fn checkpoint_follows(version: u64) -> bool {
    (version + 2).is_multiple_of(COMMITS_BETWEEN_CHECKPOINTS)
}

fn interval(duration: Duration) -> String {
    format!("interval {} seconds", duration.as_secs())
}
