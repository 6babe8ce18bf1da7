//! Judges each digest and each log file that it names.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cloudigrade_schemas::UtcSecond;

use super::archive::Archive;
use super::content;
use super::keys::{Keys, Signature};
use super::report::{Beginning, FileKind, FileResult, FileVerdict, Pause, VerifyReport};
use super::survey::{self, Head, Survey, in_parallel};
use crate::completeness::digest;
use crate::completeness::place::Copy;
use crate::limits::{INFLATED_BYTES_MAX, VERIFY_DIGESTS_AT_ONCE};

/// Names of log files tell the time of delivery in steps of five minutes.
const LOG_NAME_STEP_SECONDS: i64 = 300;

/// Judges all that was surveyed, with some threads.
pub fn verify(archive: &dyn Archive, survey: &Survey, keys: &Keys, threads: usize) -> VerifyReport {
    let mut report = VerifyReport::new();
    let walk = Walk { archive, survey, keys, successors: successors(survey) };
    let digests: Vec<&String> = survey.digests.keys().collect();
    let mut named: BTreeSet<String> = BTreeSet::new();
    for some in digests.chunks(VERIFY_DIGESTS_AT_ONCE) {
        for result in in_parallel(some, threads, |uri| walk.digest(uri)).into_iter().flatten() {
            if result.kind == FileKind::Log && !named.insert(result.uri.clone()) {
                continue;
            }
            report.add(result);
        }
    }
    walk.look_between(&mut report);
    walk.look_beside(&named, &mut report);
    let heads = || survey.digests.values().flatten();
    report.from = heads().map(|head| head.start).min();
    report.until = heads().map(|head| head.end).max();
    report.files.sort();
    report.beginnings.sort();
    report.pauses.sort();
    report
}

/// What each digest says of the one before it, by the URI of that one.
fn successors(survey: &Survey) -> HashMap<&str, Vec<&survey::PreviousHead>> {
    let mut successors: HashMap<&str, Vec<&survey::PreviousHead>> = HashMap::new();
    for previous in survey.digests.values().flatten().filter_map(|head| head.previous.as_ref()) {
        successors.entry(&previous.uri).or_default().push(previous);
    }
    successors
}

struct Walk<'a> {
    archive: &'a dyn Archive,
    survey: &'a Survey,
    keys: &'a Keys,
    successors: HashMap<&'a str, Vec<&'a survey::PreviousHead>>,
}

impl Walk<'_> {
    /// Judges a digest and all log files that it names.
    fn digest(&self, uri: &str) -> Vec<FileResult> {
        let of_digest = |verdict, detail| FileResult { uri: uri.to_owned(), kind: FileKind::Digest, verdict, detail };
        let (head, digest) = match self.survey.digests.get(uri) {
            Some(Err(cause)) => return vec![of_digest(FileVerdict::Unreadable, Some(cause.clone()))],
            _ => match survey::read(self.archive, uri) {
                Err(cause) => return vec![of_digest(FileVerdict::Unreadable, Some(cause))],
                Ok(read) => read,
            },
        };
        let (verdict, detail) = self.judge(uri, &head);
        let mut results = vec![of_digest(verdict, detail)];
        let copy = Copy::of(uri, &digest.place);
        for file in &digest.log_files {
            let uri = copy.uri_of(&file.place);
            let (log_verdict, detail) = self.log_file(&uri, &file.hash);
            let unproven = log_verdict == FileVerdict::Valid && verdict != FileVerdict::Valid;
            let log_verdict = if unproven { FileVerdict::DigestNotValid } else { log_verdict };
            results.push(FileResult { uri, kind: FileKind::Log, verdict: log_verdict, detail });
        }
        results
    }

    fn judge(&self, uri: &str, head: &Head) -> (FileVerdict, Option<String>) {
        if !Copy::keeps_names(uri, &head.place) {
            return (FileVerdict::Moved, Some(format!("CloudTrail put it at {}", head.place.uri())));
        }
        let after = self.successors.get(uri).map(Vec::as_slice).unwrap_or_default();
        if after.iter().any(|after| after.hash.as_ref().is_some_and(|hash| *hash != head.hash)) {
            return (FileVerdict::HashMismatch, Some("the digest after it names another hash of its content".to_owned()));
        }
        // What lies beside it is asked first, so that a changed signature is found.
        let beside = head.signature.as_deref();
        let Some(signature) = beside.or_else(|| after.iter().find_map(|after| after.signature.as_deref())) else {
            let detail = "no digest after it names its signature, and none lies beside it: copies of a bucket lose the metadata `signature` of the S3 object";
            return (FileVerdict::SignatureAbsent, Some(detail.to_owned()));
        };
        let Some(signature) = content::from_hexadecimal(signature) else {
            return (FileVerdict::SignatureInvalid, Some("its signature is not written in hexadecimal digits".to_owned()));
        };
        match self.keys.check(&head.fingerprint, head.signed.as_bytes(), &signature) {
            Signature::Valid => (FileVerdict::Valid, None),
            Signature::Invalid => (FileVerdict::SignatureInvalid, Some(format!("not by the key {}", head.fingerprint))),
            Signature::KeyUnknown => (FileVerdict::KeyUnknown, Some(format!("the key {} is not among those given", head.fingerprint))),
        }
    }

    fn log_file(&self, uri: &str, hash: &str) -> (FileVerdict, Option<String>) {
        let stored = match self.archive.read(uri) {
            Err(error) => return (FileVerdict::Unreadable, Some(error.to_string())),
            Ok(None) => return (FileVerdict::Missing, Some("a digest names it".to_owned())),
            Ok(Some(stored)) => stored,
        };
        match content::hash_of_text(&stored.content, INFLATED_BYTES_MAX) {
            Ok(found) if found == hash => (FileVerdict::Valid, None),
            Ok(found) => (FileVerdict::HashMismatch, Some(format!("SHA-256 of its text is {found}, its digest says {hash}"))),
            Err(error) => (FileVerdict::HashMismatch, Some(error.to_string())),
        }
    }

    /// Looks for digests that are named and not there, and for time without digests.
    fn look_between(&self, report: &mut VerifyReport) {
        let mut chains: BTreeMap<String, Vec<(&String, &Head)>> = BTreeMap::new();
        for (uri, head) in &self.survey.digests {
            if let Ok(head) = head {
                chains.entry(digest::chain_of(uri)).or_default().push((uri, head));
            }
        }
        for (chain, mut digests) in chains {
            digests.sort_by_key(|(uri, head)| (head.end, *uri));
            let mut before: Option<&Head> = None;
            for (uri, head) in digests {
                match (&head.previous, before) {
                    (Some(previous), before) if !self.survey.digests.contains_key(&previous.uri) => match before {
                        None => report.beginnings.push(Beginning { first: uri.clone(), from: head.start, previous: previous.uri.clone() }),
                        Some(_) => report.add(FileResult {
                            uri: previous.uri.clone(),
                            kind: FileKind::Digest,
                            verdict: FileVerdict::Missing,
                            detail: Some(format!("{uri} names it as the digest before it")),
                        }),
                    },
                    (None, Some(before)) if head.start > before.end && !digest::is_backfill(&chain) => {
                        report.pauses.push(Pause { digest: uri.clone(), from: before.end, until: head.start });
                    }
                    _ => {}
                }
                before = Some(head);
            }
        }
    }

    /// Looks at log files that no digest names.
    fn look_beside(&self, named: &BTreeSet<String>, report: &mut VerifyReport) {
        let mut newest: HashMap<(&str, &str), UtcSecond> = HashMap::new();
        for head in self.survey.digests.values().flatten() {
            let end = newest.entry((&head.account_id, &head.region)).or_insert(head.end);
            *end = (*end).max(head.end);
        }
        for uri in self.survey.logs.difference(named) {
            let delivered = LogName::of(uri);
            let end = delivered.as_ref().and_then(|log| newest.get(&(log.account_id, log.region)));
            let later = delivered.as_ref().zip(end).is_some_and(|(log, end)| log.delivered.0 + LOG_NAME_STEP_SECONDS > end.0);
            let (verdict, detail) = match later {
                true => (FileVerdict::NotYetNamed, "delivered after the newest digest of its region"),
                false => (FileVerdict::NotNamed, "no digest names it"),
            };
            report.add(FileResult { uri: uri.clone(), kind: FileKind::Log, verdict, detail: Some(detail.to_owned()) });
        }
    }
}

/// What the name of a log file tells: `ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_UNIQUE.json.gz`.
struct LogName<'a> {
    account_id: &'a str,
    region: &'a str,
    delivered: UtcSecond,
}

impl<'a> LogName<'a> {
    fn of(uri: &'a str) -> Option<Self> {
        let mut parts = uri.rsplit('/').next()?.split('_');
        let (account_id, _, region, stamp) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
        let digits = date.len() == 8 && time.len() == 4 && date.is_ascii() && time.is_ascii();
        let stamp = digits.then(|| format!("{}-{}-{}T{}:{}:00Z", &date[..4], &date[4..6], &date[6..], &time[..2], &time[2..]))?;
        Some(Self { account_id, region, delivered: UtcSecond::parse_prefix(&stamp).ok()? })
    }
}
