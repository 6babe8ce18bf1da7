//! Claim: kill it whenever you like: what it says in the end is what an undisturbed run says.
//!
//! What an undisturbed run says is the demo's, which the program held against the simulation's own truth.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::support::{Data, Running, demo, files_below, integer, program, scratch, text};

/// Pieces that the logs are cut into.
const PIECES: usize = 8;
/// Kills that must have hit a running ingest.
const KILLS: usize = 15;

/// Two places with all logs of the demo, each shuffled into pieces: every record arrives from two different files.
fn shuffled_pieces(below: &Path, random: &mut StdRng) -> Vec<PathBuf> {
    let logs = files_below(&demo().logs);
    let mut pieces = Vec::new();
    for copy in 0..2 {
        let mut shuffled: Vec<_> = logs.iter().enumerate().collect();
        shuffled.shuffle(random);
        for (piece, files) in shuffled.chunks(logs.len().div_ceil(PIECES)).enumerate() {
            let folder = below.join(format!("copy-{copy}/piece-{piece}"));
            fs::create_dir_all(&folder).unwrap();
            for (number, file) in files {
                fs::copy(file, folder.join(format!("{number}.json.gz"))).unwrap();
            }
            pieces.push(folder);
        }
    }
    pieces.shuffle(random);
    pieces
}

#[test]
fn shuffled_pieces_twice_with_kills_in_between_give_the_digest_of_an_undisturbed_run() {
    let folder = scratch();
    let mut random = StdRng::seed_from_u64(20_240_301);
    let data = Data::at(folder.path().join("data"));
    let pieces = folder.path().join("pieces");
    let mut waiting = shuffled_pieces(&pieces, &mut random);
    let mut longest = Duration::from_millis(500);
    let mut kills = 0;
    while kills < KILLS {
        // Done already? Then once more: a piece that is known is over soon, and hit as it opens or closes the log.
        let piece = waiting.last().cloned().unwrap_or_else(|| pieces.join("copy-0/piece-0"));
        let moment = longest.mul_f64(random.random());
        let started = Instant::now();
        let mut ingest = data.start_ingest(&piece);
        if ingest.wait_until(|| started.elapsed() >= moment) && ingest.kill() {
            kills += 1;
            // Killed again and again at the start, it would not get on.
            longest = longest.mul_f64(1.3);
            waiting.shuffle(&mut random);
        } else {
            longest = longest.mul_f64(0.5);
            waiting.pop();
        }
    }
    for piece in waiting {
        data.ingest(&piece);
    }
    assert_eq!(data.digest(), demo().data.digest(), "after {kills} kills");

    let again = data.ingest(&pieces);
    let files = files_below(&demo().logs).len() as i64 * 2;
    assert_eq!((integer(&again, "files"), integer(&again, "files_known")), (0, files), "every file was read once: {again}");
    assert_eq!(data.digest(), demo().data.digest());
}

#[test]
fn a_kill_while_the_tables_are_written_is_healed_by_the_next_ingest() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let logs = &demo().logs;
    let mut kills = 0;
    // The log is complete before the first of these files is written, so each run goes on where the one before was killed.
    for files in [1, 2, 5, 10, 20, 30, 40] {
        let mut ingest = data.start_ingest(logs);
        kills += usize::from(ingest.wait_until(|| files_below(&data.tables()).len() >= files) && ingest.kill());
    }
    assert!(kills >= 3, "most of the kills must hit: {kills} did");
    let healed = data.ingest(logs);
    assert_eq!(integer(&healed, "files"), 0, "the kills came after the log's last commit: {healed}");
    assert_eq!(data.digest(), demo().data.digest());
}

#[test]
fn tables_that_could_not_be_written_are_caught_up_by_the_next_ingest() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let logs = text(&demo().logs);
    let no_folder = folder.path().join("a-file");
    fs::write(&no_folder, "").unwrap();
    let failed = data.run(&["ingest", logs, "--tables", text(&no_folder)]);
    assert_ne!(failed.code(), Some(0), "{}", failed.err);
    assert!(failed.err.contains("a-file"), "the message names the place: {}", failed.err);

    assert_eq!(integer(&data.ingest(&demo().logs), "files"), 0, "the log was complete");
    assert_eq!(data.digest(), demo().data.digest());
}

#[test]
fn tables_are_rebuilt_from_the_log_whether_they_are_there_or_not() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    data.ingest(&demo().logs);
    let digest = data.digest();
    assert_eq!(digest, demo().data.digest());

    data.run(&["tables", "rebuild"]).ends_with(0);
    assert_eq!(data.digest(), digest);

    fs::remove_dir_all(data.tables()).unwrap();
    data.run(&["tables", "digest"]).ends_with(3).says(&["no data yet"]);
    data.run(&["tables", "rebuild"]).ends_with(0);
    assert_eq!(data.digest(), digest);

    fs::remove_dir_all(data.tables().join("instance_intervals")).unwrap();
    data.run(&["tables", "rebuild"]).ends_with(0);
    assert_eq!(data.digest(), digest);
}

#[test]
fn a_repeated_ingest_reads_no_file_again() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let first = data.ingest(&demo().logs);
    let files = files_below(&demo().logs).len() as i64;
    assert_eq!((integer(&first, "files"), integer(&first, "files_known")), (files, 0));

    let second = data.ingest(&demo().logs);
    assert_eq!((integer(&second, "files"), integer(&second, "files_known")), (0, files));
    let nothing_new = ["bytes", "records", "power_records", "power_events", "duplicates", "dead_letters"];
    assert!(nothing_new.iter().all(|name| integer(&second, name) == 0), "{second}");
    assert_eq!(data.digest(), demo().data.digest());
}

#[test]
fn an_interrupt_ends_it_with_130_and_the_next_run_goes_on() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    let mut ingest = data.start_ingest(&demo().logs);
    // Grown well beyond an empty log: some is committed, and much is not.
    assert!(ingest.wait_until(|| data.log_bytes() > Some(8 << 20)), "the logs are longer than that");
    ingest.signal("INT");
    assert_eq!(ingest.code(), Some(130));

    let rest = data.ingest(&demo().logs);
    assert!(integer(&rest, "files") > 0 && integer(&rest, "files_known") > 0, "{rest}");
    assert_eq!(data.digest(), demo().data.digest());
}

#[test]
fn a_second_process_is_refused_while_one_ingests() {
    let folder = scratch();
    let data = Data::at(folder.path().join("data"));
    // An ingest that lasts: its bucket takes the request and never answers.
    let bucket = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", bucket.local_addr().unwrap());
    let mut first = program();
    first.args(["ingest", "s3://bucket/logs", "--endpoint-url", &endpoint, "--region", "us-east-1", "--data", text(data.folder())]);
    let _first = Running::start(first.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret"));
    let (mut request, _) = bucket.accept().unwrap();
    request.read_exact(&mut [0; 4]).unwrap();

    let in_use = format!("{} is in use by another cloudigrade", data.folder().join("log.redb").display());
    data.run(&["ingest", text(&demo().logs)]).ends_with(5).says(&[&in_use, "stop that one first"]);
    data.run(&["tables", "rebuild"]).ends_with(5).says(&[&in_use]);
}
