//! `cloudigrade inspections`: attempts to read the disks of machine images.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use cloudigrade_query::printable;
use cloudigrade_schemas::Inspection;
use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::inspection::InspectionEnd;
use cloudigrade_schemas::money::dollars;

use super::images;
use crate::cli::{InspectionFormat, Inspections};
use crate::config::Config;
use crate::control::reach;
use crate::control::wire::InspectionsOperation;
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::limits::INSPECTIONS_TOLD_MAX;
use crate::output::{Destination, print, tell};

/// Lists attempts, shows one, has one made again or given up: by the server of the data folder or here.
pub async fn run(data: &DataFolder, args: Inspections, config: &Config) -> anyhow::Result<Code> {
    match args {
        Inspections::List { all, output } => {
            let destination = Destination::of(&output)?;
            let found = reach::ask_about_inspections(data, config, InspectionsOperation::List { image: None, all }).await?;
            if found.is_empty() && destination.is_table() {
                let more = if all { "" } else { "; --all shows those that are over" };
                tell(format_args!("no inspections are at work{more}"));
                return Ok(Code::Done);
            }
            if found.len() == INSPECTIONS_TOLD_MAX {
                tell(format_args!("these are the {INSPECTIONS_TOLD_MAX} that changed last; there may be more"));
            }
            let batch = rows(&found)?;
            destination.write(&batch.schema(), &[batch])?;
        }
        Inspections::Show { id, format } => {
            let inspection = find(data, config, &id).await?;
            match format {
                InspectionFormat::Json => {
                    let json = serde_json::to_string(&inspection)?;
                    print(|out| writeln!(out, "{json}"))?;
                }
                InspectionFormat::Table => print(|out| describe(out, &inspection))?,
            }
        }
        Inspections::Retry { id, yes } => {
            let image = find(data, config, &id).await?.image_id;
            return images::inspect(data, image, yes, config).await;
        }
        Inspections::Abort { id } => abort(data, config, &id).await?,
    }
    Ok(Code::Done)
}

/// The attempt whose id begins so.
async fn find(data: &DataFolder, config: &Config, id: &str) -> anyhow::Result<Inspection> {
    let found = reach::ask_about_inspections(data, config, InspectionsOperation::Find { id: id.to_owned() }).await?;
    found.into_iter().next().ok_or_else(|| error(Code::Failed, "the server found an inspection and did not tell it; see its messages"))
}

async fn abort(data: &DataFolder, config: &Config, id: &str) -> anyhow::Result<()> {
    let inspection = find(data, config, id).await?;
    if inspection.end.is_some() {
        return Err(error(
            Code::Failed,
            format!("the inspection {} has come to its end; nothing is left to give up", inspection.command_id),
        ));
    }
    let image = inspection.image_id;
    let wanted = InspectionWanted::Abort;
    reach::ask_about_inspections(data, config, InspectionsOperation::Want { image: image.clone(), wanted }).await?;
    tell(format_args!("{image} is not inspected; what was made for it is removed, while `serve` runs"));
    Ok(())
}

fn rows(found: &[Inspection]) -> anyhow::Result<RecordBatch> {
    let text = |of: &dyn Fn(&Inspection) -> Option<String>| Arc::new(found.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let attempts: Int64Array = found.iter().map(|inspection| Some(i64::from(inspection.attempt))).collect();
    let columns: [(&str, DataType, ArrayRef); 10] = [
        ("id", DataType::Utf8, text(&|inspection| Some(inspection.command_id.to_string()))),
        ("image_id", DataType::Utf8, text(&|inspection| Some(inspection.image_id.clone()))),
        ("region", DataType::Utf8, text(&|inspection| Some(inspection.region.clone()))),
        ("attempt", DataType::Int64, Arc::new(attempts)),
        ("state", DataType::Utf8, text(&|inspection| Some(inspection.state.word().to_owned()))),
        ("since", DataType::Utf8, text(&|inspection| Some(inspection.state_since.to_string()))),
        ("deadline", DataType::Utf8, text(&|inspection| inspection.deadline_at.map(|at| at.to_string()))),
        ("estimated_cost", DataType::Utf8, text(&|inspection| inspection.estimated_cost_micro_usd.map(dollars))),
        ("problem", DataType::Utf8, text(&|inspection| inspection.problem.clone())),
        ("end", DataType::Utf8, text(&|inspection| inspection.end.as_ref().map(end_in_words))),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone(), true)).collect();
    let values = columns.into_iter().map(|(_, _, values)| values).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), values)?)
}

fn end_in_words(end: &InspectionEnd) -> String {
    match end {
        InspectionEnd::Found => "found".to_owned(),
        InspectionEnd::Special { special, detail } => format!("{}: {detail}", special.word()),
        InspectionEnd::Failed { detail } => format!("failed: {detail}"),
        InspectionEnd::Aborted => "aborted".to_owned(),
    }
}

/// One field a line.
fn describe(out: &mut dyn Write, inspection: &Inspection) -> std::io::Result<()> {
    let mut line = |name: &str, value: &str| if value.is_empty() { Ok(()) } else { writeln!(out, "{name:<16}{}", printable(value)) };
    let made = &inspection.made;
    line("inspection", inspection.command_id.as_str())?;
    line("image", &format!("{} in {}", inspection.image_id, inspection.region))?;
    line("attempt", &inspection.attempt.to_string())?;
    line("state", &format!("{} since {}", inspection.state.word(), inspection.state_since))?;
    line("way", inspection.way.word())?;
    line("asked by", inspection.asked_by.as_deref().unwrap_or_default())?;
    line("agreed by", inspection.agreed_by.as_deref().unwrap_or_default())?;
    line("aborted by", inspection.aborted_by.as_deref().unwrap_or_default())?;
    if let Some(reader) = &inspection.reader {
        line("by the role", &format!("{} of the tenant {}", reader.role_arn, reader.tenant))?;
    }
    line("accounts", &inspection.accounts.join(", "))?;
    if let Some(disk) = &inspection.disk {
        let encrypted = if disk.encrypted { ", encrypted" } else { "" };
        line("disk", &format!("{}, {} GiB{encrypted}", disk.snapshot_id, disk.size_gib))?;
        if let Some(source) = &disk.copy_of {
            line("copy of", &format!("{} in {}", source.image_id, source.region))?;
        }
    }
    line("estimated cost", &inspection.estimated_cost_micro_usd.map(dollars).unwrap_or_default())?;
    line("image copy", made.image_copy_id.as_deref().unwrap_or_default())?;
    line("its snapshot", made.image_copy_snapshot_id.as_deref().unwrap_or_default())?;
    line("shared", made.shared_snapshot_id.as_deref().unwrap_or_default())?;
    line("snapshot copy", made.snapshot_copy_id.as_deref().unwrap_or_default())?;
    line("volume", made.volume_id.as_deref().unwrap_or_default())?;
    if let Some(place) = &inspection.scanner {
        line("scanner", &format!("{}, as {}", place.instance_id.as_deref().unwrap_or("not started yet"), place.device))?;
    }
    line("tries", &Some(inspection.tries).filter(|tries| *tries > 0).map(|tries| tries.to_string()).unwrap_or_default())?;
    line("in the way", inspection.problem.as_deref().unwrap_or_default())?;
    line("deadline", &inspection.deadline_at.map(|at| at.to_string()).unwrap_or_default())?;
    line("end", &inspection.end.as_ref().map(end_in_words).unwrap_or_default())
}
