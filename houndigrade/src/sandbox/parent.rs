//! The parent: opens the disks of an image, starts a child for them, and waits for its answer, but not for ever.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use cloudigrade_schemas::findings::{ImageFindings, Inspected, PartitionFindings};

use super::{Allowance, CHILD_ARGUMENT, OpenDisk, Request};
use crate::error::ReadError;
use crate::limits::{DISKS_MAX, INSPECTION_MESSAGE_BYTES_MAX};
use crate::source::FileSource;
use crate::verdict;

/// Between two looks whether a child that has closed its streams has ended.
const WAIT: Duration = Duration::from_millis(2);

/// Inspects the disks of one image, all in one process of its own. Always gives findings: what fails is in them.
pub fn inspect_apart(image: &str, devices: &[PathBuf], allowance: Allowance) -> ImageFindings {
    let mut itself = Command::new("/proc/self/exe");
    itself.arg(CHILD_ARGUMENT);
    inspect_by(itself, image, devices, allowance)
}

fn inspect_by(child: Command, image: &str, devices: &[PathBuf], allowance: Allowance) -> ImageFindings {
    let (mut opened, mut failed) = (Vec::new(), Vec::new());
    for device in devices {
        let name = device.display().to_string();
        match open(image, device, opened.len()) {
            _ if opened.iter().any(|(known, _)| *known == name) => {}
            Ok(file) => opened.push((name, file)),
            Err(why) => failed.push((name, why)),
        }
    }
    let mut answer = None;
    if !opened.is_empty() {
        match ask(child, image, &opened, allowance) {
            Ok(found) => answer = Some(found),
            Err(end) => failed.extend(opened.into_iter().map(|(name, _)| (name.clone(), format!("{name}: {end}")))),
        }
    }
    let (is_answered, is_whole) = (answer.is_some(), failed.is_empty());
    let mut findings = answer.unwrap_or_default();
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

/// Opens a disk for reading, or says why it cannot be.
fn open(image: &str, device: &Path, before: usize) -> Result<File, String> {
    if before >= DISKS_MAX {
        return Err(format!("{}: beyond the limit of {DISKS_MAX} disks of one image", device.display()));
    }
    FileSource::open(device).map(FileSource::into_file).map_err(|error| match error {
        ReadError::NotFound { .. } => format!("Nothing found at path {} for {image}", device.display()),
        other => other.to_string(),
    })
}

fn tell_failure(findings: &mut ImageFindings, device: String, why: String) {
    findings.errors.push(why.clone());
    let volume = PartitionFindings { error: Some(why), inspected: Inspected::Corrupt, ..PartitionFindings::default() };
    findings.drives.entry(device.clone()).or_default().insert(device, volume);
}

/// How a child ended that gave no answer.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the process that should inspect it cannot be started: {0}")]
    NotStarted(#[source] io::Error),
    #[error("its inspection took longer than the limit of {0} seconds and was ended")]
    TooLong(u64),
    #[error("its findings are larger than the limit of {0} bytes, and its inspection was ended")]
    TooLarge(usize),
    #[error("its inspection took more than the limit of {0} seconds of processor time and was ended")]
    TooBusy(u64),
    #[error("its inspection was ended by signal {signal}{said}")]
    Signal { signal: i32, said: String },
    #[error("its inspection failed with code {code}{said}")]
    Failed { code: i32, said: String },
    #[error("its inspection gave an answer that cannot be read: {0}")]
    Unreadable(#[source] serde_json::Error),
}

fn ask(command: Command, image: &str, disks: &[(String, File)], allowance: Allowance) -> Result<ImageFindings, End> {
    let mut child = start(command, disks).map_err(End::NotStarted)?;
    let deadline = Instant::now() + Duration::from_secs(allowance.seconds);
    let request = Request {
        image: image.to_owned(),
        disks: disks.iter().map(|(name, file)| OpenDisk { name: name.clone(), descriptor: file.as_raw_fd() }).collect(),
        allowance,
        parent: std::process::id(),
    };
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
fn start(mut command: Command, disks: &[(String, File)]) -> io::Result<Child> {
    let descriptors: Vec<RawFd> = disks.iter().map(|(_, file)| file.as_raw_fd()).collect();
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
mod tests {
    use cloudigrade_schemas::findings::{Facts, OsReleaseFile, Product, ReleaseFile};

    use super::*;

    /// What comes of a child that is a shell with this script.
    fn with_child(script: &str, allowance: Allowance) -> ImageFindings {
        let disk = tempfile::NamedTempFile::new().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        let findings = inspect_by(shell, "ami-1", &[disk.path().to_owned()], allowance);
        assert_eq!((findings.inspected, findings.is_rhel), (Inspected::Corrupt, None));
        assert_eq!((findings.errors.len(), findings.drives.len()), (1, 1));
        findings
    }

    fn error_of(script: &str) -> String {
        with_child(script, Allowance { seconds: 20, output_bytes: 1000, ..Allowance::default() }).errors.remove(0)
    }

    #[test]
    fn a_child_that_dies_is_an_error_that_names_the_signal_and_what_it_said() {
        let error = error_of("echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$");
        assert!(error.contains("signal 6 (it gave up; mostly for want of memory): memory allocation of 9 bytes failed"), "{error}");
        assert!(error_of("kill -SEGV $$").contains("signal 11"));
        assert!(error_of("kill -XCPU $$").contains("limit of 240 seconds of processor time"));
        assert!(error_of("exit 3").contains("failed with code 3"));
    }

    #[test]
    fn a_child_that_hangs_is_ended_at_the_limit() {
        let begin = Instant::now();
        let findings = with_child("exec sleep 60", Allowance { seconds: 1, ..Allowance::default() });
        assert!(findings.errors[0].contains("longer than the limit of 1 seconds"));
        assert!(begin.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_child_that_says_too_much_or_nonsense_is_an_error() {
        assert!(error_of("exec cat /dev/zero").contains("larger than the limit of 1000 bytes"));
        assert!(error_of("dd if=/dev/zero bs=64k count=64 >&2; echo nonsense").contains("cannot be read"));
        assert!(error_of("true").contains("cannot be read"));
    }

    #[test]
    fn the_child_has_the_disk_and_not_our_environment() {
        let script = r#"[ -z "$CARGO_MANIFEST_DIR" ] && request=$(cat) && fd=${request##*\"descriptor\":} && : <&${fd%%\}*} && exit 42"#;
        assert!(error_of(script).contains("code 42"), "{}", error_of(script));
    }

    /// What comes of a child that answers this, and of a disk that it never saw if `is_missing`.
    fn with_answer(answer: &ImageFindings, is_missing: bool) -> ImageFindings {
        let disk = tempfile::NamedTempFile::new().unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "cat > /dev/null; printf %s \"$0\"", &serde_json::to_string(answer).unwrap()]);
        let missing = is_missing.then(|| PathBuf::from("/dev/none"));
        let devices: Vec<_> = [disk.path().to_owned()].into_iter().chain(missing).collect();
        inspect_by(shell, "ami-1", &devices, Allowance { seconds: 20, ..Allowance::default() })
    }

    /// The findings on a disk with these facts, as a child gives them that must leave out what it can.
    fn stripped(facts: Facts) -> ImageFindings {
        let partition = PartitionFindings { facts: Some(facts), inspected: Inspected::Complete, ..Default::default() };
        let mut image = ImageFindings::default();
        image.drives.entry("/dev/xvdb".into()).or_default().insert("/dev/xvdb1".into(), partition);
        verdict::decide(&mut image);
        crate::evidence::fit(&mut image, 0);
        image
    }

    /// RHEL by its release file and certificate alone.
    fn rhel() -> ImageFindings {
        let mut facts = Facts { is_system: true, ..Facts::default() };
        facts.rhel_release_files.release_files.push(ReleaseFile {
            rhel_release_file: "/etc/redhat-release".into(),
            rhel_release_file_contents: Some("Red Hat Enterprise Linux release 9.4".into()),
            rhel_found: true,
        });
        facts.rhel_product_certs.products.push(Product { id: "479".into(), ..Product::default() });
        stripped(facts)
    }

    #[test]
    fn what_a_child_decided_stays_though_its_evidence_was_left_out() {
        assert_eq!((rhel().is_rhel, rhel().products.len()), (Some(true), 1));
        assert_eq!(with_answer(&rhel(), false), rhel());
    }

    #[test]
    fn a_disk_that_cannot_be_opened_makes_findings_partial_and_keeps_a_yes_and_its_evidence() {
        let findings = with_answer(&rhel(), true);
        assert_eq!((findings.inspected, findings.errors.len()), (Inspected::Partial, 1));
        let kept = |of: ImageFindings| (of.is_rhel, of.distribution, of.version_source, of.products, of.reasons, of.rhel_version);
        assert_eq!(kept(findings), kept(rhel()));
    }

    #[test]
    fn a_disk_that_cannot_be_opened_makes_a_no_unknown() {
        let other = stripped(Facts {
            os_release: Some(OsReleaseFile { path: "/etc/os-release".into(), id: Some("debian".into()), ..Default::default() }),
            ..Facts::default()
        });
        assert_eq!((other.is_rhel, with_answer(&other, false).is_rhel), (Some(false), Some(false)));
        let findings = with_answer(&other, true);
        assert_eq!((findings.inspected, findings.is_rhel), (Inspected::Partial, None));
        assert_eq!(findings.conflicts, ["/dev/xvdb1: /etc/os-release says ID=debian"]);
        let none = stripped(Facts::default());
        assert_eq!((none.inspected, none.is_rhel), (Inspected::Complete, Some(false)));
        let findings = with_answer(&none, true);
        assert_eq!((findings.inspected, findings.is_rhel, findings.reasons.len()), (Inspected::Corrupt, None, 1));
    }

    #[test]
    fn a_missing_device_is_told_as_ever_and_the_others_go_on() {
        let none = PathBuf::from("/dev/none");
        let findings = inspect_apart("ami-1", &[none], Allowance::default());
        assert_eq!(findings.errors, ["Nothing found at path /dev/none for ami-1"]);
        assert_eq!(findings.drives["/dev/none"]["/dev/none"].error.as_deref(), Some("Nothing found at path /dev/none for ami-1"));
        assert_eq!((findings.inspected, findings.is_rhel), (Inspected::Corrupt, None));
    }

    #[test]
    fn what_cannot_be_opened_is_told() {
        let findings = inspect_apart("ami-1", &[PathBuf::from("/dev/null")], Allowance::default());
        assert_eq!(findings.errors, ["/dev/null is a character device, which is not read"]);
    }
}
