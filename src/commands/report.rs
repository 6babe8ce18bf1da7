//! `cloudigrade report`: usage and concurrency.

use cloudigrade_query::{Limits, Period, Report, ReportKind, ReportRequest, run_report};

use crate::cli;
use crate::data::{DataFolder, now};
use crate::exit::Code;
use crate::output::{Destination, tell};

/// Makes a report and writes it.
pub async fn run(data: &DataFolder, kind: cli::ReportKind) -> anyhow::Result<Code> {
    let (kind, args) = match kind {
        cli::ReportKind::Usage(args) => (ReportKind::Usage, args),
        cli::ReportKind::Concurrency(args) => (ReportKind::Concurrency, args),
    };
    let period_at = |now| Period::new(&args.start, &args.end, args.granularity, &args.tz, now);
    let mut period = period_at(now())?;
    let destination = Destination::of(&args.output)?;
    let mut tables = data.open_tables().await?;
    if let Some(as_of) = &args.as_of {
        let (then, moment) = tables.at(as_of, now()).await?;
        (tables, period) = (then, period_at(moment)?);
    }
    let report = run_report(&tables, &ReportRequest::new(kind, period, args.by), &Limits::default()).await?;
    destination.write(&report.schema, &report.batches)?;
    for note in notes(&report) {
        tell(note);
    }
    Ok(Code::Done)
}

/// What a reader of the numbers must know.
pub fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    match report.complete_through {
        Some(moment) if moment.0 < report.period.end() => {
            notes.push(format!("Data reaches to {moment}; what lies after it is provisional."))
        }
        Some(_) => {}
        None => notes.push("How far the data reaches is not known: all rows are provisional.".to_owned()),
    }
    if !report.unknown_types.is_empty() {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "(type never told)".to_owned());
        let types = report.unknown_types.iter().map(|t| format!("{} {:.1} h", name(&t.instance_type), t.runtime_seconds as f64 / 3600.0));
        let types: Vec<_> = types.take(UNKNOWN_TYPES_SHOWN).collect();
        let more = report.unknown_types.len().saturating_sub(UNKNOWN_TYPES_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        notes.push(format!("Sizes not known, so not in vCPU and memory: {}{more}.", types.join(", ")));
    }
    notes.push(format!("The same again later: --as-of {}", report.snapshot));
    notes
}

/// Types of unknown size that a note names; `sys.unknown_instance_types` has them all.
const UNKNOWN_TYPES_SHOWN: usize = 5;
