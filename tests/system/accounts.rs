//! Claim: what is asked about accounts, dead letters and completeness is answered or refused clearly, without AWS and without a server.

use std::fs;

use crate::support::{Data, files_below, program, run, scratch, string, text};

const ROLE: &str = "arn:aws:iam::012345678901:role/metering";

#[test]
fn asking_about_what_cannot_be_there_leaves_no_data_folder_behind() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.run(&["accounts", "list"]).ends_with(0).says(&["no accounts yet"]);
    for command in ["show", "rename", "enable", "disable", "pause", "resume", "delete", "verify"] {
        data.run(&["accounts", command, "production"]).ends_with(1).says(&["no account \"production\"", "accounts list"]);
    }
    data.run(&["accounts", "change-role", "production", ROLE]).ends_with(1).says(&["no account \"production\""]);
    data.run(&["accounts", "register", "nonsense"]).ends_with(1).says(&["\"nonsense\" is no ARN", "as IAM shows it"]);
    data.run(&["dead-letters", "replay", "--all"]).ends_with(0);
    data.run(&["dead-letters", "drop", "abcd"]).ends_with(3).says(&["no open dead letter abcd", "dead-letters list"]);
    data.run(&["gaps"]).ends_with(3).says(&["no data yet"]);
    data.run(&["doctor"]).ends_with(0);
    assert!(!data.folder().exists());
}

#[test]
fn what_is_no_tenant_and_no_account_id_is_refused_at_once() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.run(&["accounts", "list", "--tenant", "a/b"]).ends_with(2).says(&["a/b", "at most 64 letters, digits and ._@+-"]);
    data.run(&["accounts", "policy", "--principal", "12"]).ends_with(2).says(&["12", "twelve digits"]);
    assert!(!data.folder().exists());
}

#[test]
fn an_account_is_registered_renamed_paused_and_deleted_without_a_server() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.run(&["accounts", "register", ROLE, "--name", "production"]).ends_with(0).says(&["no [accounts] section"]);
    data.run(&["accounts", "register", ROLE]).ends_with(1).says(&["is registered already"]);
    data.run(&["accounts", "rename", "production", "staging"]).ends_with(0);
    data.run(&["accounts", "show", "production"]).ends_with(1);
    let shown = data.run(&["accounts", "show", "staging"]).ends_with(0);
    assert!(shown.text().contains("012345678901") && shown.text().contains("pending"), "{}", shown.text());
    data.run(&["accounts", "list", "--tenant", "others"]).ends_with(0).says(&["no accounts yet"]);
    data.run(&["accounts", "delete", "012345678901"]).ends_with(0);
    data.run(&["accounts", "list"]).ends_with(0).says(&["no accounts yet"]);
}

#[test]
fn a_policy_names_the_partition_of_the_region() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    for (region, partition) in [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")] {
        let mut policy = data.program(&["accounts", "policy", "--principal", "012345678901"]);
        let printed = policy.env("CLOUDIGRADE__AWS__REGION", region).output().expect("it starts");
        let printed = String::from_utf8(printed.stdout).expect("text");
        assert!(printed.contains(&format!("arn:{partition}:iam::012345678901:root")), "{region}: {printed}");
    }
}

#[test]
fn a_data_folder_with_a_path_too_long_for_a_socket_is_no_server_that_is_silent() {
    let folder = scratch();
    let data = Data::at(folder.path().join("x".repeat(120)));
    data.run(&["accounts", "register", ROLE]).ends_with(0);
    let listed = data.run(&["accounts", "list", "--format", "json"]).ends_with(0);
    assert!(listed.text().contains(ROLE), "{}", listed.text());
}

#[test]
fn verifying_a_place_that_cannot_be_read_is_told_apart_from_not_proven() {
    let folder = scratch();
    run(&["verify", text(&folder.path().join("nowhere"))]).ends_with(3).says(&["no such file or folder"]);
    run(&["verify", text(folder.path())]).ends_with(3).says(&["no digest files"]);
    run(&["verify", text(folder.path()), "--keys", "nowhere"]).ends_with(2).says(&["nowhere: cannot be read"]);
}

#[test]
fn the_doctor_tells_tables_that_are_missing_from_tables_that_cannot_be_read() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let verdicts = |data: &Data, code| {
        let rows = data.run(&["doctor", "--format", "json"]).ends_with(code).rows();
        let told = |row: &serde_json::Value| ["check", "verdict", "help"].map(|name| string(row, name).to_owned());
        rows.iter().map(told).find(|[check, ..]| check == "tables").expect("a finding about the tables")
    };
    let [_, verdict, help] = verdicts(&data, 0);
    assert!(verdict == "warning" && help.contains("`cloudigrade ingest`"), "{help}");
    data.run(&["accounts", "register", ROLE]).ends_with(0);
    assert_eq!(verdicts(&data, 0)[1], "ok");
    for file in files_below(&data.tables()).iter().filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        fs::write(file, "{").expect("a file of Delta's log");
    }
    let [_, verdict, help] = verdicts(&data, 7);
    assert!(verdict == "failure" && help.contains("tables rebuild"), "{help}");
}

#[test]
fn a_trail_bucket_that_no_source_reads_is_warned_of() {
    let folder = scratch();
    let mut doctor = Data::at(folder.path().join("data")).program(&["doctor", "--format", "json"]);
    // Nothing answers there: what is asked of AWS fails at once.
    doctor.env("CLOUDIGRADE__ACCOUNTS__TRAIL_BUCKET", "trails").env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    doctor.env("AWS_ACCESS_KEY_ID", "x").env("AWS_SECRET_ACCESS_KEY", "x").env("AWS_REGION", "us-east-1");
    let told = String::from_utf8(doctor.output().expect("it starts").stdout).expect("text");
    assert!(told.contains("\"trails\"") && told.contains("source.sqs.buckets"), "{told}");
}

#[test]
fn a_filter_of_log_lines_that_cannot_be_used_is_told() {
    let told = program().args(["config", "check"]).env("RUST_LOG", "cloudigrade=loud").output().expect("it starts");
    let told = String::from_utf8(told.stderr).expect("text");
    assert!(told.contains("RUST_LOG is \"cloudigrade=loud\"") && told.contains("in order"), "{told}");
}

#[test]
fn an_answer_is_given_though_the_tables_cannot_be_written() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.run(&["accounts", "register", ROLE]).ends_with(0);
    let no_folder = folder.path().join("file");
    fs::write(&no_folder, "").expect("a file");
    let shown =
        data.run(&["accounts", "show", "012345678901", "--tables", text(&no_folder)]).ends_with(0).says(&["the tables do not show"]);
    assert!(shown.text().contains(ROLE));
}
