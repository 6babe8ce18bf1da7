//! `cloudigrade doctor`: connects to everything that the configuration names, and says what is wrong and how to mend it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use aws_config::SdkConfig;
use cloudigrade_connectors::doctor::{Finding, Verdict, check_bucket, check_identity, check_queue};
use cloudigrade_connectors::source::listing::{ListOptions, Place};

use crate::aws;
use crate::cli::Doctor;
use crate::config::{Config, SourceKind};
use crate::control::socket;
use crate::control::wire::{Ask, Operation, Request};
use crate::data::DataFolder;
use crate::exit::Code;
use crate::output::Destination;

/// Looks at all of it, and prints a row a check.
pub async fn run(data: &DataFolder, args: &Doctor, config: &Config) -> anyhow::Result<Code> {
    let mut findings = vec![data_folder(data).await];
    findings.push(tables(data).await);
    if config.collects() {
        let sdk = aws::sdk(config).await;
        findings.push(check_identity(&sdk).await);
        if let Some(list) = aws::listing(config) {
            findings.extend(check_places(&sdk, &list).await);
        }
        if let Some(sqs) = config.source.sqs.as_ref().filter(|_| config.source_kind() == Some(SourceKind::Sqs)) {
            findings.extend(check_queue(&sdk, &sqs.queue_url, sqs.region.as_deref(), sqs.max_receive_count).await);
            for bucket in sqs.buckets.iter().filter(|bucket| !bucket.contains(['*', '?', '[', '{'])) {
                findings.push(check_bucket(&sdk, bucket, "", sqs.expected_bucket_owner.as_deref(), aws::endpoint(config).is_some()).await);
            }
        }
    } else {
        let help = "name a queue in [source.sqs] or places in [source.list], or add a section [accounts], for `serve` to collect; `ingest` needs neither";
        findings.push(Finding::warning("configuration", "serve", "only answers, and collects nothing", help));
    }
    write(&findings, args)?;
    let worst = findings.iter().map(|finding| finding.verdict).max();
    Ok(if worst == Some(Verdict::Failure) { Code::Wrong } else { Code::Done })
}

async fn check_places(sdk: &SdkConfig, list: &ListOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    for place in &list.places {
        findings.push(match Place::of(place) {
            Ok(Place::Bucket { bucket, prefix }) => {
                check_bucket(sdk, &bucket, &prefix, list.expected_bucket_owner.as_deref(), list.endpoint.is_some()).await
            }
            Ok(Place::Folder(path)) => match std::fs::read_dir(&path) {
                Ok(_) => Finding::ok("folder", place, "can be listed"),
                Err(error) => Finding::failure("folder", place, error.to_string(), "make it readable, or change source.list.places"),
            },
            Err(error) => Finding::failure("bucket", place, error.to_string(), "mend source.list.places"),
        });
    }
    findings
}

async fn data_folder(data: &DataFolder) -> Finding {
    let folder = data.folder().display().to_string();
    let request = Request { tenant: "default".to_owned(), by: "doctor".to_owned(), operation: Operation::List };
    match socket::ask(data.folder(), &Ask::Accounts(request)).await {
        Ok(Some(Ok(_))) => return Finding::ok("data", folder, "a server has it, and answers"),
        Ok(Some(Err(refusal))) => return Finding::failure("data", folder, refusal.detail, refusal.help),
        Err(error) => return Finding::failure("data", folder, error.to_string(), "look at the server's messages"),
        Ok(None) => {}
    }
    if !data.has_log() {
        return Finding::warning("data", folder, "there is no log yet", "`cloudigrade ingest` or `cloudigrade serve` makes it");
    }
    match data.open_log() {
        Ok(_) => Finding::ok("data", folder, "the log opens"),
        Err(error) => Finding::failure("data", folder, crate::output::message(&error), "see above"),
    }
}

async fn tables(data: &DataFolder) -> Finding {
    let place = data.tables_place();
    match data.open_tables().await {
        Ok(_) => Finding::ok("tables", place, "can be read"),
        Err(error) => {
            Finding::warning("tables", place, crate::output::message(&error), "`cloudigrade tables rebuild` writes them anew from the log")
        }
    }
}

fn write(findings: &[Finding], args: &Doctor) -> anyhow::Result<()> {
    let column = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![column("check"), column("subject"), column("verdict"), column("detail"), column("help")]));
    let text = |of: fn(&Finding) -> &str| Arc::new(StringArray::from_iter_values(findings.iter().map(of))) as ArrayRef;
    let columns = vec![
        text(|finding| finding.check),
        text(|finding| &finding.subject),
        text(|finding| finding.verdict.word()),
        text(|finding| &finding.detail),
        text(|finding| &finding.help),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    Destination::of(&args.output)?.write(&schema, &[batch])
}
