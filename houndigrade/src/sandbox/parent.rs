//! The parent: opens the disks of an image, starts a child for them, and waits for its answer, but not for ever.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use cloudigrade_schemas::findings::{ImageFindings, Inspected, PartitionFindings};

use super::handed::Handed;
use super::{Allowance, CHILD_ARGUMENT, Request};
use crate::error::ReadError;
use crate::limits::{DISKS_MAX, INSPECTION_MESSAGE_BYTES_MAX};
use crate::source::FileSource;
use crate::verdict;
use crate::volumes::Disk;

/// Between two looks whether a child that has closed its streams has ended.
const WAIT: Duration = Duration::from_millis(2);

/// Inspects the disks of one image, all in one process of its own. Always gives findings: what fails is in them.
pub fn inspect_apart(image: &str, devices: &[PathBuf], allowance: Allowance) -> ImageFindings {
    inspect_by(itself(), image, devices, allowance)
}

/// As [`inspect_apart`], for disks that this process reads: the child asks it for each byte. Each disk has its own name. A read that is
/// under way when the child ends goes on until its source ends it.
///
/// # Errors
/// How it ended where that says more of this machine than of the disks: another time it may end otherwise.
pub fn inspect_served(image: &str, disks: Vec<Disk>, allowance: Allowance) -> Result<ImageFindings, End> {
    serve_to(itself(), image, disks, allowance)
}

fn serve_to(child: Command, image: &str, disks: Vec<Disk>, allowance: Allowance) -> Result<ImageFindings, End> {
    let (mut handed, mut failed): (Vec<Handed>, _) = (Vec::new(), Vec::new());
    for disk in disks {
        if handed.len() < DISKS_MAX {
            handed.push(Handed::served(disk).map_err(End::NotStarted)?);
        } else {
            failed.push((disk.name.clone(), beyond_the_limit(&disk.name)));
        }
    }
    let answer = Answer::of(child, image, handed, allowance);
    match answer.told {
        Err(end) if end.is_of_this_machine() => Err(end),
        _ => Ok(answer.beside(failed)),
    }
}

/// This program, as a child.
fn itself() -> Command {
    let mut itself = Command::new("/proc/self/exe");
    itself.arg(CHILD_ARGUMENT);
    itself
}

fn inspect_by(child: Command, image: &str, devices: &[PathBuf], allowance: Allowance) -> ImageFindings {
    let (mut opened, mut failed): (Vec<Handed>, _) = (Vec::new(), Vec::new());
    for device in devices {
        let name = device.display().to_string();
        match open(image, device, opened.len()) {
            _ if opened.iter().any(|known| known.name == name) => {}
            Ok(file) => opened.push(Handed::file(name, file)),
            Err(why) => failed.push((name, why)),
        }
    }
    Answer::of(child, image, opened, allowance).beside(failed)
}

/// What a child told of the disks that it was given.
struct Answer {
    disks: Vec<String>,
    told: Result<ImageFindings, End>,
}

impl Answer {
    fn of(child: Command, image: &str, opened: Vec<Handed>, allowance: Allowance) -> Self {
        let disks: Vec<String> = opened.iter().map(|disk| disk.name.clone()).collect();
        // Of no disks there is nothing to ask.
        let told = if opened.is_empty() { Err(End::NothingToDo) } else { ask(child, image, opened, allowance) };
        Self { disks, told }
    }

    /// The findings on its disks, beside those that could not be opened, each with its name and why.
    fn beside(self, mut failed: Vec<(String, String)>) -> ImageFindings {
        if let Err(end) = &self.told {
            failed.extend(self.disks.into_iter().map(|name| (name.clone(), format!("{name}: {end}"))));
        }
        let (is_answered, is_whole) = (self.told.is_ok(), failed.is_empty());
        let mut findings = self.told.unwrap_or_default();
        for (name, why) in failed {
            tell_failure(&mut findings, name, why);
        }
        match (is_answered, is_whole) {
            // The child has decided from all that it found, of which its answer can lack the contents of files.
            (true, true) => {}
            (true, false) => verdict::reconsider(&mut findings),
            (false, _) => verdict::decide(&mut findings),
        }
        findings
    }
}

/// Opens a disk for reading, or says why it cannot be.
fn open(image: &str, device: &Path, before: usize) -> Result<File, String> {
    if before >= DISKS_MAX {
        return Err(beyond_the_limit(&device.display().to_string()));
    }
    FileSource::open(device).map(FileSource::into_file).map_err(|error| match error {
        ReadError::NotFound { .. } => format!("Nothing found at path {} for {image}", device.display()),
        other => other.to_string(),
    })
}

fn beyond_the_limit(disk: &str) -> String {
    format!("{disk}: beyond the limit of {DISKS_MAX} disks of one image")
}

fn tell_failure(findings: &mut ImageFindings, device: String, why: String) {
    findings.errors.push(why.clone());
    let volume = PartitionFindings { error: Some(why), inspected: Inspected::Corrupt, ..PartitionFindings::default() };
    findings.drives.entry(device.clone()).or_default().insert(device, volume);
}

/// How a child ended that gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum End {
    /// No disk could be opened.
    #[error("no disk was given to it")]
    NothingToDo,
    /// This machine has no process, memory or descriptor left for it.
    #[error("the process that should inspect it cannot be started: {0}")]
    NotStarted(#[source] io::Error),
    /// It was not done in so many seconds.
    #[error("its inspection took longer than the limit of {0} seconds and was ended")]
    TooLong(u64),
    /// It found more than so many bytes.
    #[error("its findings are larger than the limit of {0} bytes, and its inspection was ended")]
    TooLarge(usize),
    /// It used more than so many seconds of processor time.
    #[error("its inspection took more than the limit of {0} seconds of processor time and was ended")]
    TooBusy(u64),
    /// A signal ended it.
    #[error("its inspection was ended by signal {signal}{said}")]
    Signal {
        /// Its number.
        signal: i32,
        /// What it means, and what the child said.
        said: String,
    },
    /// It gave up.
    #[error("its inspection failed with code {code}{said}")]
    Failed {
        /// Its status.
        code: i32,
        /// What the child said.
        said: String,
    },
    /// It answered in another form than it should.
    #[error("its inspection gave an answer that cannot be read: {0}")]
    Unreadable(#[source] serde_json::Error),
}

impl End {
    /// Whether it says more of this machine, and of who serves the disks, than of what is on them: then another time it may end otherwise.
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::NotStarted(_) | Self::TooLong(_) => true,
            // Nothing else kills a child: its own limits end it otherwise.
            Self::Signal { signal, .. } => matches!(*signal, libc::SIGKILL | libc::SIGTERM | libc::SIGINT | libc::SIGHUP),
            Self::NothingToDo | Self::TooLarge(_) | Self::TooBusy(_) | Self::Failed { .. } | Self::Unreadable(_) => false,
        }
    }
}

fn ask(command: Command, image: &str, disks: Vec<Handed>, allowance: Allowance) -> Result<ImageFindings, End> {
    let mut child = start(command, &disks).map_err(End::NotStarted)?;
    let deadline = Instant::now() + Duration::from_secs(allowance.seconds);
    let request =
        Request { image: image.to_owned(), disks: disks.iter().map(Handed::told).collect(), allowance, parent: std::process::id() };
    disks.into_iter().for_each(Handed::let_go);
    let streams = Streams::of(&mut child, &request, allowance.output_bytes);
    let answer = streams.answer_until(deadline);
    let is_too_large = answer.as_ref().is_some_and(|answer| answer.len() > allowance.output_bytes);
    let status = if is_too_large { None } else { wait_until(&mut child, deadline) };
    if status.is_none() {
        // Whether it can be killed does not matter: it can have ended by now.
        let _ = child.kill().and_then(|()| child.wait());
    }
    let said = streams.said();
    match (answer, status) {
        _ if is_too_large => Err(End::TooLarge(allowance.output_bytes)),
        (Some(answer), Some(status)) if status.success() => serde_json::from_slice(&answer).map_err(End::Unreadable),
        (Some(_), Some(status)) => Err(end(status, said, &allowance)),
        (None, _) | (_, None) => Err(End::TooLong(allowance.seconds)),
    }
}

/// How a child ended; `None` if it has not by then. One that has answered ends at once, unless something is wrong with it.
fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < deadline => thread::sleep(WAIT),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

/// Starts a child that has the disks' descriptors and nothing of our environment.
fn start(mut command: Command, disks: &[Handed]) -> io::Result<Child> {
    let descriptors: Vec<RawFd> = disks.iter().map(Handed::descriptor).collect();
    let keep_open = move || {
        for descriptor in &descriptors {
            // SAFETY: it takes integers, and may be called between fork and exec.
            if unsafe { libc::fcntl(*descriptor, libc::F_SETFD, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure calls nothing but `fcntl` and allocates nothing.
    unsafe { command.pre_exec(keep_open) };
    command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// The three streams of a child, each served by a thread, so that it cannot block by filling one while another is read. The threads end
/// with the streams, which end with the child: it cannot start another process.
struct Streams {
    answer: mpsc::Receiver<Vec<u8>>,
    said: thread::JoinHandle<Vec<u8>>,
}

impl Streams {
    fn of(child: &mut Child, request: &Request, output_bytes: usize) -> Self {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let request = serde_json::to_vec(request).unwrap_or_default();
        // A child that is gone before it has read the request is told by its status.
        thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&request)));
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stdout.map(|stdout| stdout.take(output_bytes as u64 + 1).read_to_end(&mut text));
            sender.send(text)
        });
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            let Some(mut stderr) = stderr else { return said };
            let _ = stderr.by_ref().take(INSPECTION_MESSAGE_BYTES_MAX as u64).read_to_end(&mut said);
            let _ = io::copy(&mut stderr, &mut io::sink());
            said
        });
        Self { answer, said }
    }

    /// All of standard output; `None` if it has no end until then.
    fn answer_until(&self, deadline: Instant) -> Option<Vec<u8>> {
        match self.answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Vec::new()),
        }
    }

    /// The first lines of standard error, as the end of a sentence.
    fn said(self) -> String {
        let said = self.said.join().unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("note:")).collect();
        if lines.is_empty() { String::new() } else { format!(": {}", lines.join(" ")) }
    }
}

fn end(status: ExitStatus, said: String, allowance: &Allowance) -> End {
    match status.signal() {
        Some(libc::SIGXCPU) => End::TooBusy(allowance.cpu_seconds),
        Some(signal) => End::Signal { signal, said: format!(" ({}){said}", meaning(signal)) },
        None => End::Failed { code: status.code().unwrap_or_default(), said },
    }
}

fn meaning(signal: i32) -> &'static str {
    match signal {
        libc::SIGABRT => "it gave up; mostly for want of memory",
        libc::SIGBUS | libc::SIGSEGV => "it touched memory that it does not have",
        libc::SIGKILL => "something killed it, perhaps this machine for want of memory",
        libc::SIGSYS => "it called what it may not",
        _ => "a failure of the program",
    }
}

#[cfg(test)]
mod tests;
