//! Claim: users are made and shut out from the command line, whether a server runs or not, and nobody needs to know which.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Data, Outcome, Running, demo, integer, scratch, string};

/// What a server says until it says this; it goes on running.
#[track_caller]
fn serve_until(data: &Data, args: &[&str], said: &str) -> (Running, Vec<String>) {
    let mut serve = data.program(&[&["serve"], args].concat());
    let mut running = Running::start(serve.stdout(Stdio::null()).stderr(Stdio::piped()));
    let mut lines = running.lines_of_stderr();
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        seen.push(line.expect("messages are UTF-8"));
        if seen.last().is_some_and(|line| line.contains(said)) {
            std::thread::spawn(move || lines.count());
            return (running, seen);
        }
    }
    panic!("it should say {said:?}, but says {seen:?}");
}

/// Runs the program with something on its standard input.
#[track_caller]
fn run_with(data: &Data, args: &[&str], input: &str) -> Outcome {
    let mut program = data.program(args);
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    // It may end before it reads: then there is nobody to write to.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    Outcome::of(child.wait_with_output(), args)
}

#[track_caller]
fn users(data: &Data) -> Vec<Value> {
    let told = data.run(&["users", "list", "--format", "json"]).ends_with(0);
    let answer: Value = serde_json::from_str(told.text()).expect("JSON");
    answer["users"].as_array().expect("users").clone()
}

/// Logs of one account.
fn ingested(folder: &Path) -> Data {
    let data = Data::at(folder.join("data"));
    let mut logs: Vec<_> =
        std::fs::read_dir(demo().logs.join("AWSLogs")).expect("accounts").map(|entry| entry.expect("an account").path()).collect();
    logs.sort();
    data.ingest(&logs[0]);
    data
}

#[test]
fn users_are_made_listed_shut_out_and_given_other_passwords_with_a_server_and_without() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.run(&["users", "list"]).ends_with(0).says(&["no users yet", "users create"]);
    assert!(!data.folder().exists(), "looking leaves nothing behind");

    let create = ["users", "create", "ann", "--superuser", "--password-stdin"];
    run_with(&data, &create, "a good password\n").ends_with(0).says(&["ann can log in"]);
    run_with(&data, &create, "a good password\n").ends_with(1).says(&["there is a user named \"ann\""]);
    run_with(&data, &["users", "create", "bob", "--password-stdin"], "short\n").ends_with(1).says(&["at least 10 characters"]);
    run_with(&data, &["users", "create", "b b", "--password-stdin"], "a good password\n").ends_with(1).says(&["letters, digits"]);
    data.run(&["report", "usage", "--start", "2024-03-01", "--end", "2024-03-02"]).ends_with(3).says(&["no data yet"]);

    let (server, _) = serve_until(&data, &["--listen", "127.0.0.1:0"], "listening at");
    let made = data.run(&["users", "create", "bob", "--tenant", "acme", "--generate", "--format", "json"]).ends_with(0);
    let made: Value = serde_json::from_str(made.text()).expect("JSON");
    assert_eq!(string(&made, "password").len(), 24);
    assert_eq!(string(&made["users"][0], "tenant"), "acme");
    data.run(&["users", "disable", "bob"]).ends_with(0).says(&["bob is shut out"]);
    server.signal("TERM");
    assert_eq!(server.code(), Some(0));

    let known = users(&data);
    let shown: Vec<_> = known
        .iter()
        .map(|user| (string(user, "name"), string(user, "tenant"), user["superuser"] == true, user["disabled"] == true))
        .collect();
    assert_eq!(shown, [("ann", "ann", true, false), ("bob", "acme", false, true)]);
    data.run(&["users", "enable", "bob"]).ends_with(0);
    let told = data.run(&["users", "reset", "bob", "--generate"]).ends_with(0).says(&["another password", "shown this once"]);
    assert_eq!(told.text().trim().len(), 24);
    let told = data.run(&["users", "tokens", "bob", "--format", "json"]).ends_with(0);
    assert_eq!(serde_json::from_str::<Value>(told.text()).expect("JSON")["tokens"], Value::Array(Vec::new()));
    let told = data.run(&["users", "revoke", "bob", "--all", "--format", "json"]).ends_with(0);
    assert_eq!(integer(&serde_json::from_str(told.text()).expect("JSON"), "revoked"), 0);
    data.run(&["users", "disable", "nobody"]).ends_with(1).says(&["there is no user \"nobody\"", "users list"]);
    data.run(&["users", "list"]).ends_with(0);
}

#[test]
fn a_server_without_users_says_how_the_first_is_made_and_one_that_has_the_folder_keeps_it() {
    let folder = scratch();
    let data = ingested(folder.path());
    let listen = ["--listen", "127.0.0.1:0"];
    let (server, _) = serve_until(&data, &listen, "`cloudigrade users create NAME --superuser` makes the first");
    data.run(&["serve", "--listen", "127.0.0.1:0"]).ends_with(5).says(&["in use", "--read-only"]);
    data.run(&["ingest", data.folder().to_str().expect("UTF-8")]).ends_with(5).says(&["in use"]);
    // Who only reads needs no log.
    let (reader, _) = serve_until(&data, &["--listen", "127.0.0.1:0", "--read-only"], "listening at");
    for server in [reader, server] {
        server.signal("TERM");
        assert_eq!(server.code(), Some(0));
    }
}

#[test]
fn whoever_listens_beyond_loopback_is_warned() {
    let (_server, said) = serve_until(&demo().data, &["--listen", "0.0.0.0:0", "--read-only"], "not encrypted");
    assert!(said.iter().any(|line| line.contains("whoever reaches this address reads all reports")), "{said:?}");
}

#[test]
fn what_is_said_of_an_image_is_in_the_tables_when_the_command_ends_with_a_server_and_without() {
    let folder = scratch();
    let data = ingested(folder.path());
    let image = "ami-0123456789abcdef0";
    let say = |more: &[&str]| data.run(&[&["images", "override", image, "--product", "rhel"], more].concat());
    say(&["--is", "yes"]).ends_with(1).says(&["was ever seen", "--region"]);
    say(&["--is", "maybe"]).ends_with(2);
    say(&["--is", "no", "--region", "us-east-1", "--reason", "it is CentOS"]).ends_with(0).says(&["for all tenants, rhel is not in it"]);
    let facts = || data.sql("SELECT count(*) AS n FROM image_facts WHERE image_id = 'ami-0123456789abcdef0'");
    assert_eq!(integer(&facts()[0], "n"), 1);
    let (server, _) = serve_until(&data, &["--listen", "127.0.0.1:0"], "listening at");
    say(&["--is", "yes", "--tenant", "acme"]).ends_with(0);
    assert_eq!(integer(&facts()[0], "n"), 2);
    server.signal("TERM");
    assert_eq!(server.code(), Some(0));
}
