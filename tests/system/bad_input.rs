//! Claim: bad input ends with a clear message and its exit code, and never spoils what is good.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Data, Outcome, contents, demo, scratch, string, text};

/// One test's folder: its logs, and the data folder beside them.
struct Place {
    folder: TempDir,
    data: Data,
}

impl Place {
    fn new() -> Self {
        let folder = scratch();
        let data = Data::at(folder.path().join("data"));
        fs::create_dir(folder.path().join("logs")).unwrap();
        Self { folder, data }
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.logs().join(name), content).unwrap();
    }

    fn ingest(&self) -> Outcome {
        self.data.run(&["ingest", text(&self.logs())])
    }

    /// Ingests what was written and checks that it ends with 4, that these letters came of it, as (file, record, reason), and
    /// that exactly these instances are metered.
    #[track_caller]
    fn gives(&self, letters: &[(&str, Option<i64>, &str)], instances: &[&str]) {
        let hint = ["could not be used; all others were", "`cloudigrade dead-letters list` says why"];
        self.ingest().ends_with(4).says(&hint);
        let rows = self.data.sql("SELECT DISTINCT instance_id FROM instance_intervals ORDER BY instance_id");
        let metered: Vec<_> = rows.iter().map(|row| string(row, "instance_id")).collect();
        assert_eq!(metered, instances);

        let list = self.data.run(&["dead-letters", "list", "--format", "json"]).ends_with(0).rows();
        let mut found: Vec<_> = list.iter().map(letter).collect();
        found.sort();
        let expected: Vec<_> = letters.iter().map(|(file, record, reason)| ((*file).to_owned(), *record, (*reason).to_owned())).collect();
        assert_eq!(found, expected);
        assert!(list.iter().all(|row| string(row, "detail").len() > 10), "each says why in words: {list:?}");
    }
}

fn letter(row: &Value) -> (String, Option<i64>, String) {
    let file = Path::new(string(row, "source")).file_name().unwrap().to_string_lossy().into_owned();
    (file, row["record_index"].as_i64(), string(row, "reason").to_owned())
}

/// A record that launches an instance of this name.
fn launch(instance: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventTime": "2024-03-05T00:00:00Z", "eventSource": "ec2.amazonaws.com", "eventName": "RunInstances",
        "awsRegion": "us-east-1", "recipientAccountId": "000000000012", "eventID": format!("event of {instance}"),
        "responseElements": {"instancesSet": {"items": [{"instanceId": instance, "instanceType": "m5.large", "imageId": "ami-1"}]}},
    })
}

/// A file of records as CloudTrail writes it.
fn file_of(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

fn good(instance: &str) -> String {
    launch(instance).to_string()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn no_such_path_is_told_and_leaves_no_data_folder_behind() {
    let place = Place::new();
    let missing = place.folder.path().join("no-such-folder");
    place.data.run(&["ingest", text(&missing)]).ends_with(3).says(&[text(&missing), "no such file or folder"]);
    assert!(!place.data.folder().exists());
}

#[test]
fn a_folder_without_logs_is_told() {
    let place = Place::new();
    place.write("readme.txt", "nothing here");
    place.ingest().ends_with(3).says(&["no CloudTrail files", text(&place.logs())]);
    // Nor do empty tables come of it, of which a report would say 0.
    place.data.run(&["tables", "rebuild"]).ends_with(3).says(&["the log is empty"]);
    place.data.run(&["report", "usage", "--start", "2024-03-01", "--end", "2024-03-02"]).ends_with(3).says(&["no data yet"]);
}

#[test]
fn a_report_before_any_ingest_is_told_apart_from_no_usage() {
    let place = Place::new();
    let usage = ["report", "usage", "--start", "2024-03-01", "--end", "2024-03-02"];
    let concurrency = ["report", "concurrency", "--start", "2024-03-01", "--end", "2024-03-02"];
    let asked: [&[&str]; 5] =
        [&usage, &concurrency, &["sql", "SELECT 1"], &["dead-letters", "list"], &["serve", "--listen", "127.0.0.1:0"]];
    for command in asked {
        place.data.run(command).ends_with(3).says(&["no data yet", "cloudigrade ingest"]);
        assert!(!place.data.folder().exists(), "{command:?}");
    }
    place.data.run(&["tables", "rebuild"]).ends_with(3).says(&["no log", "ingest first"]);

    // What is in a folder without logs is not known either.
    place.ingest().ends_with(3);
    place.data.run(&usage).ends_with(3).says(&["no data yet"]);
}

#[test]
fn damaged_files_become_dead_letters_beside_good_ones() {
    let place = Place::new();
    // Many records, so that deflate has more than one symbol to damage.
    let records: Vec<_> = (0..200).map(|n| good(&format!("i-lost-{n}"))).collect();
    let sound = gzip(file_of(&records).as_bytes());
    let mut corrupt = sound.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle..middle + 8].fill(0xff);
    place.write("corrupt.json.gz", corrupt);
    place.write("good.json", file_of(&[good("i-1")]));
    place.write("hello.json", r#"{"hello": [1, 2, 3]}"#);
    place.write("prose.json", "this is no JSON at all");
    place.write("truncated.json.gz", &sound[..sound.len() / 2]);
    let letters = [
        ("corrupt.json.gz", None, "corrupt_gzip"),
        ("hello.json", None, "not_cloud_trail"),
        ("prose.json", None, "not_json"),
        ("truncated.json.gz", None, "truncated_gzip"),
    ];
    place.gives(&letters, &["i-1"]);
}

#[test]
fn a_gzip_bomb_is_not_inflated() {
    let place = Place::new();
    let file = File::create(place.logs().join("bomb.json.gz")).unwrap();
    let mut bomb = GzEncoder::new(BufWriter::new(file), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..300 {
        bomb.write_all(&zeros).unwrap();
    }
    bomb.finish().unwrap().flush().unwrap();
    place.write("good.json", file_of(&[good("i-1")]));
    place.gives(&[("bomb.json.gz", None, "gzip_bomb")], &["i-1"]);
}

#[test]
fn a_record_of_200_mb_is_refused_plain_and_compressed() {
    const RECORD_BYTES: usize = 200 << 20;
    let place = Place::new();
    let mut plain = BufWriter::new(File::create(place.logs().join("huge.json")).unwrap());
    let mut compressed = GzEncoder::new(BufWriter::new(File::create(place.logs().join("huge.json.gz")).unwrap()), Compression::fast());
    // Not so repetitive that it is a bomb.
    let mut padding: Vec<u8> = (0..1_u32 << 16).map(|n| b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26).collect();
    let beginning = format!(r#"{{"Records":[{},{{"padding":""#, good("i-lost"));
    let mut write = |bytes: &[u8]| {
        plain.write_all(bytes).unwrap();
        compressed.write_all(bytes).unwrap();
    };
    write(beginning.as_bytes());
    for n in 0..RECORD_BYTES / padding.len() {
        write(&padding);
        padding.rotate_left(n % 251 + 1);
    }
    write(br#""}]}"#);
    plain.flush().unwrap();
    compressed.finish().unwrap().flush().unwrap();
    place.write("good.json", file_of(&[good("i-1")]));
    place.gives(&[("huge.json", None, "too_large"), ("huge.json.gz", None, "too_large")], &["i-1"]);
}

#[test]
fn a_bad_record_does_not_spoil_its_neighbours() {
    let place = Place::new();
    let no_time = good("i-lost").replace("2024-03-05T00:00:00Z", "yesterday");
    place.write("no-time.json", file_of(&[good("i-1"), no_time, good("i-2")]));
    let broken = good("i-lost").replace(r#""eventVersion":"#, r#""eventVersion" "#);
    place.write("broken.json", file_of(&[good("i-3"), broken, good("i-4")]));

    let invalid = good("i-lost").replace("m5.large", "m5.@@");
    let content = file_of(&[good("i-5"), invalid, good("i-6")]).into_bytes();
    let content: Vec<_> = content.into_iter().map(|byte| if byte == b'@' { 0xff } else { byte }).collect();
    place.write("invalid-utf8.json", &content);
    place.write("invalid-utf8.json.gz", gzip(&content));

    // A record over the limit in a file within it.
    let mut large = launch("i-lost");
    large["padding"] = "x".repeat(20 << 20).into();
    place.write("large.json", file_of(&[good("i-7"), large.to_string(), good("i-8")]));
    let letters = [
        ("broken.json", Some(1), "bad_record"),
        ("invalid-utf8.json", Some(1), "not_utf8"),
        ("invalid-utf8.json.gz", Some(1), "not_utf8"),
        ("large.json", Some(1), "too_large"),
        ("no-time.json", Some(1), "bad_event_time"),
    ];
    place.gives(&letters, &["i-1", "i-2", "i-3", "i-4", "i-5", "i-6", "i-7", "i-8"]);
}

#[test]
fn records_before_the_break_of_a_cut_file_count() {
    let place = Place::new();
    let whole = file_of(&[good("i-1"), good("i-2")]);
    place.write("cut.json", &whole[..whole.len() - 40]);
    place.gives(&[("cut.json", Some(1), "truncated_json")], &["i-1"]);
}

#[test]
fn a_wrong_period_is_refused_with_what_to_write() {
    let data = &demo().data;
    let refused = |args: &[&str], parts: &[&str]| {
        for kind in ["usage", "concurrency"] {
            data.run(&[&["report", kind], args].concat()).ends_with(2).says(parts);
        }
    };
    let march = ["--start", "2024-03-01", "--end", "2024-04-01"];
    refused(&[&march[..], &["--tz", "Europe/Berln"]].concat(), &["no time zone", "did you mean \"Europe/Berlin\""]);
    refused(&["--start", "2024-03-02", "--end", "2024-03-01"], &["which is not after its start"]);
    refused(&["--start", "2024-03-01", "--end", "2024-03-01"], &["which is not after its start"]);
    refused(&["--start", "2024-02-30", "--end", "2024-03-01"], &["\"2024-02-30\" is not a time"]);
    refused(&["--start", "2024-03-01"], &["--end"]);
    refused(
        &[&march[..], &["--by", "colour"]].concat(),
        &["no dimension \"colour\"", "account, region, instance, image, instance_type, rhel, openshift"],
    );
    refused(&[&march[..], &["--granularity", "week"]].concat(), &["no granularity \"week\"", "hour, day and month"]);
    refused(&[&march[..], &["--format", "xlsx"]].concat(), &["xlsx", "table, json, ndjson, csv, parquet, arrow"]);
    refused(&["--start", "2020-01-01", "--end", "2024-01-01", "--granularity", "hour"], &["buckets of one hour", "coarser granularity"]);
}

#[test]
fn a_wrong_query_is_refused_with_what_is_wrong() {
    let data = &demo().data;
    let refused = |query: &str, parts: &[&str]| drop(data.run(&["sql", query]).ends_with(2).says(parts));
    refused("SELEC 1", &["SQL syntax", "SELEC"]);
    refused("SELECT colour FROM instance_intervals", &["No field named colour"]);
    refused("SELECT * FROM nowhere", &["nowhere", "not found"]);
    refused("SELECT * FROM usage('2024-03-01', '2024-04-01', 'week')", &["no granularity \"week\""]);
    refused("SELECT * FROM usage('2024-03-02', '2024-03-01')", &["not after its start"]);
    refused("", &["SQL"]);
}

#[test]
fn statements_that_write_are_refused_and_write_nothing() {
    let data = &demo().data;
    let folder = scratch();
    let before = contents(&data.tables());
    let stolen = folder.path().join("stolen.csv");
    let statements = [
        ("DELETE", "DELETE FROM instance_intervals".to_owned()),
        ("INSERT", "INSERT INTO coverage VALUES ('1', '2', now())".to_owned()),
        ("UPDATE", "UPDATE coverage SET region = 'x'".to_owned()),
        ("CREATE", "CREATE TABLE mine AS SELECT 1".to_owned()),
        ("CREATE", "CREATE EXTERNAL TABLE passwords STORED AS CSV LOCATION '/etc/passwd'".to_owned()),
        ("COPY", format!("COPY instance_intervals TO '{}'", text(&stolen))),
        ("DROP", "DROP TABLE instance_intervals".to_owned()),
        ("SET", "SET datafusion.execution.batch_size = 1".to_owned()),
    ];
    for (word, statement) in &statements {
        data.run(&["sql", statement]).ends_with(2).says(&[&format!("{word} is refused"), "read-only"]);
    }
    assert!(!stolen.exists());
    assert!(contents(&data.tables()) == before, "no file of the tables was changed");
}

#[test]
fn a_query_beyond_its_limits_fails_with_the_limit() {
    let data = &demo().data;
    data.run(&["sql", "SELECT * FROM instance_intervals", "--max-rows", "10", "--format", "json"])
        .ends_with(1)
        .says(&["more than 10 rows"]);
    let endless = "SELECT count(*) FROM power_events a, power_events b, power_events c";
    data.run(&["sql", endless, "--timeout", "1"]).ends_with(1).says(&["took longer than 1s"]);
}

#[test]
fn a_log_of_a_newer_format_is_refused_and_not_changed() {
    let place = Place::new();
    place.write("good.json", file_of(&[good("i-1")]));
    place.data.ingest(&place.logs());
    let log = place.data.folder().join("log.redb");
    let mut bytes = fs::read(&log).unwrap();
    // The table of facts has two keys, written one after the other and followed by their numbers, the format first.
    let keys = b"formatpartitions";
    let found: Vec<_> = (0..bytes.len() - keys.len()).filter(|at| bytes[*at..].starts_with(keys)).collect();
    assert!(!found.is_empty(), "the file says its format");
    for at in found {
        bytes[at + keys.len()] = 99;
    }
    fs::write(&log, &bytes).unwrap();

    place.ingest().ends_with(5).says(&[text(&log), "has format 99", "use the newer cloudigrade", "nothing was changed"]);
    place.data.run(&["tables", "rebuild"]).ends_with(5).says(&["has format 99"]);
    assert!(fs::read(&log).unwrap() == bytes, "not a byte of the log was changed");
}

#[test]
fn a_log_that_is_none_or_cut_short_is_refused() {
    let place = Place::new();
    place.write("good.json", file_of(&[good("i-1")]));
    place.data.ingest(&place.logs());
    let log = place.data.folder().join("log.redb");
    File::options().write(true).open(&log).unwrap().set_len(40_000).unwrap();
    place.ingest().ends_with(5).says(&[text(&log), "is damaged", "restore the data folder from a backup"]);

    fs::write(&log, "my diary").unwrap();
    place.ingest().ends_with(5).says(&[text(&log), "is not a log of cloudigrade", "move it away"]);
    assert_eq!(fs::read(&log).unwrap(), b"my diary");
}

/// A limit on the size of files is met where a full disk is: in the middle of a write. It can be set without any privilege.
#[test]
fn without_room_for_the_log_ingest_stops_and_goes_on_when_there_is_room() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let limited = data.program(&["ingest", text(&demo().logs)]);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" XFSZ; ulimit -f 12000; exec "$0" "$@""#]).arg(limited.get_program()).args(limited.get_args());
    let stopped = Outcome::of(shell.output(), &["ingest", "(limited)"]);
    stopped.ends_with(6).says(&["free space on the disk that holds the data folder", "what was committed before is kept"]);

    data.ingest(&demo().logs);
    assert_eq!(data.digest(), demo().data.digest());
}

#[test]
fn a_full_disk_stops_ingest_and_it_goes_on_when_there_is_room() {
    let namespaces = Command::new("unshare").args(["-rm", "true"]).output();
    if !namespaces.is_ok_and(|tried| tried.status.success()) {
        eprintln!("SKIPPED: no file system can be mounted here, so no disk was full; the limit on file sizes stands for it");
        return;
    }
    let folder = scratch();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let script = r#"
        mount -t tmpfs -o size=12m tmpfs "$2" || exit 99
        "$1" ingest "$3" --data "$2"
        echo "code $?" >&2
        mount -o remount,size=1g "$2" || exit 99
        "$1" ingest "$3" --data "$2" >&2 && exec "$1" tables digest --data "$2" --format json"#;
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_cloudigrade"), text(&disk), text(&demo().logs)]);
    let outcome = Outcome::of(shell.output(), &["ingest", "(full disk)"]).ends_with(0);
    let outcome = outcome.says(&["No space left on device", "free space on the disk", "what was committed before is kept", "code 6"]);
    assert_eq!(outcome.rows(), demo().data.digest());
}

#[test]
fn a_result_that_cannot_be_written_is_told() {
    let data = &demo().data;
    data.run(&["sql", "SELECT 1", "--output", "/no/such/folder/file"]).ends_with(6).says(&["/no/such/folder/file", "cannot be written"]);
    for format in ["table", "json", "ndjson", "csv", "parquet", "arrow"] {
        let full = data.run(&["sql", "SELECT * FROM instance_intervals", "--format", format, "--output", "/dev/full"]);
        full.ends_with(6).says(&["cannot be written", "No space left on device"]);
    }
}
