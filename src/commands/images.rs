//! `cloudigrade images`: what is in machine images, by the evidence and as somebody says it is.

use std::io::{BufRead, IsTerminal, Write};

use cloudigrade_inspect::estimate::estimate;
use cloudigrade_query::{Limits, Viewer, run_sql};
use cloudigrade_schemas::Inspection;
use cloudigrade_schemas::image::is_image_id;
use cloudigrade_schemas::image_fact::InspectionWanted;
use cloudigrade_schemas::money::dollars;

use crate::aws;
use crate::cli::{Answer, Images, Output};
use crate::config::{Config, InspectionMode};
use crate::control::reach;
use crate::control::wire::{InspectionsOperation, OverrideRequest};
use crate::data::{DataFolder, now};
use crate::exit::{Code, error};
use crate::live::inspect::settings;
use crate::output::{Destination, print_records, tell};

/// The size of a disk that is not known yet, for an estimate, in GiB.
const USUAL_DISK_GIB: u32 = 10;

/// Lists images, shows one, has one inspected, or says what is in one: by the server of the data folder or here.
pub async fn run(data: &DataFolder, args: Images, config: &Config) -> anyhow::Result<Code> {
    match args {
        Images::List { output } => list(data, &output).await,
        Images::Show { image, output } => show(data, &image, &output).await,
        Images::Inspect { image, yes } => inspect(data, image, yes, config).await,
        said @ Images::Override { .. } => say(data, said, config).await,
    }
}

async fn list(data: &DataFolder, output: &Output) -> anyhow::Result<Code> {
    let destination = Destination::of(output)?;
    // Reasons are long: a program wants them, a person sees them with one image.
    let long = if destination.is_table() { "" } else { ", status_reason" };
    let query = format!(
        "SELECT image_id, region, status, rhel, openshift, rhel_version, billing_model, architecture, name, first_seen_at{long} FROM images ORDER BY image_id, region"
    );
    let rows = run_sql(&data.open_tables().await?, &Viewer::Everything, &query, now(), &Limits::default()).await?;
    let schema = rows.schema();
    destination.write(&schema, &rows.collect().await?)?;
    Ok(Code::Done)
}

async fn show(data: &DataFolder, image: &str, output: &Output) -> anyhow::Result<Code> {
    let image = image_id(image)?;
    let destination = Destination::of(output)?;
    let query = format!("SELECT * FROM images WHERE image_id = '{image}'");
    let rows = run_sql(&data.open_tables().await?, &Viewer::Everything, &query, now(), &Limits::default()).await?;
    let schema = rows.schema();
    let batches = rows.collect().await?;
    if batches.iter().all(|batch| batch.num_rows() == 0) {
        return Err(error(Code::NoInput, format!("there is no image {image}; `cloudigrade images list` shows those there are")));
    }
    if destination.is_table() {
        print_records(&batches)?
    } else {
        destination.write(&schema, &batches)?
    }
    Ok(Code::Done)
}

/// What somebody gave as an image's id, which then can stand in SQL.
fn image_id(text: &str) -> anyhow::Result<&str> {
    let wrong = || error(Code::Usage, format!("{text:?} is no id of an image; write it as AWS does: ami-0123456789abcdef0"));
    is_image_id(text).then_some(text).ok_or_else(wrong)
}

/// Says what it is expected to cost, asks, and has it inspected.
pub(super) async fn inspect(data: &DataFolder, image: String, yes: bool, config: &Config) -> anyhow::Result<Code> {
    let image = image_id(&image)?.to_owned();
    if config.inspection.mode == InspectionMode::Off {
        return Err(error(Code::Usage, "no disks are read: set inspection.mode in the configuration (--config); it costs money"));
    }
    if !data.has_log() {
        return Err(error(Code::NoInput, "there is no log to write it to: ingest first, or name the data folder with --data"));
    }
    let known = reach::ask_about_inspections(data, config, InspectionsOperation::List { image: Some(image.clone()), all: true }).await?;
    tell(format_args!("{}", cost(&image, &known, config).await));
    if !yes && !consents()? {
        tell("cloudigrade: nothing was done");
        return Ok(Code::Wrong);
    }
    let wanted = InspectionsOperation::Want { image: image.clone(), wanted: InspectionWanted::Inspect };
    reach::ask_about_inspections(data, config, wanted).await?;
    tell(format_args!("{image} is inspected, while `serve` runs; `cloudigrade inspections list` says how far it is"));
    Ok(Code::Done)
}

/// What an inspection is expected to cost, in words.
async fn cost(image: &str, known: &[Inspection], config: &Config) -> String {
    let newest = known.iter().max_by_key(|inspection| inspection.attempt);
    let by_disk = newest.and_then(|newest| Some((newest.disk.as_ref()?.size_gib, newest.region.clone())));
    let own_region = aws::sdk(config).await.region().map(ToString::to_string).unwrap_or_default();
    let scanners = config.inspection.scanner.as_ref().and_then(|scanner| scanner.region.clone()).unwrap_or(own_region);
    let settings = settings(&config.inspection, scanners);
    match by_disk {
        Some((gib, region)) => {
            let estimated = estimate(gib, region != settings.region, &settings);
            format!("to inspect {image} ({gib} GiB) AWS will charge about {}", dollars(estimated))
        }
        None => {
            let estimated = estimate(USUAL_DISK_GIB, false, &settings);
            format!(
                "to inspect {image} AWS will charge about {} for each {USUAL_DISK_GIB} GiB of its disk, and more where it is in another region than {}",
                dollars(estimated),
                settings.region
            )
        }
    }
}

/// Asks on the terminal; without one nobody consents.
fn consents() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(error(Code::Usage, "nobody can be asked here: add --yes to agree to the cost"));
    }
    write!(std::io::stderr(), "go on? [y/N] ")?;
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

/// Says what is in an image.
async fn say(data: &DataFolder, args: Images, config: &Config) -> anyhow::Result<Code> {
    let Images::Override { image, product, is, reason, tenant, region } = args else { return Ok(Code::Failed) };
    if !data.has_log() {
        return Err(error(Code::NoInput, "there is no log to write it to: ingest first, or name the data folder with --data"));
    }
    let is = match is {
        Answer::Yes => Some(true),
        Answer::No => Some(false),
        Answer::None => None,
    };
    let whose = tenant.as_ref().map_or_else(|| "all tenants".to_owned(), |tenant| format!("the tenant {tenant}"));
    let said = match is {
        Some(true) => "is in it",
        Some(false) => "is not in it",
        None => "is left to the evidence",
    };
    let done = format!("{image}: for {whose}, {} {said}", product.word());
    reach::say_of_image(data, config, OverrideRequest { tenant, by: reach::by(), image_id: image, region, product, is, reason }).await?;
    tell(format_args!("{done}"));
    Ok(Code::Done)
}
