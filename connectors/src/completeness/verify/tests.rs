//! Whatever is changed in what a trail wrote is found.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use tempfile::TempDir;

use super::*;
use crate::completeness::tests::{BUCKET, Put, Trail, gzip, inflated, write};

/// A bucket in memory.
#[derive(Clone)]
struct Bucket(BTreeMap<String, Put>);

impl Bucket {
    fn of(trail: &Trail) -> Self {
        Self(trail.all().map(|put| (uri(put), put.clone())).collect())
    }

    /// As copies are.
    fn without_metadata(mut self) -> Self {
        self.0.values_mut().for_each(|put| put.signature = None);
        self
    }

    fn verify(&self, keys: &Keys) -> VerifyReport {
        let survey = survey(self, 2).unwrap();
        verify(self, &survey, keys, 2)
    }

    fn change(&mut self, put: &Put, change: impl FnOnce(&mut Put)) {
        change(self.0.get_mut(&uri(put)).unwrap());
    }
}

impl Archive for Bucket {
    fn list(&self) -> Result<BTreeSet<String>, ArchiveError> {
        Ok(self.0.keys().cloned().collect())
    }

    fn read(&self, uri: &str) -> Result<Option<Stored>, ArchiveError> {
        let stored = self.0.get(uri).map(|put| Stored { content: put.content.clone().into(), signature: put.signature.clone() });
        Ok(stored)
    }
}

fn uri(put: &Put) -> String {
    format!("s3://{BUCKET}/{}", put.key)
}

fn keys(trail: &Trail) -> Keys {
    let mut keys = Keys::default();
    keys.add(&trail.fingerprint, trail.pair.public_key().as_ref().to_vec());
    keys
}

/// All that is not valid.
fn findings(report: &VerifyReport) -> Vec<(String, FileVerdict)> {
    let wrong = report.files.iter().filter(|file| file.verdict != FileVerdict::Valid);
    wrong.map(|file| (file.uri.clone(), file.verdict)).collect()
}

#[test]
fn what_nobody_changed_is_verified() {
    let trail = Trail::new(&[2, 0, 1]);
    let report = Bucket::of(&trail).verify(&keys(&trail));
    assert_eq!((report.verdict, findings(&report)), (Verdict::Verified, vec![]));
    assert_eq!((report.digests[&FileVerdict::Valid], report.logs[&FileVerdict::Valid]), (3, 3));
    assert_eq!((report.beginnings, report.pauses), (vec![], vec![]));
}

#[test]
fn a_copy_without_metadata_is_verified_by_the_chain_but_for_its_newest_digest() {
    let trail = Trail::new(&[2, 1, 1]);
    let report = Bucket::of(&trail).without_metadata().verify(&keys(&trail));
    let newest = vec![(uri(&trail.digests[2]), FileVerdict::SignatureAbsent), (uri(&trail.logs[3]), FileVerdict::DigestNotValid)];
    assert_eq!((report.verdict, findings(&report)), (Verdict::NotProven, newest));
}

#[test]
fn a_folder_is_a_copy_and_may_hold_the_newest_signature_in_a_file() {
    let (folder, trail) = (TempDir::new().unwrap(), Trail::new(&[1, 1]));
    trail.all().for_each(|put| write(&folder.path().join(&put.key), &put.content));
    let archive = FolderArchive::open(folder.path()).unwrap();
    let report = |threads| verify(&archive, &survey(&archive, threads).unwrap(), &keys(&trail), threads);
    assert_eq!(report(1).verdict, Verdict::NotProven);
    let newest = &trail.digests[1];
    write(&folder.path().join(format!("{}.signature", newest.key)), newest.signature.as_ref().unwrap().as_bytes());
    assert_eq!((report(1).verdict, findings(&report(4))), (Verdict::Verified, vec![]));
}

#[test]
fn a_changed_log_file_is_found() {
    let trail = Trail::new(&[2, 1]);
    let mut bucket = Bucket::of(&trail);
    bucket.change(&trail.logs[1], |log| log.content = gzip(b"{\"Records\":[]}"));
    bucket.change(&trail.logs[2], |log| log.content.truncate(20));
    let report = bucket.verify(&keys(&trail));
    let expected = vec![(uri(&trail.logs[1]), FileVerdict::HashMismatch), (uri(&trail.logs[2]), FileVerdict::HashMismatch)];
    assert_eq!((report.verdict, findings(&report)), (Verdict::Failed, expected));
}

#[test]
fn a_removed_log_file_is_found() {
    let trail = Trail::new(&[2, 1]);
    let mut bucket = Bucket::of(&trail);
    bucket.0.remove(&uri(&trail.logs[0]));
    let report = bucket.verify(&keys(&trail));
    assert_eq!((report.verdict, findings(&report)), (Verdict::Failed, vec![(uri(&trail.logs[0]), FileVerdict::Missing)]));
}

#[test]
fn a_removed_digest_is_found_and_its_log_files_are_named_by_none() {
    let trail = Trail::new(&[1, 1, 1]);
    let mut bucket = Bucket::of(&trail);
    bucket.0.remove(&uri(&trail.digests[1]));
    let report = bucket.verify(&keys(&trail));
    let expected = vec![(uri(&trail.digests[1]), FileVerdict::Missing), (uri(&trail.logs[1]), FileVerdict::NotNamed)];
    assert_eq!((report.verdict, findings(&report)), (Verdict::Failed, expected));
    assert_eq!(report.digests[&FileVerdict::Missing], 1);
}

#[test]
fn without_the_first_digest_it_is_said_where_the_chain_begins() {
    let trail = Trail::new(&[0, 1]);
    let mut bucket = Bucket::of(&trail);
    bucket.0.remove(&uri(&trail.digests[0]));
    let report = bucket.verify(&keys(&trail));
    assert_eq!((report.verdict, report.beginnings[0].previous.clone()), (Verdict::Verified, uri(&trail.digests[0])));
}

#[test]
fn a_changed_digest_is_found_and_its_log_files_are_not_proven() {
    let trail = Trail::new(&[1, 1]);
    for changed in 0..2 {
        let mut bucket = Bucket::of(&trail);
        bucket.change(&trail.digests[changed], |digest| {
            let text = String::from_utf8(inflated(&digest.content)).unwrap();
            digest.content = gzip(text.replacen("SHA-256", "SHA-257", 1).as_bytes());
        });
        let report = bucket.verify(&keys(&trail));
        let verdict = [FileVerdict::HashMismatch, FileVerdict::SignatureInvalid][changed];
        let mut expected = vec![(uri(&trail.logs[changed]), FileVerdict::DigestNotValid), (uri(&trail.digests[changed]), verdict)];
        expected.sort();
        assert_eq!((report.verdict, findings(&report)), (Verdict::Failed, expected));
    }
}

#[test]
fn a_changed_signature_is_found() {
    let trail = Trail::new(&[0, 0]);
    for changed in ["00", "no hexadecimal digits", ""] {
        let mut bucket = Bucket::of(&trail);
        bucket.change(&trail.digests[0], |digest| digest.signature = Some(changed.to_owned()));
        let report = bucket.verify(&keys(&trail));
        assert_eq!(findings(&report), [(uri(&trail.digests[0]), FileVerdict::SignatureInvalid)], "{changed}");
    }
}

#[test]
fn digests_that_changed_places_are_found() {
    let trail = Trail::new(&[0, 0, 0]);
    let mut bucket = Bucket::of(&trail);
    bucket.change(&trail.digests[0], |digest| digest.content.clone_from(&trail.digests[1].content));
    bucket.change(&trail.digests[1], |digest| digest.content.clone_from(&trail.digests[0].content));
    let report = bucket.verify(&keys(&trail));
    let expected = vec![(uri(&trail.digests[0]), FileVerdict::Moved), (uri(&trail.digests[1]), FileVerdict::Moved)];
    assert_eq!((report.verdict, findings(&report)), (Verdict::Failed, expected));
}

#[test]
fn a_wrong_key_and_an_unknown_one_are_told_apart() {
    let trail = Trail::new(&[0, 0]);
    let mut wrong = Keys::default();
    wrong.add(&trail.fingerprint, KeyPair::generate(KeySize::Rsa2048).unwrap().public_key().as_ref().to_vec());
    let of = |keys: &Keys| {
        let report = Bucket::of(&trail).verify(keys);
        (report.verdict, findings(&report).into_iter().map(|(_, verdict)| verdict).collect::<BTreeSet<_>>())
    };
    assert_eq!(of(&wrong), (Verdict::Failed, BTreeSet::from([FileVerdict::SignatureInvalid])));
    assert_eq!(of(&Keys::default()), (Verdict::NotProven, BTreeSet::from([FileVerdict::KeyUnknown])));
}

#[test]
fn log_files_beside_those_that_are_named_are_told_apart_by_when_they_were_delivered() {
    let trail = Trail::new(&[1, 1]);
    let mut bucket = Bucket::of(&trail);
    let stray = |stamp: &str| {
        let at = trail.logs[0].key.find("20240301T").unwrap();
        let key = format!("{}20240301T{stamp}Z_stray.json.gz", &trail.logs[0].key[..at]);
        Put { key, content: gzip(b"{\"Records\":[]}"), signature: None }
    };
    let (forged, late) = (stray("0030"), stray("0205"));
    bucket.0.insert(uri(&forged), forged.clone());
    bucket.0.insert(uri(&late), late.clone());
    let report = bucket.verify(&keys(&trail));
    let expected = vec![(uri(&forged), FileVerdict::NotNamed), (uri(&late), FileVerdict::NotYetNamed)];
    assert_eq!((report.verdict, findings(&report)), (Verdict::NotProven, expected));
    bucket.0.remove(&uri(&forged));
    assert_eq!(bucket.verify(&keys(&trail)).verdict, Verdict::Verified);
}

#[test]
fn a_digest_that_cannot_be_read_proves_nothing() {
    let trail = Trail::new(&[1]);
    let mut bucket = Bucket::of(&trail);
    bucket.change(&trail.digests[0], |digest| digest.content = b"{".to_vec());
    let report = bucket.verify(&keys(&trail));
    assert_eq!(report.verdict, Verdict::NotProven);
    assert_eq!(report.digests[&FileVerdict::Unreadable], 1);
}
