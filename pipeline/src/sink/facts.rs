//! The rows of the tables about accounts, gaps and images.

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use cloudigrade_schemas::image::Syspurpose;
use cloudigrade_schemas::image_fact::{Fact, ImageMetadata};
use cloudigrade_schemas::{Account, Gap, Image, ImageFact, Product};
use serde::Serialize;
use serde_json::json;

use super::group::{maybe_boolean, maybe_integer, maybe_text, moment, text};

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
pub(super) fn image_fact_columns(rows: &[&ImageFact]) -> Result<Vec<ArrayRef>, ArrowError> {
    let names: Vec<_> = rows.iter().map(|row| row.fact.name()).collect();
    let values = texts(rows, |row| match &row.fact {
        Fact::Metadata(metadata) => json!(metadata),
        Fact::Unavailable { account_id, over } => json!({"account_id": account_id, "over": over}),
        Fact::Tag { account_id, key, value } => json!({"account_id": account_id, "key": key, "value": value}),
        Fact::Override(said) => json!(said),
        Fact::Findings(findings) => json!(findings),
        Fact::Inspection(progress) => json!(progress),
        Fact::InspectionRequest(request) => json!(request),
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

/// The columns of [`cloudigrade_schemas::table::IMAGES`], in its order.
pub(super) fn image_columns(rows: &[&Image]) -> Result<Vec<ArrayRef>, ArrowError> {
    let evidence = texts(rows, |row| &row.evidence)?;
    let overrides = texts(rows, |row| &row.overrides)?;
    let metadata = texts(rows, |row| &row.metadata)?;
    let untagged = texts(rows, |row| &row.untagged)?;
    let of_ec2 =
        |of: fn(&ImageMetadata) -> Option<&String>| maybe_text(rows, move |row| row.metadata.as_ref().and_then(of).map(String::as_str));
    let purpose =
        |of: fn(&Syspurpose) -> Option<&String>| maybe_text(rows, move |row| row.syspurpose.as_ref().and_then(of).map(String::as_str));
    Ok(vec![
        text(rows, |row| &row.image_id),
        text(rows, |row| &row.region),
        maybe_text(rows, |row| Some(row.status.word())),
        text(rows, |row| &row.status_reason),
        of_ec2(|metadata| metadata.name.as_ref()),
        of_ec2(|metadata| metadata.owner_id.as_ref()),
        of_ec2(|metadata| metadata.platform.as_ref()),
        maybe_text(rows, |row| row.architecture.as_deref()),
        maybe_boolean(rows, |row| row.counts(Product::Rhel, None)),
        maybe_boolean(rows, |row| row.counts(Product::Openshift, None)),
        maybe_boolean(rows, |row| row.rhel_detected),
        maybe_boolean(rows, |row| row.openshift_detected),
        maybe_text(rows, |row| row.rhel_version.as_deref()),
        maybe_text(rows, |row| Some(row.billing_model.word())),
        maybe_boolean(rows, |row| Some(row.is_encrypted)),
        maybe_boolean(rows, |row| Some(row.is_marketplace)),
        maybe_boolean(rows, |row| Some(row.is_cloud_access)),
        purpose(|purpose| purpose.role.as_ref()),
        purpose(|purpose| purpose.service_level_agreement.as_ref()),
        purpose(|purpose| purpose.usage.as_ref()),
        purpose(|purpose| purpose.service_type.as_ref()),
        text(&evidence, |json| json),
        text(&overrides, |json| json),
        maybe_text(&metadata, |json| some_json(json)),
        moment(rows, |row| row.first_seen_at),
        moment(rows, |row| row.changed_at),
        maybe_text(&untagged, |json| some_json(json)),
    ])
}

/// JSON that says something.
fn some_json(json: &str) -> Option<&str> {
    Some(json).filter(|json| *json != "null")
}

fn texts<'r, R, T: Serialize>(rows: &'r [&R], value: impl Fn(&'r R) -> T) -> Result<Vec<String>, ArrowError> {
    let json = |row: &&'r R| serde_json::to_string(&value(row)).map_err(|error| ArrowError::ExternalError(Box::new(error)));
    rows.iter().map(json).collect()
}
