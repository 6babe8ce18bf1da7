//! The programs that make images and judge them: found, run, and missed loudly.

use std::ffi::OsStr;
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// Folders beside `PATH` in which Debian keeps tools for disks.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// The path of a program, if it is installed.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Whether all programs are there. If not, says so, and panics in CI.
pub fn have(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    let why = format!("{missing:?} missing: run scripts/need-image-tools");
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
    skipped(&why);
    false
}

/// Says that a claim is not checked here.
pub fn skipped(why: &str) {
    eprintln!("SKIPPED: {}: {why}", std::thread::current().name().unwrap_or("a test"));
}

/// A program that [`have`] has found, without the user's language and configuration.
pub fn command(program: &str) -> Command {
    let path = find(program).unwrap_or_else(|| panic!("{program} is not installed"));
    let mut command = Command::new(path);
    command.env("LC_ALL", "C").env("TZ", "UTC");
    command
}

/// Runs a program that must succeed; gives what it printed.
pub fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
    succeed(command(program).args(arguments)).stdout
}

/// Runs a program that must succeed, with `input` as its standard input.
pub fn run_with_input<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>, input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    succeed(command(program).args(arguments).stdin(file)).stdout
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// What running a program took.
pub struct Weight {
    /// How long it ran.
    pub time: Duration,
    /// The most memory that it, or a process that it started, held: bytes.
    pub peak: u64,
}

/// Runs a program and prints, on standard error, its seconds and the most KiB that it held. A process of its own, because Linux counts for a
/// new process what the one that started it held, and this one may hold much.
const WEIGH: &str = "\
import resource, subprocess, sys, time
started = time.monotonic()
status = subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode
print(time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status != 0)
";

/// Runs a command that must succeed, and weighs it.
pub fn weigh(program: &Command) -> (Vec<u8>, Weight) {
    let output = succeed(command("python3").args(["-c", WEIGH]).arg(program.get_program()).args(program.get_args()));
    let said = String::from_utf8(output.stderr).unwrap();
    let (seconds, kib) = said.trim().split_once(' ').unwrap();
    (output.stdout, Weight { time: Duration::from_secs_f64(seconds.parse().unwrap()), peak: kib.parse::<u64>().unwrap() * 1024 })
}

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> String {
    let printed = run("sha256sum", [path]);
    String::from_utf8(printed).unwrap().split(' ').next().unwrap().to_owned()
}
