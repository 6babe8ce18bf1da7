//! `cloudigrade doctor`: connects to everything that the configuration names, and says what is wrong and how to mend it.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use aws_config::SdkConfig;
use cloudigrade_connectors::doctor::{Finding, Verdict, check_bucket, check_identity, check_queue};
use cloudigrade_connectors::source::listing::{ListOptions, Place};
use cloudigrade_query::{Limits, Tables, Viewer, printable, run_sql};
use cloudigrade_schemas::account::AccountProblem;

use crate::aws;
use crate::cli::Doctor;
use crate::config::{Config, SourceKind};
use crate::control::socket;
use crate::control::wire::{Ask, Operation, Request};
use crate::data::{DataFolder, now};
use crate::exit::Code;
use crate::log::Process;
use crate::output::{Destination, message, print};

/// Looks at all of it, and prints a row a check.
pub async fn run(data: &DataFolder, args: &Doctor, config: &Config) -> anyhow::Result<Code> {
    let mut findings: Vec<Finding> = data_folder(data).await.into_iter().collect();
    let looked_at = data.clone();
    findings.extend(tokio::task::spawn_blocking(move || looked_at.check_log()).await?);
    findings.extend(tables(data).await);
    findings.extend(table_store(data).await);
    findings.extend(unread_trails(config));
    if config.collects() {
        let sdk = aws::sdk(config).await;
        findings.push(check_identity(&sdk).await);
        if let Some(list) = aws::listing(config) {
            findings.extend(check_places(&sdk, &list).await);
        }
        if let Some(sqs) = config.source.sqs.as_ref().filter(|_| config.source_kind() == Some(SourceKind::Sqs)) {
            findings.extend(check_queue(&sdk, &sqs.queue_url, sqs.region.as_deref(), sqs.max_receive_count).await);
            for bucket in sqs.buckets.iter().filter(|bucket| !is_pattern(bucket)) {
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

/// Whether the folder's own log can be used; and whether a server answers here, wherever its log is.
async fn data_folder(data: &DataFolder) -> Option<Finding> {
    let folder = data.folder().display().to_string();
    let request = Request { tenant: "default".to_owned(), by: "doctor".to_owned(), operation: Operation::List };
    match socket::ask(data.folder(), &Ask::Accounts(request)).await {
        Ok(Some(Ok(_))) => return Some(Finding::ok("data", folder, "a server has it, and answers")),
        Ok(Some(Err(refusal))) => return Some(Finding::failure("data", folder, refusal.detail, refusal.help)),
        Err(error) => return Some(Finding::failure("data", folder, error.to_string(), "look at the server's messages")),
        // Opening it would make it.
        Ok(None) if data.is_shared() => return None,
        Ok(None) => {}
    }
    if !data.has_log() {
        return Some(Finding::warning("data", folder, "there is no log yet", "`cloudigrade ingest` or `cloudigrade serve` makes it"));
    }
    Some(match data.open_log(&Process::Command) {
        Ok(_) => Finding::ok("data", folder, "the log opens"),
        Err(error) => Finding::failure("data", folder, message(&error), "mend that first: whatever reads or writes needs it"),
    })
}

/// Whether the tables can be read, and what they say of the accounts.
async fn tables(data: &DataFolder) -> Vec<Finding> {
    const REBUILD: &str = "`cloudigrade tables rebuild` writes them anew from the log";
    let place = data.tables_place();
    let tables = match data.open_tables().await {
        Ok(tables) => tables,
        Err(error) if Code::of(&error) == Code::NoInput => {
            let help = if data.has_log() { REBUILD } else { "`cloudigrade ingest` or `cloudigrade serve` makes them" };
            return vec![Finding::warning("tables", place, message(&error), help)];
        }
        Err(error) => {
            let help = format!("check the place, its space and the access to it; where they are damaged, {REBUILD}");
            return vec![Finding::failure("tables", place, message(&error), help)];
        }
    };
    let mut findings = vec![Finding::ok("tables", place, "can be read")];
    findings.extend(accounts(&tables).await.unwrap_or_else(|error| {
        let help = format!("if it stays so, {REBUILD}");
        vec![Finding::failure("accounts", "table accounts", message(&error), help)]
    }));
    findings
}

/// Whether the store of the tables makes of two that commit at once one that fails.
async fn table_store(data: &DataFolder) -> Option<Finding> {
    let kept = match data.table_store()? {
        Ok(root) => root.keeps_to_conditions().await,
        Err(error) => Err(error),
    };
    let place = data.tables_place();
    Some(match kept {
        Ok(true) => Finding::ok("tables", place, "the store does not write over what is there, so several processes may keep the tables"),
        Ok(false) => Finding::warning(
            "tables",
            place,
            "the store writes over what is there though it is told not to (If-None-Match): of two processes that keep the tables one may undo what \
             the other wrote",
            "have one process at a time keep them (`serve`, or `run sink`), or use a store with conditional writes, such as Amazon S3",
        ),
        Err(error) => {
            let help = "who only answers needs to read alone; let whoever keeps the tables write there, and delete";
            Finding::warning("tables", place, format!("whether several processes may keep the tables is not known: {error}"), help)
        }
    })
}

/// What is in the way of collecting from accounts, as it was last seen: to look anew is `accounts verify`, which may change trails.
async fn accounts(tables: &Tables) -> anyhow::Result<Vec<Finding>> {
    const QUERY: &str = "SELECT account_id, problems FROM accounts WHERE state IN ('pending', 'enabled') ORDER BY account_id, tenant";
    let mut findings = Vec::new();
    let (mut known, mut in_order) = (0_usize, 0_usize);
    for batch in run_sql(tables, &Viewer::Everything, QUERY, now(), &Limits::default()).await?.collect().await? {
        let options = FormatOptions::default();
        let [ids, problems] = [0, 1].map(|column| ArrayFormatter::try_new(batch.column(column), &options));
        let (ids, problems) = (ids?, problems?);
        for row in 0..batch.num_rows() {
            let told: Vec<AccountProblem> = serde_json::from_str(&problems.value(row).to_string())?;
            known += 1;
            in_order += usize::from(told.is_empty());
            let id = ids.value(row).to_string();
            findings.extend(told.into_iter().map(|AccountProblem { code, detail, help }| {
                Finding::failure(
                    "account",
                    id.clone(),
                    format!("{code}: {detail}"),
                    format!("{help}; then `cloudigrade accounts verify {id}`"),
                )
            }));
        }
    }
    if known > 0 {
        findings
            .insert(0, Finding::ok("accounts", format!("{known} registered"), format!("{in_order} without problems when last looked at")));
    }
    Ok(findings)
}

/// A trail's bucket that no source reads is a mistake that nothing else would tell of.
fn unread_trails(config: &Config) -> Option<Finding> {
    let bucket = config.accounts.as_ref()?.trail_bucket.as_deref()?;
    let read = config.source.sqs.iter().flat_map(|sqs| &sqs.buckets).any(|known| known == bucket || is_pattern(known));
    (!read).then(|| {
        let help = "name it in source.sqs.buckets, with a queue that the bucket notifies, or ingest it from time to time";
        Finding::warning("configuration", bucket, "trails are made that write into accounts.trail_bucket, and no source reads it", help)
    })
}

fn is_pattern(bucket: &str) -> bool {
    bucket.contains(['*', '?', '[', '{'])
}

fn write(findings: &[Finding], args: &Doctor) -> anyhow::Result<()> {
    let destination = Destination::of(&args.output)?;
    if destination.is_table() {
        return print(|out| findings.iter().try_for_each(|finding| describe(out, finding)));
    }
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
    destination.write(&schema, &[batch])
}

/// For people, below each other: the texts are too long for columns.
fn describe(out: &mut dyn Write, finding: &Finding) -> std::io::Result<()> {
    let Finding { check, subject, verdict, detail, help } = finding;
    writeln!(out, "{:<8} {check:<13} {}", verdict.word(), printable(&format!("{subject}: {detail}")))?;
    if help.is_empty() { Ok(()) } else { writeln!(out, "{:<22} {}", "", printable(help)) }
}
