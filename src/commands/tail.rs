//! `cloudigrade tail`: the records of a topic, as they come.

use std::io::IsTerminal;
use std::thread::sleep;

use cloudigrade_query::printable;
use cloudigrade_schemas::Topic;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::cli::{Tail, TailFormat};
use crate::control::records::{RecordsAnswer, RecordsRequest, ShownRecord, look};
use crate::control::socket;
use crate::control::wire::{Ask, Told};
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::limits::{LOOK_BACK_FACTOR, LOOK_EVERY};
use crate::log::{DataLog, Process, patiently};
use crate::output::{print, tell, terminal_columns};

/// Who has the log.
enum Holder<'a> {
    /// The server of the data folder.
    Server(&'a DataFolder, &'a Handle),
    /// This process, beside others where it is on Kafka.
    Here(DataLog),
}

impl<'a> Holder<'a> {
    fn find(data: &'a DataFolder, runtime: &'a Handle, topic: Topic) -> anyhow::Result<Self> {
        if !data.is_shared() {
            let server = Self::Server(data, runtime);
            if server.look(topic, Vec::new())?.is_some() {
                return Ok(server);
            }
            if !data.has_log() {
                let message = format!("{}: there is no log; name the data folder with --data", data.folder().display());
                return Err(error(Code::NoInput, message));
            }
        }
        Ok(Self::Here(data.open_log(&Process::Command)?))
    }

    /// Records from given offsets on; `None` where the server is gone.
    fn look(&self, topic: Topic, from: Vec<u64>) -> anyhow::Result<Option<RecordsAnswer>> {
        let (data, runtime) = match self {
            Self::Here(log) => return Ok(Some(patiently(|| look(log, topic, from.clone()))?)),
            Self::Server(data, runtime) => (data, runtime),
        };
        let asked = Ask::Records(RecordsRequest { topic: topic.name().to_owned(), from });
        match runtime.block_on(socket::ask(data.folder(), &asked))? {
            None => Ok(None),
            Some(Ok(Told::Records(answer))) => Ok(Some(answer)),
            Some(Ok(_)) => {
                Err(error(Code::Failed, "the server answered something else than was asked; use the same version as the server"))
            }
            Some(Err(refusal)) => Err(error(Code::Failed, refusal.to_string())),
        }
    }
}

/// Prints records until the end, or for ever.
pub fn run(data: &DataFolder, args: &Tail, runtime: &Handle) -> anyhow::Result<Code> {
    let holder = Holder::find(data, runtime, args.topic)?;
    let Some(RecordsAnswer { next: ends, .. }) = holder.look(args.topic, Vec::new())? else { return Ok(Code::Done) };
    let mut next = match args.since {
        Some(_) => vec![0; ends.len()],
        None => {
            let last = last_records(&holder, args, &ends)?;
            print_all(args, &last)?;
            ends
        }
    };
    loop {
        let Some(looked) = holder.look(args.topic, next.clone())? else {
            tell("cloudigrade: the server has stopped");
            return Ok(Code::Done);
        };
        let is_at_end = looked.next == next;
        next = looked.next;
        let wanted: Vec<ShownRecord> = looked.records.into_iter().filter(|record| is_wanted(args, record)).collect();
        print_all(args, &wanted)?;
        if !is_at_end {
            continue;
        }
        if args.no_follow {
            return Ok(Code::Done);
        }
        if matches!(holder, Holder::Here(_)) && !data.is_shared() {
            tell("cloudigrade: no server runs in this data folder, so nothing comes: this was the end");
            return Ok(Code::Done);
        }
        sleep(LOOK_EVERY);
    }
}

/// The last records before the ends, in the order of their times: looked for farther and farther back, until there are as many.
fn last_records(holder: &Holder<'_>, args: &Tail, ends: &[u64]) -> anyhow::Result<Vec<ShownRecord>> {
    let mut back = args.last as u64;
    loop {
        let mut next: Vec<u64> = ends.iter().map(|end| end.saturating_sub(back)).collect();
        let is_all = next.iter().all(|from| *from == 0);
        let mut found = Vec::new();
        while next.iter().zip(ends).any(|(next, end)| next < end) {
            let Some(looked) = holder.look(args.topic, next)? else { break };
            next = looked.next;
            let is_before = |record: &ShownRecord| ends.get(record.partition as usize).is_some_and(|end| record.offset < *end);
            found.extend(looked.records.into_iter().filter(|record| is_before(record) && is_wanted(args, record)));
        }
        if found.len() >= args.last || is_all {
            found.sort_by_key(|record| (record.entered_at, record.partition, record.offset));
            return Ok(found.split_off(found.len().saturating_sub(args.last)));
        }
        back = back.saturating_mul(LOOK_BACK_FACTOR);
    }
}

fn is_wanted(args: &Tail, record: &ShownRecord) -> bool {
    let key = args.key.as_deref().is_none_or(|wanted| match wanted.strip_suffix('*') {
        Some(beginning) => record.key.starts_with(beginning),
        None => record.key == wanted,
    });
    key && args.since.is_none_or(|since| record.entered_at >= since)
}

fn print_all(args: &Tail, records: &[ShownRecord]) -> anyhow::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    print(|out| {
        records.iter().try_for_each(|record| match args.format {
            TailFormat::Json => writeln!(out, "{:#}", to_json(args.topic, record)),
            TailFormat::Table => writeln!(out, "{}", line(record)),
        })
    })
}

/// A record in a line, cut to the width of the terminal where it goes to one.
fn line(record: &ShownRecord) -> String {
    let ShownRecord { partition, offset, entered_at, key, value, cut } = record;
    let cut = if *cut { " ..." } else { "" };
    let line = printable(&format!("{entered_at} {partition:>3}@{offset:<8} {key} {value}{cut}"));
    match std::io::stdout().is_terminal() {
        true => line.chars().take(terminal_columns()).collect(),
        false => line,
    }
}

/// A record with its value as JSON, or as text where it is none.
fn to_json(topic: Topic, record: &ShownRecord) -> Value {
    let value = match record.value.is_empty() {
        true => Value::Null,
        false => serde_json::from_str(&record.value).unwrap_or_else(|_| Value::String(record.value.clone())),
    };
    let ShownRecord { partition, offset, entered_at, key, cut, .. } = record;
    json!({"topic": topic.name(), "partition": partition, "offset": offset, "entered_at": entered_at, "key": key, "value": value, "cut": cut})
}
