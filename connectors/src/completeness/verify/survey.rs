//! Reads all digests of a place once, and keeps of each what the judgement about others needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cloudigrade_schemas::UtcSecond;

use super::archive::{Archive, ArchiveError};
use super::content;
use crate::completeness::digest::{self, Digest};
use crate::completeness::place::{Copy, S3Place};
use crate::limits::DIGEST_BYTES_MAX;

/// A digest without its log files.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub start: UtcSecond,
    pub end: UtcSecond,
    pub account_id: String,
    pub region: String,
    pub place: S3Place,
    /// SHA-256 of its text.
    pub hash: String,
    /// What is signed.
    pub signed: String,
    /// The signature beside it.
    pub signature: Option<String>,
    pub fingerprint: String,
    pub previous: Option<PreviousHead>,
}

/// What a digest says of the one before it.
#[derive(Clone, Debug)]
pub(super) struct PreviousHead {
    /// Where it would be found.
    pub uri: String,
    pub hash: Option<String>,
    pub signature: Option<String>,
}

/// What is in a place.
#[derive(Debug)]
pub struct Survey {
    /// By the URI; the text says why one cannot be used.
    pub(super) digests: BTreeMap<String, Result<Head, String>>,
    pub(super) logs: BTreeSet<String>,
}

impl Survey {
    /// The regions that signed digests, and in which time.
    pub fn regions(&self) -> BTreeMap<String, (UtcSecond, UtcSecond)> {
        let mut regions: BTreeMap<String, (UtcSecond, UtcSecond)> = BTreeMap::new();
        for head in self.digests.values().flatten() {
            let (from, until) = regions.entry(head.region.clone()).or_insert((head.start, head.end));
            (*from, *until) = ((*from).min(head.start), (*until).max(head.end));
        }
        regions
    }

    /// How many digests there are.
    pub fn digests(&self) -> usize {
        self.digests.len()
    }
}

/// Reads all digests of a place with some threads.
///
/// # Errors
/// [`ArchiveError`] when the place cannot be listed. A digest that cannot be read is part of the result.
pub fn survey(archive: &dyn Archive, threads: usize) -> Result<Survey, ArchiveError> {
    let (digests, logs): (BTreeSet<String>, BTreeSet<String>) = archive.list()?.into_iter().partition(|uri| digest::is_digest_name(uri));
    let digests: Vec<String> = digests.into_iter().collect();
    let digests = in_parallel(&digests, threads, |uri| (uri.clone(), read(archive, uri).map(|(head, _)| head)));
    Ok(Survey { digests: digests.into_iter().collect(), logs })
}

/// Reads a digest. The text says why it cannot be used.
pub(super) fn read(archive: &dyn Archive, uri: &str) -> Result<(Head, Digest), String> {
    let stored = archive.read(uri).map_err(|error| error.to_string())?.ok_or("it is not there any more")?;
    let text = content::text_of(&stored.content, DIGEST_BYTES_MAX).map_err(|error| error.to_string())?;
    let digest = Digest::parse(&text, uri).map_err(|error| error.to_string())?;
    let hash = content::sha256(&text);
    let previous_signature = digest.previous.as_ref().and_then(|previous| previous.signature.as_deref());
    let S3Place { bucket, key } = &digest.place;
    // As CloudTrail makes it; a chain's first digest has the word in the place of a signature.
    let signed = format!("{}\n{bucket}/{key}\n{hash}\n{}", digest.end_text, previous_signature.unwrap_or("null"));
    let copy = Copy::of(uri, &digest.place);
    let previous = digest.previous.as_ref().map(|previous| PreviousHead {
        uri: copy.uri_of(&previous.place),
        hash: previous.hash.clone(),
        signature: previous.signature.clone(),
    });
    let head = Head {
        start: digest.start,
        end: digest.end,
        account_id: digest.account_id.clone(),
        region: digest.region.clone(),
        place: digest.place.clone(),
        hash,
        signed,
        signature: stored.signature,
        fingerprint: digest.fingerprint.clone(),
        previous,
    };
    Ok((head, digest))
}

/// Maps with some threads; in which order is not said.
pub(super) fn in_parallel<T: Sync, R: Send>(items: &[T], threads: usize, map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(map(item));
        }
        done
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for worker in workers {
            done.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}
