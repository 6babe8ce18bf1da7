//! What the claims share: running the program, data folders, and one demo for all of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a process that was asked to end may take before the test says that it hangs.
const END_WITHIN: Duration = Duration::from_secs(60);
/// How often a process is looked at while a test waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The program, in an environment that says nothing.
pub fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cloudigrade"));
    for name in ["CLOUDIGRADE_DATA", "CLOUDIGRADE_TABLES", "RUST_LOG", "RUST_BACKTRACE", "NO_COLOR", "AWS_ENDPOINT_URL"] {
        program.env_remove(name);
    }
    program.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    program
}

/// Runs the program to its end.
#[track_caller]
pub fn run(args: &[&str]) -> Outcome {
    Outcome::of(program().args(args).output(), args)
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("the folders of tests are UTF-8")
}

/// A folder of this test alone.
pub fn scratch() -> TempDir {
    TempDir::with_prefix("cloudigrade-").expect("the system's folder for temporary files can be written to")
}

/// How a run of the program ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    what: String,
    status: ExitStatus,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    #[track_caller]
    pub fn of(output: std::io::Result<Output>, args: &[&str]) -> Self {
        let output = output.expect("the program starts");
        let err = String::from_utf8(output.stderr).expect("messages are UTF-8");
        Self { what: args.join(" "), status: output.status, out: output.stdout, err }
    }

    /// The exit code; `None` where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        let (what, out, err) = (&self.what, String::from_utf8_lossy(&self.out), &self.err);
        let signal = self.status.signal();
        assert_eq!(self.code(), Some(code), "cloudigrade {what}\nsignal {signal:?}\nstdout: {out:.2000}\nstderr: {err:.2000}");
        self
    }

    /// Checks that its messages contain all of these.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.err.contains(part), "cloudigrade {}\nshould say {part:?}, but says: {}", self.what, self.err);
        }
        self
    }

    /// Checks that it was done without a word on standard error.
    #[track_caller]
    pub fn says_nothing(self) -> Self {
        assert_eq!(self.err, "", "cloudigrade {}", self.what);
        self
    }

    /// Standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("what is written is UTF-8")
    }

    /// Standard output as one JSON array.
    #[track_caller]
    pub fn rows(&self) -> Vec<Value> {
        serde_json::from_slice(&self.out).unwrap_or_else(|error| panic!("cloudigrade {}: {error} in {:.2000}", self.what, self.text()))
    }
}

/// A data folder.
#[derive(Clone, Debug)]
pub struct Data {
    folder: PathBuf,
}

impl Data {
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn tables(&self) -> PathBuf {
        self.folder.join("tables")
    }

    /// The size of the log so far; none while there is no file.
    pub fn log_bytes(&self) -> Option<u64> {
        fs::metadata(self.folder.join("log.redb")).ok().map(|file| file.len())
    }

    /// The program on this folder, not started yet.
    pub fn program(&self, args: &[&str]) -> Command {
        let mut program = program();
        program.args(args).arg("--data").arg(&self.folder);
        program
    }

    /// Runs the program on this folder.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.program(args).output(), args)
    }

    /// Ingests a place and gives the summary. Nothing of it may be a dead letter.
    #[track_caller]
    pub fn ingest(&self, place: &Path) -> Value {
        self.run(&["ingest", text(place), "--format", "json"]).ends_with(0).rows().remove(0)
    }

    /// Starts ingesting, and leaves it running. One thread: there is more time to hit it.
    pub fn start_ingest(&self, place: &Path) -> Running {
        Running::start(self.program(&["ingest", text(place), "--threads", "1"]).stdout(Stdio::null()).stderr(Stdio::null()))
    }

    /// The rows of a query.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<Value> {
        self.run(&["sql", query, "--format", "json"]).ends_with(0).rows()
    }

    /// The rows of a report: `report(&["usage", "--start", ...])`.
    #[track_caller]
    pub fn report(&self, args: &[&str]) -> Vec<Value> {
        self.run(&[&["report"], args, &["--format", "json"]].concat()).ends_with(0).rows()
    }

    /// What the tables say, as numbers that are equal where they say the same.
    #[track_caller]
    pub fn digest(&self) -> Vec<Value> {
        self.run(&["tables", "digest", "--format", "json"]).ends_with(0).rows()
    }
}

/// A process that does not outlive its test.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self { child: command.spawn().expect("the program starts") }
    }

    pub fn is_done(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits until something holds, or the process ends; says whether it held.
    pub fn wait_until(&mut self, mut holds: impl FnMut() -> bool) -> bool {
        loop {
            if holds() {
                return true;
            }
            if self.is_done() {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Kills it as a power cut would: it cannot tidy up. Says whether it still ran.
    pub fn kill(mut self) -> bool {
        let ran = !self.is_done();
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for").signal() == Some(9) && ran
    }

    /// Sends a signal that it can handle.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill starts").success());
    }

    /// Waits for its end, which must not take long, and gives the exit code.
    #[track_caller]
    pub fn code(mut self) -> Option<i32> {
        let asked = Instant::now();
        assert!(!self.wait_until(|| asked.elapsed() > END_WITHIN), "the process does not end");
        self.child.wait().expect("a child can be waited for").code()
    }

    pub fn lines_of_stderr(&mut self) -> std::io::Lines<BufReader<ChildStderr>> {
        BufReader::new(self.child.stderr.take().expect("standard error is a pipe")).lines()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Either fails only where the process has ended.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// The simulated fleet of March 2024, ingested and held against its own truth by the program.
pub struct Demo {
    pub logs: PathBuf,
    pub data: Data,
    /// What the demo printed.
    pub told: String,
    /// Held as long as this process runs, so that another takes another folder.
    _lock: File,
}

/// The demo, made once a process.
pub fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let (lock, folder) = own_folder("demo");
        let told = run(&["demo", "--folder", text(&folder)]).ends_with(0).text().to_owned();
        Demo { logs: folder.join("logs"), data: Data::at(folder.join("data")), told, _lock: lock }
    })
}

/// A folder that no other running test process uses. Nothing deletes it: a later process uses it again.
fn own_folder(name: &str) -> (File, PathBuf) {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let free = (0..).find_map(|n| {
        let lock = File::create(place.join(format!("{name}-{n}.lock"))).expect("cargo's folder for tests can be written to");
        lock.try_lock().is_ok().then(|| (lock, place.join(format!("{name}-{n}"))))
    });
    free.expect("there are as many numbers as processes")
}

/// All files below a folder, by name.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder may be gone again: the program may be at work in it.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let list = if entry.file_type().is_ok_and(|kind| kind.is_dir()) { &mut folders } else { &mut files };
            list.push(entry.path());
        }
    }
    files.sort();
    files
}

/// The contents of all files below a folder, by their path in it.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let within = |file: &Path| file.strip_prefix(folder).expect("a file below the folder").to_owned();
    files_below(folder).iter().map(|file| (within(file), fs::read(file).expect("a file that was listed"))).collect()
}

/// A field that is an integer.
#[track_caller]
pub fn integer(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or_else(|| panic!("{name} is no integer in {row}"))
}

/// A field that is a text.
#[track_caller]
pub fn string<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {row}"))
}
