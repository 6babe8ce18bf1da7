//! Claim: what is ingested says what an independent reference says of the same files.
//!
//! The reference is not part of the project: `CLOUDIGRADE_REFERENCE` names its folder, with real trails (`real/`), the reference's
//! answers for them (`expected/real.<start>.<end>.json`), and a generator of trails with known truth (`gen/gen.py`).
//! `CLOUDIGRADE_REFERENCE_SEEDS` says how many generated trails are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Data, files_below, integer, scratch, string};

/// Generated trails that are compared unless more are asked for.
const SEEDS: usize = 3;
/// Differences that a failure shows.
const DIFFERENCES_SHOWN: usize = 10;

/// What each generated trail is like; the first are small.
const TRAILS: [&str; 10] = [
    "--mb 20",
    "--mb 20 --days 30 --accounts 12 --regions 6 --dup 0.27",
    "--mb 20 --days 3 --start 2023-12-30 --records-per-file 8 --late 0.2 --traps 0.2",
    "--mb 40 --org --power-share 0.05 --max-batch 50",
    "--mb 60 --days 1 --accounts 1 --regions 1",
    "--mb 200 --days 30 --accounts 12 --regions 6",
    "--mb 100 --days 5 --start 2024-03-29 --dup 0.5 --level 1",
    "--mb 30 --days 2 --records-per-file 2 --late 0.5",
    "--mb 150 --days 60 --accounts 20 --regions 14",
    "--mb 80 --power-share 0.3 --late 0.5 --dup 0.3",
];

/// The reference's folder; `None` where there is none, which is said, and fails where every check must run.
fn reference() -> Option<PathBuf> {
    let folder = std::env::var_os("CLOUDIGRADE_REFERENCE").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CLOUDIGRADE_REFERENCE is not set: the comparison with the reference must not be left out"
        );
        eprintln!("SKIPPED: CLOUDIGRADE_REFERENCE is not set, so nothing was compared with the independent reference");
    }
    folder.map(PathBuf::from)
}

#[test]
fn real_trails_give_what_the_reference_says_in_every_window() {
    let Some(reference) = reference() else { return };
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let summary = data.ingest(&reference.join("real"));
    let expected = files_below(&reference.join("expected"));
    assert!(!expected.is_empty(), "there are answers to compare with");
    for file in expected {
        assert_same(&file.display().to_string(), &read(&file), &data, &summary);
    }
}

#[test]
fn generated_trails_give_their_own_truth() {
    let Some(reference) = reference() else { return };
    let seeds = std::env::var("CLOUDIGRADE_REFERENCE_SEEDS").map_or(SEEDS, |count| count.parse().expect("a number of seeds"));
    for (seed, options) in (1..=seeds).zip(TRAILS.iter().cycle()) {
        let folder = scratch();
        let trail = folder.path().join("trail");
        let mut generator = Command::new("python3");
        generator.arg(reference.join("gen/gen.py")).arg(&trail).args(["--seed", &seed.to_string()]).args(options.split(' '));
        let made = generator.output().expect("python3 starts");
        assert!(made.status.success(), "seed {seed}: {}", String::from_utf8_lossy(&made.stderr));

        let data = Data::at(folder.path().join("data"));
        let summary = data.ingest(&trail.join("AWSLogs"));
        assert_same(&format!("seed {seed} with {options}"), &read(&trail.join("truth.json")), &data, &summary);
        eprintln!("equal: seed {seed} with {options}: {summary}");
    }
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("a file of the reference")).expect("the reference writes JSON")
}

/// What is compared.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    power_records: i64,
    instances: BTreeMap<Key, Instance>,
    peaks: ByDay,
    peaks_of_accounts: BTreeMap<String, ByDay>,
    seconds: ByDay,
}

/// Account, region, instance.
type Key = (String, String, String);

/// By calendar day in UTC, `2023-07-10`.
type ByDay = BTreeMap<String, i64>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Instance {
    images: BTreeSet<Option<String>>,
    runs: Vec<Run>,
    seconds: ByDay,
}

/// Start, end, instance type.
type Run = (String, Option<String>, Option<String>);

#[track_caller]
fn assert_same(what: &str, expected: &Value, data: &Data, summary: &Value) {
    let (start, end) = (string(&expected["window"], "start"), string(&expected["window"], "end"));
    let measured = measure(data, start, end, integer(summary, "power_records"));
    let differences = differences(&told(expected), &measured);
    let shown = differences.iter().take(DIFFERENCES_SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n  ");
    assert!(differences.is_empty(), "{what}: {} differences\n  {shown}", differences.len());
    assert_functions_agree(data, start, end, &measured);
}

/// The reference's answer.
fn told(reference: &Value) -> Answer {
    let by_day = |days: &Value| -> ByDay {
        let days = days.as_object().expect("days").iter();
        days.map(|(day, count)| (day.clone(), count.as_i64().expect("a count"))).collect()
    };
    let stats = &reference["stats"];
    let power_records = match stats.is_object() {
        true => integer(stats, "power_records") - integer(stats, "duplicate_records"),
        false => integer(&reference["counts"], "distinct_power_records"),
    };
    let instances = reference["instances"].as_array().expect("instances").iter();
    let instances = instances.map(|instance| {
        let runs = instance["runs"].as_array().expect("runs").iter();
        let runs = runs.map(|run| (string(run, "on").to_owned(), optional(run, "off"), optional(run, "instance_type"))).collect();
        let key =
            (string(instance, "account").into(), optional(instance, "region").unwrap_or_default(), string(instance, "instance_id").into());
        let images = [optional(instance, "image_id")].into();
        (key, Instance { images, runs, seconds: by_day(&instance["runtime_seconds_by_day"]) })
    });
    let accounts = reference["max_concurrent_by_account_day"].as_object().expect("accounts").iter();
    Answer {
        power_records,
        instances: instances.collect(),
        peaks: by_day(&reference["max_concurrent_by_day"]),
        peaks_of_accounts: accounts.map(|(account, days)| (account.clone(), by_day(days))).collect(),
        seconds: by_day(&reference["runtime_seconds_total_by_day"]),
    }
}

/// The same from our tables and reports.
fn measure(data: &Data, start: &str, end: &str, power_records: i64) -> Answer {
    let mut answer = Answer { power_records, ..Answer::default() };
    let runs =
        "SELECT account_id, region, instance_id, image_id, instance_type, started_at, ended_at FROM instance_intervals ORDER BY started_at";
    for row in data.sql(runs) {
        let instance = answer.instances.entry(key(&row)).or_default();
        instance.images.insert(optional(&row, "image_id"));
        instance.runs.push((string(&row, "started_at").to_owned(), optional(&row, "ended_at"), optional(&row, "instance_type")));
        answer.peaks_of_accounts.entry(string(&row, "account_id").to_owned()).or_default();
    }
    for row in data.sql(&format!("SELECT * FROM usage('{start}', '{end}', 'day', 'UTC')")) {
        let instance = answer.instances.get_mut(&key(&row)).expect("what is used has runs");
        *instance.seconds.entry(day(&row)).or_default() += integer(&row, "runtime_seconds");
    }
    let window = ["--start", start, "--end", end];
    for row in data.report(&[&["usage"][..], &window].concat()) {
        answer.seconds.insert(day(&row), integer(&row, "runtime_seconds"));
    }
    for row in data.report(&[&["concurrency"][..], &window].concat()) {
        answer.peaks.insert(day(&row), integer(&row, "peak_instances"));
    }
    for row in data.report(&[&["concurrency"][..], &window, &["--by", "account"]].concat()) {
        let account = string(&row, "account_id").to_owned();
        answer.peaks_of_accounts.entry(account).or_default().insert(day(&row), integer(&row, "peak_instances"));
    }
    answer
}

/// The report by instance and the table functions say the same as what was compared.
fn assert_functions_agree(data: &Data, start: &str, end: &str, measured: &Answer) {
    let by_instance = data.report(&["usage", "--start", start, "--end", end, "--by", "account,region,instance"]);
    let reported: BTreeMap<_, _> = by_instance.iter().map(|row| ((key(row), day(row)), integer(row, "runtime_seconds"))).collect();
    let seconds =
        |(key, instance): (&Key, &Instance)| instance.seconds.iter().map(|(day, n)| ((key.clone(), day.clone()), *n)).collect::<Vec<_>>();
    assert_eq!(reported, measured.instances.iter().flat_map(seconds).collect(), "report usage --by account,region,instance");

    let peaks = data.sql(&format!("SELECT bucket_start, peak_instances FROM concurrency('{start}', '{end}', 'day', 'UTC')"));
    assert_eq!(peaks.iter().map(|row| (day(row), integer(row, "peak_instances"))).collect::<ByDay>(), measured.peaks, "concurrency(...)");
}

fn key(row: &Value) -> Key {
    let part = |name| string(row, name).to_owned();
    (part("account_id"), part("region"), part("instance_id"))
}

fn day(row: &Value) -> String {
    string(row, "bucket_start")[.."2023-07-10".len()].to_owned()
}

fn optional(row: &Value, name: &str) -> Option<String> {
    row[name].as_str().map(str::to_owned)
}

fn differences(expected: &Answer, measured: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    if expected.power_records != measured.power_records {
        found.push(format!("distinct power records: {} expected, {} measured", expected.power_records, measured.power_records));
    }
    compare("instance", &expected.instances, &measured.instances, &mut found);
    compare("instances at once on", &expected.peaks, &measured.peaks, &mut found);
    compare("instances at once in account", &expected.peaks_of_accounts, &measured.peaks_of_accounts, &mut found);
    compare("seconds on", &expected.seconds, &measured.seconds, &mut found);
    found
}

fn compare<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    expected: &BTreeMap<K, V>,
    measured: &BTreeMap<K, V>,
    found: &mut Vec<String>,
) {
    for key in expected.keys().chain(measured.keys().filter(|key| !expected.contains_key(key))) {
        let (expected, measured) = (expected.get(key), measured.get(key));
        if expected != measured {
            found.push(format!("{what} {key:?}: expected {expected:?}, measured {measured:?}"));
        }
    }
}
