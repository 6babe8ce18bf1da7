//! `cloudigrade verify`: log files and digest files against CloudTrail's signatures.

use std::io::Write;
use std::thread;

use cloudigrade_connectors::completeness::verify::{self, FileCounts, FileVerdict, Keys, Verdict, VerifyReport};
use cloudigrade_connectors::limits::VERIFY_THREADS;
use cloudigrade_connectors::source::Location;
use cloudigrade_connectors::source::s3::S3Options;
use cloudigrade_query::printable;
use tokio::runtime::Handle;

use crate::cli::{SummaryFormat, Verify};
use crate::data::now;
use crate::exit::{Code, error};
use crate::output;

/// Files that a person is shown; JSON has more.
const FILES_SHOWN_MAX: usize = 1_000;

/// Verifies a place and prints the report.
pub fn run(args: &Verify, runtime: &Handle) -> anyhow::Result<Code> {
    let place: Location = args.place.parse()?;
    let options = S3Options { endpoint_url: args.endpoint_url.clone(), region: args.region.clone(), runtime: runtime.clone() };
    let keys = args.keys.as_deref().map(Keys::from_file).transpose().map_err(|cause| error(Code::Usage, cause.to_string()))?;
    let archive = verify::open(&place, &options)?;
    // Waiting for a bucket takes more threads than there are processors, hashing takes no more.
    let threads = match place {
        Location::S3 { .. } => VERIFY_THREADS,
        Location::Local(_) => thread::available_parallelism().map_or(1, usize::from).min(VERIFY_THREADS),
    };
    let survey = verify::survey(&*archive, threads)?;
    if survey.digests() == 0 {
        let message = format!(
            "{}: no digest files (*_CloudTrail-Digest_*); they are below AWSLogs/ACCOUNT/CloudTrail-Digest, where the trail has log file validation",
            args.place
        );
        return Err(error(Code::NoInput, message));
    }
    let keys = match keys {
        Some(keys) => keys,
        None => runtime.block_on(verify::list_keys(&survey.regions(), args.endpoint_url.as_deref(), now()))?,
    };
    let report = verify::verify(&*archive, &survey, &keys, threads);
    match args.format {
        SummaryFormat::Table => output::print(|out| write_report(out, &report))?,
        SummaryFormat::Json => {
            let report = serde_json::to_string(&report)?;
            output::print(|out| writeln!(out, "{report}"))?;
        }
    }
    Ok(match report.verdict {
        Verdict::Verified => Code::Done,
        Verdict::NotProven => Code::Failed,
        Verdict::Failed => Code::Wrong,
    })
}

fn write_report(out: &mut dyn Write, report: &VerifyReport) -> std::io::Result<()> {
    let wrong: Vec<_> = report.files.iter().filter(|file| !matches!(file.verdict, FileVerdict::Valid | FileVerdict::NotYetNamed)).collect();
    for file in wrong.iter().take(FILES_SHOWN_MAX) {
        let detail = file.detail.as_ref().map_or_else(String::new, |detail| format!(": {detail}"));
        writeln!(out, "{:<18} {}", file.verdict.word(), printable(&format!("{}{detail}", file.uri)))?;
    }
    if wrong.len() > FILES_SHOWN_MAX {
        writeln!(out, "and {} more: --format json lists them", wrong.len() - FILES_SHOWN_MAX)?;
    }
    for beginning in &report.beginnings {
        let (first, previous) = (printable(&beginning.first), printable(&beginning.previous));
        writeln!(out, "not looked at      before {}: {first} names {previous}, which is not here", beginning.from)?;
    }
    for pause in &report.pauses {
        writeln!(
            out,
            "no digest          from {} until {}: the trail was stopped or changed before {}",
            pause.from,
            pause.until,
            printable(&pause.digest)
        )?;
    }
    if let (Some(from), Some(until)) = (report.from, report.until) {
        writeln!(out, "time               {from} until {until}")?;
    }
    writeln!(out, "digest files       {}", counts(&report.digests))?;
    writeln!(out, "log files          {}", counts(&report.logs))?;
    let verdict = match report.verdict {
        Verdict::Verified => "verified: all of it is what CloudTrail wrote",
        Verdict::NotProven => "not proven: nothing contradicts it, but not all of it could be verified",
        Verdict::Failed => "failed: something was changed, removed or moved",
    };
    writeln!(out, "{verdict}")
}

fn counts(counts: &FileCounts) -> String {
    let counts: Vec<String> = counts.iter().map(|(verdict, count)| format!("{count} {}", verdict.word())).collect();
    if counts.is_empty() { "none".to_owned() } else { counts.join(", ") }
}
