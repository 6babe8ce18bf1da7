//! The rows of the tables about accounts, gaps and images.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use cloudigrade_schemas::image_fact::Fact;
use cloudigrade_schemas::{Account, Gap, ImageFact};
use serde::Serialize;
use serde_json::json;

use super::group::{maybe_integer, maybe_text, moment, text};

/// The columns of [`cloudigrade_schemas::table::ACCOUNTS`], in its order.
pub(super) fn account_columns(rows: &[&Account]) -> Result<Vec<ArrayRef>, ArrowError> {
    let unmetered = texts(rows, |row| &row.unmetered)?;
    let problems = texts(rows, |row| &row.problems)?;
    Ok(vec![
        text(rows, |row| &row.tenant),
        text(rows, |row| &row.account_id),
        text(rows, |row| &row.arn),
        maybe_text(rows, |row| row.name.as_deref()),
        maybe_text(rows, |row| Some(row.state.word())),
        moment(rows, |row| Some(row.created_at)),
        moment(rows, |row| Some(row.changed_at)),
        moment(rows, |row| row.verified_at),
        text(&unmetered, |json| json),
        text(&problems, |json| json),
        maybe_text(rows, |row| row.trail.as_ref().map(|trail| &*trail.arn)),
        maybe_text(rows, |row| row.trail.as_ref().map(|trail| &*trail.bucket)),
    ])
}

/// The columns of [`cloudigrade_schemas::table::GAPS`], in its order.
pub(super) fn gap_columns(rows: &[&Gap]) -> Result<Vec<ArrayRef>, ArrowError> {
    let ids: Vec<String> = rows.iter().map(|gap| gap.to_key()).collect();
    let objects = texts(rows, |row| json!(row.missing))?;
    Ok(vec![
        text(&ids, |id| id),
        text(rows, |row| &row.account_id),
        text(rows, |row| &row.region),
        maybe_text(rows, |row| Some(row.kind.word())),
        moment(rows, |row| Some(row.from)),
        moment(rows, |row| row.until),
        maybe_integer(rows, |row| i64::try_from(row.missing.len()).ok()),
        text(rows, |row| &row.detail),
        moment(rows, |row| Some(row.found_at)),
        moment(rows, |row| row.closed_at),
        text(&objects, |json| json),
    ])
}

/// The columns of [`cloudigrade_schemas::table::IMAGE_FACTS`], in its order.
pub(super) fn image_columns(rows: &[&ImageFact]) -> Result<Vec<ArrayRef>, ArrowError> {
    let names: Vec<_> = rows.iter().map(|row| row.fact.name()).collect();
    let values = texts(rows, |row| match &row.fact {
        Fact::Metadata(metadata) => json!(metadata),
        Fact::Unavailable { account_id, over } => json!({"account_id": account_id, "over": over}),
        Fact::Tag { key, value } => json!({"key": key, "value": value}),
        Fact::Override(said) => json!(said),
        Fact::Findings(findings) => json!(findings),
    })?;
    Ok(vec![
        text(rows, |row| &row.image_id),
        text(rows, |row| &row.region),
        text(&names, |name| name),
        maybe_text(rows, |row| Some(row.fact.word())),
        moment(rows, |row| Some(row.at)),
        text(rows, |row| &row.source),
        text(&values, |json| json),
    ])
}

fn texts<'r, R, T: Serialize>(rows: &'r [&R], value: impl Fn(&'r R) -> T) -> Result<Vec<String>, ArrowError> {
    let json = |row: &&'r R| serde_json::to_string(&value(row)).map_err(|error| ArrowError::ExternalError(Box::new(error)));
    rows.iter().map(json).collect()
}
