//! The programs that make images and judge them: found, run, and missed loudly.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

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

/// Runs a command that must succeed, and weighs it.
#[allow(unsafe_code)] // There is no safe wait4 in the standard library, and nothing else knows the memory of one child alone.
pub fn weigh(command: &mut Command) -> (Vec<u8>, Weight) {
    let mut printed = tempfile::tempfile().unwrap();
    let started = Instant::now();
    let child = command.stdout(printed.try_clone().unwrap()).spawn().unwrap();
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: both pointers are to values of the types that wait4 writes, and live until it returns.
    let waited = unsafe { libc::wait4(child.id() as libc::pid_t, &mut status, 0, usage.as_mut_ptr()) };
    let time = started.elapsed();
    assert_eq!((waited, status), (child.id() as libc::pid_t, 0), "{command:?}");
    // SAFETY: wait4 has succeeded, so it has written the usage.
    let usage = unsafe { usage.assume_init() };
    let mut output = Vec::new();
    printed.rewind().unwrap();
    printed.read_to_end(&mut output).unwrap();
    (output, Weight { time, peak: usage.ru_maxrss as u64 * 1024 })
}

/// The SHA-256 of a file, in hexadecimal.
pub fn sha256(path: &Path) -> String {
    let printed = run("sha256sum", [path]);
    String::from_utf8(printed).unwrap().split(' ').next().unwrap().to_owned()
}
