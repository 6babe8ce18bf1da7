//! Who is let in, who is not, and what they are told.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use cloudigrade_pipeline::log::{Log, LogError, Task};
use cloudigrade_schemas::Topic;

use super::super::reach::reach;
use super::super::{Barrier, KafkaLog, KafkaOptions, OpenError, PasswordMechanism, Security, Tls, check_kafka};
use super::secured::{LIMITED, PASSWORD, SCRAM_USER, Secured, TokenServer};
use super::{ALL, AT_ONCE, READER, SOURCE, acls, broker, options, output, outputs, patiently};
use crate::doctor::{Finding, Verdict};

/// How soon who is refused is told. Waiting for another broker's better word is in it.
const TOLD_MAX: Duration = Duration::from_secs(8);
/// How long a broker may take to heed new rights.
const HEEDED_MAX: Duration = Duration::from_secs(30);
const MECHANISMS: [PasswordMechanism; 3] = [PasswordMechanism::Plain, PasswordMechanism::ScramSha256, PasswordMechanism::ScramSha512];

fn reaching(bootstrap: &str, security: Security) -> KafkaOptions {
    KafkaOptions { security, cache: None, ..options(bootstrap, "reach.", std::path::Path::new("")) }
}

/// Why brokers are not reached, which is told soon.
fn refused(bootstrap: &str, security: Security) -> (Barrier, String) {
    let began = Instant::now();
    let refused = reach(&reaching(bootstrap, security)).unwrap_err();
    assert!(began.elapsed() < TOLD_MAX, "{refused} after {:?}", began.elapsed());
    assert!(!refused.to_string().contains(PASSWORD), "{refused}");
    match refused {
        OpenError::Unreachable { barrier, cause, .. } => (barrier, cause),
        other => panic!("{other}"),
    }
}

fn by_tls(tls: Tls) -> Security {
    Security { tls: Some(tls), sasl: None }
}

#[test]
fn tls_is_spoken_with_brokers_whose_certificates_are_trusted_and_told_of_others() {
    let Some(secured) = Secured::shared() else { return };
    reach(&reaching(&secured.tls, by_tls(secured.trusting("ca.pem")))).unwrap();
    let (barrier, cause) = refused(&secured.tls, by_tls(secured.trusting("other.pem")));
    assert!(barrier == Barrier::Tls && cause.contains("certificate"), "{cause}");
    let (barrier, cause) = refused(&secured.tls.replace("127.0.0.1", "localhost"), by_tls(secured.trusting("ca.pem")));
    assert!(barrier == Barrier::Tls && cause.contains("certificate"), "{cause}");
    let absent = reach(&reaching(&secured.tls, by_tls(secured.trusting("absent.pem")))).unwrap_err();
    assert!(matches!(absent, OpenError::Settings { .. }), "{absent}");
}

#[test]
fn a_certificate_of_our_own_is_shown_to_brokers_that_ask_for_one() {
    let Some(secured) = Secured::shared() else { return };
    reach(&reaching(&secured.mutual, by_tls(secured.as_client()))).unwrap();
    let (barrier, cause) = refused(&secured.mutual, by_tls(secured.trusting("ca.pem")));
    assert_eq!(barrier, Barrier::Tls, "{cause}");
}

#[test]
fn users_with_their_passwords_are_let_in_and_others_are_told_soon() {
    let Some(secured) = Secured::shared() else { return };
    for mechanism in MECHANISMS {
        let user = if mechanism == PasswordMechanism::Plain { LIMITED } else { SCRAM_USER };
        reach(&reaching(&secured.users, secured.user(mechanism, user, PASSWORD))).unwrap();
        let (barrier, cause) = refused(&secured.users, secured.user(mechanism, user, "guessed"));
        assert_eq!(barrier, Barrier::Authentication, "{mechanism:?}: {cause}");
    }
}

#[test]
fn a_token_of_an_oauth_server_lets_in_and_a_secret_that_it_refuses_is_told() {
    let Some(secured) = Secured::shared() else { return };
    let tokens = TokenServer::start();
    reach(&reaching(&secured.users, secured.client(&tokens, PASSWORD))).unwrap();
    let (barrier, cause) = refused(&secured.users, secured.client(&tokens, "guessed"));
    assert!(barrier == Barrier::Authentication && cause.contains("token"), "{cause}");
}

/// The line that gives the rights for something.
fn line<'a>(findings: &'a [Finding], resource: &str) -> &'a str {
    let found = findings.iter().find(|finding| finding.help.starts_with("kafka-acls.sh") && finding.help.contains(resource));
    &found.unwrap_or_else(|| panic!("{resource} is not asked for: {findings:#?}")).help
}

/// Repeats until what is returned is accepted: brokers heed new rights a moment later.
fn heeded<T>(mut call: impl FnMut() -> T, is_accepted: impl Fn(&T) -> bool) -> T {
    let began = Instant::now();
    loop {
        let answer = call();
        if is_accepted(&answer) || began.elapsed() > HEEDED_MAX {
            return answer;
        }
    }
}

#[test]
fn what_is_refused_is_named_and_the_doctors_lines_give_exactly_what_is_lacking() {
    let Some(secured) = Secured::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let security = secured.user(PasswordMechanism::Plain, LIMITED, PASSWORD);
    let options = KafkaOptions { security, ..options(&secured.users, &prefix, cache.path()) };
    let look = || check_kafka(&options, &[READER.id]);
    let give = |findings: &[Finding], resource: &str| acls::run(&secured.direct(), line(findings, resource));

    let findings = look();
    assert!(findings.iter().any(|finding| finding.verdict == Verdict::Failure && finding.detail.contains("User:limited may not")));
    let open = || KafkaLog::open(options.clone());
    let told = open().unwrap_err();
    assert!(
        matches!(&told, OpenError::Refused { operation, resource } if operation.contains("Create") && resource.contains(&prefix)),
        "{told}"
    );

    give(&findings, "--topic");
    let told = heeded(open, |told| !matches!(told, Err(OpenError::Refused { .. }))).unwrap_err().to_string();
    assert!(told.contains(&format!("transactional id {prefix}register")) && told.contains("doctor"), "{told}");

    give(&findings, "--transactional-id");
    let log = heeded(open, Result::is_ok).unwrap();
    let told = patiently(|| log.open_task(READER, &ALL)).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains(&format!("group {prefix}{}", READER.id)) && told.contains("doctor"), "{told}");

    give(&findings, "--group");
    give(&findings, "--cluster");
    let findings = heeded(look, |findings| findings.iter().all(|finding| !finding.help.contains("kafka-acls.sh")));
    let worst: Vec<_> = findings.iter().filter(|finding| finding.verdict != Verdict::Ok).map(|finding| finding.subject.as_str()).collect();
    assert_eq!(worst, ["1 replicas, 1 in sync", "offsets.retention.minutes"], "{findings:#?}");
    let mut source = patiently(|| log.open_task(SOURCE, &ALL)).unwrap();
    patiently(|| source.commit(outputs([output(Topic::PowerEvents, 0, "k", "v")]))).unwrap();
    let mut reader = patiently(|| log.open_task(READER, &ALL)).unwrap();
    assert_eq!(patiently(|| reader.poll(AT_ONCE)).unwrap().len(), 1);

    // A right that is taken away while all runs.
    let deny = format!("kafka-acls.sh --add --deny-principal User:{LIMITED} --operation Write --topic {prefix}dead.letters");
    acls::run(&secured.direct(), &deny);
    let write = || source.commit(outputs([output(Topic::DeadLetters, 0, "k", "v")]));
    let told = heeded(write, Result::is_err).unwrap_err();
    assert!(matches!(&told, LogError::Storage { cause, help, .. } if cause.contains("dead.letters") && help.contains("doctor")), "{told}");
}

#[test]
fn the_doctor_tells_what_is_in_the_way_and_what_differs_and_makes_nothing() {
    let Some(secured) = Secured::shared() else { return };
    let (prefix, cache) = (broker::fresh_prefix(), tempfile::tempdir().unwrap());
    let open = options(&secured.direct(), &prefix, cache.path());
    let is_there = |findings: &[Finding], text: &str| findings.iter().any(|finding| finding.detail.contains(text));
    for _ in 0..2 {
        let findings = check_kafka(&open, &[READER.id]);
        assert!(is_there(&findings, "0 topics are as they must be"), "{findings:#?}");
    }
    drop(KafkaLog::open(open.clone()).unwrap());
    let findings = check_kafka(&open, &[READER.id]);
    assert!(is_there(&findings, "0 are missing"), "{findings:#?}");
    let more = KafkaOptions { replication: NonZeroU16::new(3).unwrap(), ..open };
    let findings = check_kafka(&more, &[READER.id]);
    assert!(is_there(&findings, "there are 1 brokers") && is_there(&findings, "must have \"at least 3\""), "{findings:#?}");
    let stranger = secured.user(PasswordMechanism::Plain, LIMITED, "guessed");
    let findings = check_kafka(&KafkaOptions { security: stranger, bootstrap: secured.users.clone(), ..more }, &[]);
    assert!(findings.len() == 1 && findings[0].verdict == Verdict::Failure && findings[0].help.contains("sasl_mechanism"), "{findings:#?}");
}
