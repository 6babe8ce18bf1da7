//! Claim: the command line is what its help says, and its small commands do what they say.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::support::{Data, Outcome, contents, demo, run, scratch, string, text};

/// The commands, and the options of each beside those of all.
const COMMANDS: [(&str, &[&str]); 25] = [
    ("ingest", &["<PLACE>", "--threads", "--endpoint-url", "--region", "--format"]),
    ("backfill", &["[PLACE]", "--start", "--end", "--account", "--region", "--dry-run", "--yes", "--price-get", "--format"]),
    ("report usage", REPORT),
    ("report concurrency", REPORT),
    ("sql", &["[QUERY]", "--timeout", "--max-rows", "--memory", "--format", "--output"]),
    ("dead-letters list", &["--format", "--output"]),
    ("dead-letters show", &["<ID>", "--format", "--output"]),
    ("tables rebuild", &[]),
    ("tables digest", &["--format", "--output"]),
    ("demo", &["--seed", "--days", "--folder"]),
    ("serve", &["--listen", "--read-only"]),
    ("users create", &["<NAME>", "--tenant", "--email", "--superuser", "--password-stdin", "--generate", "--format"]),
    ("users list", &["--format"]),
    ("users reset", &["<NAME>", "--password-stdin", "--generate"]),
    ("users revoke", &["<NAME>", "[HASH]", "--all"]),
    ("images override", &["<IMAGE>", "--product", "--is", "--reason", "--tenant", "--region"]),
    ("images list", &["--format", "--output"]),
    ("images inspect", &["<IMAGE>", "--yes"]),
    ("inspections list", &["--all", "--format", "--output"]),
    ("inspections abort", &["<ID>"]),
    ("inspect", &["<IMAGE_ID>", "<FILE>", "--local", "--format"]),
    ("migrate", &["--to", "--undo", "--format", "Examples:"]),
    ("tail", &["<TOPIC>", "--key", "--since", "--last", "--no-follow", "--format", "power.events", "Examples:"]),
    ("top", &["--url", "--once", "--every", "Examples:"]),
    ("completions", &["<SHELL>", "bash", "zsh", "fish"]),
];
const REPORT: &[&str] = &["--start", "--end", "--granularity", "--by", "--tz", "--format", "--output"];
const EVERYWHERE: [&str; 4] = ["--data", "--tables", "--verbose", "--help"];

#[test]
fn every_command_explains_itself_and_its_options() {
    for (command, options) in COMMANDS {
        let words: Vec<_> = command.split(' ').collect();
        let help = run(&[&words[..], &["--help"]].concat()).ends_with(0).says_nothing();
        for option in options.iter().chain(&EVERYWHERE) {
            assert!(help.text().contains(option), "{command} --help does not name {option}");
        }
    }
    let help = run(&["--help"]).ends_with(0);
    for (command, _) in COMMANDS {
        let first = command.split(' ').next().expect("a command");
        assert!(help.text().contains(&format!("\n  {first}")), "--help does not name {first}");
    }
    assert!(help.text().contains("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing to read, 4 done with dead letters"));
    assert!(run(&["--version"]).ends_with(0).text().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_disk_at_hand_is_inspected_in_a_process_of_its_own_and_a_missing_one_is_told() {
    let folder = scratch();
    let disk = folder.path().join("disk.raw");
    fs::write(&disk, [&b"LUKS\xba\xbe\0\x02"[..], &[0; 1 << 16]].concat()).expect("the folder can be written to");
    let told = run(&["inspect", "--local", "golden", text(&disk), "--format", "json"]).ends_with(0).says_nothing();
    assert!(told.text().contains("\"inspected\":\"encrypted\""), "{}", told.text());
    let none = folder.path().join("none.raw");
    let told = run(&["inspect", "--local", "golden", text(&none)]).ends_with(3);
    assert!(told.text().contains("Nothing found at path"), "{}", told.text());
    run(&["inspect", "golden", text(&disk)]).ends_with(2).says(&["--local"]);
}

#[test]
fn a_wrong_command_line_is_refused_with_the_nearest_word() {
    run(&["ingset", "."]).ends_with(2).says(&["ingset", "'ingest'"]);
    run(&["report", "usage", "--strat", "2024-03-01"]).ends_with(2).says(&["--strat", "'--start'"]);
    run(&["ingest"]).ends_with(2).says(&["<PLACE>"]);
    run(&[]).ends_with(2).says(&["Usage: cloudigrade"]);
}

#[test]
fn there_are_completions_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).ends_with(0).says_nothing();
        assert!(["dead-letters", "granularity", "ingest"].iter().all(|word| script.text().contains(word)), "{shell}");
    }
}

#[test]
fn sql_reads_a_query_from_standard_input() {
    let query = "SELECT count(*) AS runs\nFROM instance_intervals";
    let args = ["sql", "--format", "json"];
    let mut child =
        demo().data.program(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(query.as_bytes()).expect("it reads");
    let asked = Outcome::of(child.wait_with_output(), &args).ends_with(0).says_nothing();
    assert_eq!(asked.rows(), demo().data.sql(query));
}

#[test]
fn sql_shows_its_tables_and_their_columns() {
    let data = &demo().data;
    let names = |query: &str, column: &str| data.sql(query).iter().map(|row| string(row, column).to_owned()).collect::<Vec<_>>();
    let tables = names("SHOW TABLES", "table_name");
    for table in ["instance_intervals", "power_events", "coverage", "dead_letters", "images", "instance_types"] {
        assert!(tables.iter().any(|known| known == table), "no table {table}: {tables:?}");
    }
    let columns = names("DESCRIBE instance_intervals", "column_name");
    let contract = "account_id region instance_id image_id instance_type vcpu memory_mib started_at ended_at start_event_id end_event_id \
                    start_kind end_kind start_source end_source revision recorded_at end_not_before";
    assert_eq!(columns.join(" "), contract);
}

#[test]
fn a_dead_letter_is_listed_and_shown_with_its_first_bytes() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let file = folder.path().join("prose.json");
    fs::write(&file, "Call me Ishmael. \u{1b}[2JSome years ago").expect("a file");
    data.run(&["ingest", text(&file)]).ends_with(4).says(&["1 file or record could not be used"]);

    let list = data.run(&["dead-letters", "list", "--format", "json"]).ends_with(0).rows();
    assert_eq!(list.len(), 1);
    let id = string(&list[0], "id");
    assert_eq!((string(&list[0], "source"), string(&list[0], "reason")), (text(&file), "not_json"));
    let shown = data.run(&["dead-letters", "show", id, "--format", "json"]).ends_with(0).rows();
    assert_eq!(shown.len(), 1);
    assert!(string(&shown[0], "id").starts_with(id) && string(&shown[0], "first_bytes").starts_with("Call me Ishmael."), "{shown:?}");
    let shown = data.run(&["dead-letters", "show", id]).ends_with(0);
    assert!(
        shown.text().contains("Call me Ishmael.") && !shown.text().contains('\u{1b}'),
        "a terminal must not obey a log: {:?}",
        shown.text()
    );

    data.run(&["dead-letters", "show", "ffffffffffff"]).ends_with(3).says(&["no dead letter", "dead-letters list"]);
    data.run(&["dead-letters", "show", "%"]).ends_with(2).says(&["is no id of a dead letter"]);

    // The same failure is the same letter, and a file that was mended is none any more.
    data.run(&["ingest", text(&file)]);
    assert_eq!(data.run(&["dead-letters", "list", "--format", "json"]).ends_with(0).rows().len(), 1);
}

#[test]
fn without_dead_letters_the_list_is_empty() {
    assert_eq!(demo().data.run(&["dead-letters", "list", "--format", "json"]).ends_with(0).rows(), Vec::<serde_json::Value>::new());
}

#[test]
fn demo_checks_itself_and_names_three_commands_that_work() {
    let told = &demo().told;
    assert!(
        told.contains("Checked: every run, each day's seconds and each peak equal what the simulation knows its log to say."),
        "{told}"
    );
    let next: Vec<_> = told.lines().filter_map(|line| line.trim_start().strip_prefix(env!("CARGO_BIN_EXE_cloudigrade"))).collect();
    assert_eq!(next.len(), 3, "{told}");
    for command in next {
        let mut words: Vec<_> = command.split_whitespace().collect();
        if words[0] == "sql" {
            // A shell on a terminal; here, one query.
            words.push("SELECT 1");
        }
        run(&words).ends_with(0);
    }
}

#[test]
fn demo_leaves_a_folder_alone_that_it_did_not_make() {
    let folder = scratch();
    fs::write(folder.path().join("thesis.txt"), "years of work").expect("a file");
    let refused = run(&["demo", "--folder", text(folder.path())]).ends_with(2);
    refused.says(&[text(folder.path()), "was not made by a demo", "--folder"]);
    assert_eq!(contents(folder.path()).len(), 1);
}

#[test]
fn a_demo_replaces_its_own_folder_and_is_the_same_for_the_same_seed() {
    let folder = scratch();
    let place = folder.path().join("demo");
    let made = |seed: &str| {
        run(&["demo", "--folder", text(&place), "--days", "2", "--seed", seed]).ends_with(0);
        (contents(&place.join("logs")), Data::at(place.join("data")).digest())
    };
    let (first, other, again) = (made("7"), made("8"), made("7"));
    assert!(first == again, "the same seed gives the same files and the same tables");
    assert!(first.0 != other.0 && first.1 != other.1, "another seed is another fleet");
}
