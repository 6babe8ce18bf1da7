//! `cloudigrade backfill`: what was delivered to a bucket in a time, after saying what reading it will cost.

use std::io::{BufRead, IsTerminal, Write};
use std::time::{Duration, Instant};

use cloudigrade_connectors::source::batch::{Done, Named};
use cloudigrade_connectors::source::listing::estimate::{Estimate, Prices, Work, estimate};
use cloudigrade_connectors::source::listing::keys::{Only, Window};
use cloudigrade_connectors::source::listing::window::Survey;
use cloudigrade_connectors::source::listing::{ListOptions, Place};
use cloudigrade_schemas::UtcSecond;
use indicatif::{HumanBytes, HumanCount, ProgressBar};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::aws;
use crate::cli::{Backfill, SummaryFormat};
use crate::config::{self, Config};
use crate::control::reach::Holder;
use crate::control::wire::ObjectsAction;
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::output;

/// Batches that were listed and wait to be asked about.
const BATCHES_WAITING: usize = 2;

/// What is there, and what reading it takes.
#[derive(Debug, Serialize)]
struct Plan {
    objects: u64,
    bytes: u64,
    known: u64,
    to_read: u64,
    bytes_to_read: u64,
    regions: Vec<String>,
    work: Work,
    prices: Prices,
    prices_from: &'static str,
    usd: Estimate,
}

/// All that is told at the end.
#[derive(Debug, Serialize)]
struct Told {
    plan: Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Done>,
    interrupted: bool,
}

/// Lists, says what it will cost, asks, and reads.
pub async fn run(data: &DataFolder, args: &Backfill, config: &Config) -> anyhow::Result<Code> {
    let started = Instant::now();
    let options = options(args, config)?;
    let sdk = aws::sdk(config).await;
    let only = Only { accounts: accounts(args)?, regions: args.regions.clone() };
    let survey = Survey::new(&sdk, &options, window(args)?, only)?;
    let holder = Holder::find(data, config, false).await?;
    let (seen, listed) = each_batch(&survey, &holder, ObjectsAction::Look).await?;
    let ours = sdk.region().map(AsRef::as_ref);
    let mut told = Told { plan: plan(&survey, args, ours, &seen, &listed).await?, done: None, interrupted: seen.interrupted };
    if args.format == SummaryFormat::Table {
        output::print(|out| write_plan(out, &told.plan, args.dry_run))?;
    }
    let may_read = !told.interrupted && !args.dry_run && told.plan.to_read > 0;
    let consented = if may_read { consent(args, told.plan.to_read) } else { Ok(false) };
    if !matches!(consented, Ok(true)) {
        holder.close(data, false).await?;
        consented?;
        return end(&told, args, started.elapsed());
    }
    // Where there was no log yet, it is made now.
    let holder = match holder {
        Holder::Nobody => Holder::find(data, config, true).await?,
        held => held,
    };
    let read = each_batch(&survey, &holder, ObjectsAction::Read).await;
    // What was read before a failure is in the log all the same; the tables show it.
    let closed = holder.close(data, true).await;
    let (read, _) = read?;
    closed?;
    told.interrupted = read.interrupted;
    told.done = Some(read.done);
    end(&told, args, started.elapsed())
}

fn options(args: &Backfill, config: &Config) -> anyhow::Result<ListOptions> {
    let configured = aws::objects(config);
    let places = match (args.places.is_empty(), &configured, aws::listing(config)) {
        (false, ..) => args.places.clone(),
        (true, _, Some(list)) => list.places,
        (true, Some(sqs), None) => {
            let plain = |bucket: &&String| !bucket.contains(['*', '?', '[', '{']);
            sqs.buckets.iter().filter(plain).map(|bucket| format!("s3://{bucket}")).collect()
        }
        (true, None, None) => Vec::new(),
    };
    if places.is_empty() {
        return Err(error(Code::Usage, "no place to read from: name one, s3://bucket, or give a configuration with a source"));
    }
    for place in &args.places {
        Place::of(place)?;
    }
    let plain = ListOptions::new(places);
    Ok(match configured {
        Some(reading) => ListOptions {
            include: reading.include,
            expected_bucket_owner: reading.expected_bucket_owner,
            request_payer: reading.request_payer,
            endpoint: reading.endpoint,
            ..plain
        },
        None => ListOptions { endpoint: aws::endpoint(config), ..plain },
    })
}

fn accounts(args: &Backfill) -> anyhow::Result<Vec<String>> {
    let is_account = |account: &str| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    match args.accounts.iter().find(|account| !is_account(account)) {
        Some(account) => Err(error(Code::Usage, format!("--account: {account:?} is no AWS account: write its twelve digits"))),
        None => Ok(args.accounts.clone()),
    }
}

fn window(args: &Backfill) -> anyhow::Result<Window> {
    let start = moment("--start", &args.start)?;
    let end = args.end.as_deref().map(|end| moment("--end", end)).transpose()?;
    if end.is_some_and(|end| end <= start) {
        return Err(error(Code::Usage, "--end is not after --start: the end is exclusive, so this is no time at all"));
    }
    Ok(Window { start: Some(start), end })
}

fn moment(option: &str, text: &str) -> anyhow::Result<UtcSecond> {
    config::moment::parse(text).map_err(|wrong| error(Code::Usage, format!("{option}: {wrong}")))
}

/// What was listed, of all that was asked about.
#[derive(Default)]
struct Listed {
    objects: u64,
    bytes: u64,
}

/// What came of asking about all batches.
#[derive(Default)]
struct Asked {
    done: Done,
    interrupted: bool,
}

/// Lists the window and asks about all of it, a batch at a time. Ctrl-C ends it after the batch that is being asked about.
async fn each_batch(survey: &Survey, holder: &Holder, action: ObjectsAction) -> anyhow::Result<(Asked, Listed)> {
    let (out, mut batches) = mpsc::channel::<Vec<Named>>(BATCHES_WAITING);
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let asking = async move {
        let (mut asked, mut listed) = (Asked::default(), Listed::default());
        let mut stopped = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            let batch = tokio::select! {
                biased;
                _ = &mut stopped => {
                    asked.interrupted = true;
                    break;
                }
                batch = batches.recv() => batch,
            };
            let Some(batch) = batch else { break };
            listed.objects += batch.len() as u64;
            listed.bytes += batch.iter().map(|object| object.size).sum::<u64>();
            let of_batch = batch.len() as u64;
            let done = holder.ask(batch, action).await?;
            let nothing_works = done.failed == of_batch && asked.done.read == 0;
            asked.done.merge(done);
            bar.set_message(match action {
                ObjectsAction::Look => format!("{} objects listed", HumanCount(listed.objects)),
                ObjectsAction::Read => format!("{} objects read, {} known", HumanCount(asked.done.read), HumanCount(asked.done.known)),
            });
            bar.tick();
            // What fails for all of the first objects fails for the others too: each would be charged.
            if nothing_works {
                break;
            }
        }
        bar.finish_and_clear();
        anyhow::Ok((asked, listed))
    };
    let (listing, asked) = tokio::join!(survey.list(out), asking);
    let asked = asked?;
    listing?;
    Ok(asked)
}

async fn plan(survey: &Survey, args: &Backfill, ours: Option<&str>, seen: &Asked, listed: &Listed) -> anyhow::Result<Plan> {
    let regions = survey.regions().await;
    let known = Prices::of(regions.first().map(String::as_str));
    let mut prices = known.ok_or_else(|| error(Code::Failed, "the program has no prices: its data is damaged"))?;
    prices.list_per_1000 = args.prices.price_list.unwrap_or(prices.list_per_1000);
    prices.get_per_1000 = args.prices.price_get.unwrap_or(prices.get_per_1000);
    let leaves = args.prices.price_transfer.is_some() || regions.iter().any(|region| Some(region.as_str()) != ours);
    prices.transfer_per_gb = args.prices.price_transfer.unwrap_or(prices.transfer_per_gb);
    let to_read = listed.objects - seen.done.known.min(listed.objects);
    let bytes_to_read = listed.bytes - seen.done.known_bytes.min(listed.bytes);
    // To read it is to list it once more.
    let work = Work { lists: survey.requests(), gets: to_read, transfer_bytes: if leaves { bytes_to_read } else { 0 } };
    let usd = estimate(&work, &prices);
    let (objects, bytes, known) = (listed.objects, listed.bytes, seen.done.known);
    Ok(Plan { objects, bytes, known, to_read, bytes_to_read, regions, work, prices, prices_from: Prices::source(), usd })
}

/// Asks whoever sits at the terminal.
fn consent(args: &Backfill, objects: u64) -> anyhow::Result<bool> {
    if args.yes {
        return Ok(true);
    }
    if !std::io::stdin().is_terminal() {
        return Err(error(Code::Usage, "nothing was read: add --yes to read without being asked, or --dry-run to look only"));
    }
    write!(std::io::stderr(), "Read {} objects? [y/N] ", HumanCount(objects))?;
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn write_plan(out: &mut dyn Write, plan: &Plan, dry_run: bool) -> std::io::Result<()> {
    let Plan { objects, bytes, known, to_read, bytes_to_read, regions, work, prices, prices_from, usd } = plan;
    let mut line = |name: &str, count: u64, note: String| writeln!(out, "{name:<14}{:>14}  {note}", HumanCount(count).to_string());
    line("objects", *objects, HumanBytes(*bytes).to_string())?;
    line("  known", *known, "read before and unchanged".to_owned())?;
    line("  to read", *to_read, HumanBytes(*bytes_to_read).to_string())?;
    let place = if regions.is_empty() { "a region that is not told".to_owned() } else { regions.join(", ") };
    let transfer = match work.transfer_bytes {
        0 => format!("nothing for transfer within {place}"),
        _ => format!("${:.4} for transfer out of {place}", usd.transfer),
    };
    writeln!(
        out,
        "to read it S3 will charge about ${:.4}: ${:.4} for {} LIST, ${:.4} for {} GET, {transfer}",
        usd.total, usd.lists, work.lists, usd.gets, work.gets
    )?;
    writeln!(out, "  by prices of {}: {prices_from}", prices.region)?;
    if dry_run { writeln!(out, "nothing was read: --dry-run") } else { Ok(()) }
}

fn end(told: &Told, args: &Backfill, took: Duration) -> anyhow::Result<Code> {
    match (args.format, &told.done) {
        (SummaryFormat::Json, _) => {
            let json = serde_json::to_string(told)?;
            output::print(|out| writeln!(out, "[{json}]"))?;
        }
        (SummaryFormat::Table, Some(done)) => output::print(|out| write_done(out, done, took))?,
        (SummaryFormat::Table, None) => {}
    }
    if told.interrupted {
        crate::output::tell("cloudigrade: interrupted; run the same command again to go on");
        return Ok(Code::Interrupted);
    }
    if told.plan.objects == 0 {
        return Err(error(Code::NoInput, "there are no log files of CloudTrail in this time and place"));
    }
    let Some(done) = &told.done else { return Ok(Code::Done) };
    if done.failed > 0 {
        let reasons = done.reasons.iter().map(String::as_str).collect::<Vec<_>>().join("; ");
        return Err(error(
            Code::Storage,
            format!("{} objects could not be read: {reasons}. Mend it and run the command again", done.failed),
        ));
    }
    Ok(if done.dead_letters == 0 { Code::Done } else { Code::DeadLetters })
}

fn write_done(out: &mut dyn Write, done: &Done, took: Duration) -> std::io::Result<()> {
    let mut line = |name: &str, count: u64, note: String| writeln!(out, "{name:<14}{:>14}  {note}", HumanCount(count).to_string());
    line("read", done.read, format!("{} in {:.1} s", HumanBytes(done.read_bytes), took.as_secs_f64()))?;
    line("known", done.known, "read before and unchanged, passed over".to_owned())?;
    line("records", done.records, String::new())?;
    line("dead letters", done.dead_letters, if done.dead_letters > 0 { "see `cloudigrade dead-letters list`" } else { "" }.to_owned())?;
    if done.failed > 0 { line("failed", done.failed, "could not be read".to_owned()) } else { Ok(()) }
}
