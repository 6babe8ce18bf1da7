//! What comes of children that answer, die, hang and lie.

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
    // Whichever number the descriptor has beside other tests: a redirection of this shell would take one digit only.
    let script = r#"[ -z "$CARGO_MANIFEST_DIR" ] && request=$(cat) && fd=${request##*\"descriptor\":} && [ -f "/proc/$$/fd/${fd%%\}*}" ] && exit 42"#;
    let _others: Vec<_> = (0..10).map(|_| tempfile::tempfile().unwrap()).collect();
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

/// What comes of a child, a shell with this script, that reads a disk of ours.
fn with_served(script: &str, seconds: u64) -> Result<ImageFindings, End> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script]);
    let disk = Disk { name: "snap-1".into(), source: std::sync::Arc::new(vec![0_u8; 4096]) };
    serve_to(shell, "ami-1", vec![disk], Allowance { seconds, ..Allowance::default() })
}

#[test]
fn of_a_served_disk_an_end_that_is_this_machines_is_no_finding_and_one_that_is_the_disks_is() {
    assert!(matches!(with_served("kill -KILL $$", 20), Err(End::Signal { signal: libc::SIGKILL, .. })));
    assert!(matches!(with_served("exec sleep 60", 1), Err(End::TooLong(1))));
    let none = serve_to(
        Command::new("/none"),
        "ami-1",
        vec![Disk { name: "d".into(), source: std::sync::Arc::new(vec![0_u8; 1]) }],
        Allowance::default(),
    );
    assert!(matches!(none, Err(End::NotStarted(_))));
    for script in ["kill -ABRT $$", "kill -XCPU $$", "exit 3", "true"] {
        let findings = with_served(script, 20).unwrap();
        assert_eq!((findings.inspected, findings.is_rhel, findings.errors.len()), (Inspected::Corrupt, None, 1), "{script}");
    }
}
