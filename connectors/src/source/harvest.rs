//! What one object gives: messages for the log, and numbers for the summary.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use cloudigrade_pipeline::engine::Cx;
use cloudigrade_pipeline::log::{LogError, StateRead, Store};
use cloudigrade_schemas::dead_letter::FIRST_BYTES_MAX;
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{Coverage, DeadLetter, DeadLetterReason, EventId, SourceRef, Topic, TrailRecord, UtcSecond};

use super::feed::Object;
use super::ledger;
use crate::codec::{Decoded, ObjectKind, Rejected};
use crate::completeness::{Digest, DigestError, keep};

/// How far each account's data reaches in a region, by [`Coverage::to_key`].
pub(crate) const REACH: Store = Store("source.coverage");

/// What one object gave, ready to be committed.
#[derive(Debug)]
pub struct Harvest {
    object: Object,
    messages: Vec<(EventId<'static>, Vec<u8>)>,
    rejected: Vec<Rejected>,
    coverage: Vec<Coverage>,
    digest: Option<Box<Digest>>,
    /// What it was.
    pub kind: ObjectKind,
    /// CloudTrail records in it.
    pub records: u64,
}

impl Harvest {
    /// Takes what a decoded object holds.
    pub fn of(object: Object, decoded: Decoded<'_>) -> Self {
        let Decoded { kind, records, relevant, mut rejected, coverage, digest, .. } = decoded;
        let mut messages = Vec::with_capacity(relevant.len());
        for record in relevant {
            let source =
                SourceRef { uri: object.uri.as_str().into(), version: object.version.as_deref().map(Cow::Borrowed), index: record.index };
            let id = record.event_id.map_or_else(|| EventId::of_content(record.json), |id| EventId(id.into_owned().into()));
            match TrailRecord::message(&source, record.json) {
                Ok(message) => messages.push((id, message)),
                Err(error) => rejected.push(Rejected {
                    index: Some(record.index),
                    reason: DeadLetterReason::BadRecord,
                    detail: error.to_string(),
                    first_bytes: record.json.as_bytes().to_vec(),
                }),
            }
        }
        let digest = digest.and_then(|text| match Digest::parse(text, &object.uri) {
            Ok(digest) => Some(Box::new(digest)),
            Err(error) => {
                rejected.push(unusable_digest(&error, text));
                None
            }
        });
        let reach = |sample: crate::codec::CoverageSample| Coverage {
            account_id: sample.account_id,
            region: sample.region,
            complete_through: sample.event_time,
        };
        Self { object, messages, rejected, coverage: coverage.into_iter().map(reach).collect(), digest, kind, records }
    }

    /// An object that could not be used at all.
    pub fn unusable(object: Object, reason: DeadLetterReason, detail: String, content: Bytes) -> Self {
        let rejected = vec![Rejected { index: None, reason, detail, first_bytes: content.to_vec() }];
        Self { object, messages: Vec::new(), rejected, coverage: Vec::new(), digest: None, kind: ObjectKind::Unusable, records: 0 }
    }

    /// Its weight in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let per_object = 512;
        let messages: usize = self.messages.iter().map(|(id, message)| id.0.len() + message.len()).sum();
        let rejected: usize = self.rejected.iter().map(|rejected| rejected.first_bytes.len() + rejected.detail.len()).sum();
        let digest = self.digest.as_ref().map_or(0, |digest| digest.log_files.len() * BYTES_PER_LOG_FILE);
        per_object + messages + rejected + digest
    }

    /// How many messages it has for `cloudtrail.records`.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// How many dead letters it makes.
    pub fn dead_letters(&self) -> u64 {
        self.rejected.len() as u64
    }

    /// What the letters of this object would be, had it been found damaged now.
    pub fn letters(&self, now: UtcSecond) -> impl Iterator<Item = DeadLetter> + '_ {
        self.rejected.iter().map(move |rejected| {
            let Rejected { index, reason, detail, first_bytes } = rejected;
            let letter = DeadLetter::new(self.object.uri.clone(), *index, *reason, detail.clone(), first_bytes, now);
            letter.with_version(self.object.version.clone())
        })
    }

    /// Puts all of it into a transaction. An object that is only partly usable is not noted as read: reading it again is how it is
    /// mended, and makes the same dead letters.
    pub fn put_into(self, cx: &mut Cx<'_>, partitions: u32, now: UtcSecond) -> Result<(), LogError> {
        if self.rejected.is_empty() {
            ledger::note(cx, &self.object, partitions);
        }
        for letter in self.letters(now) {
            cx.send_json(Topic::DeadLetters, letter.id.as_bytes(), &letter, now)?;
        }
        if let Some(digest) = &self.digest {
            keep::note(cx, &self.object.uri, digest, partitions, now)?;
        }
        for (id, message) in self.messages {
            cx.send(Topic::CloudTrailRecords, id.as_str().as_bytes(), message, now);
        }
        let mut reach: BTreeMap<String, Coverage> = BTreeMap::new();
        for coverage in self.coverage {
            let key = coverage.to_key();
            if reach.get(&key).is_none_or(|known| known.complete_through < coverage.complete_through) {
                reach.insert(key, coverage);
            }
        }
        reach.into_iter().try_for_each(|(key, coverage)| extend_reach(cx, partitions, &key, coverage, now))
    }
}

/// What one log file that a digest names weighs in memory, about, in bytes.
const BYTES_PER_LOG_FILE: usize = 512;

fn unusable_digest(error: &DigestError, text: &[u8]) -> Rejected {
    let reason = match error {
        DigestError::TooLarge { .. } | DigestError::TooManyLogFiles { .. } => DeadLetterReason::TooLarge,
        DigestError::Malformed { .. } | DigestError::BadTime { .. } | DigestError::NoRegion { .. } => DeadLetterReason::NotCloudTrail,
    };
    let first_bytes = text[..text.len().min(FIRST_BYTES_MAX)].to_vec();
    Rejected { index: None, reason, detail: error.to_string(), first_bytes }
}

/// How far the data of each account and region reaches.
///
/// # Errors
/// Those of reading state.
pub fn reach(state: &impl StateRead, partitions: u32) -> Result<Vec<Coverage>, LogError> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        for (_, value) in state.scan(REACH, partition, b"")? {
            let coverage = serde_json::from_slice(&value).map_err(|error| LogError::Storage {
                doing: "reading how far data reaches",
                cause: error.to_string(),
                help: "the log is damaged or was written by a newer version",
            })?;
            all.push(coverage);
        }
    }
    Ok(all)
}

/// The latest moment holds.
pub(super) fn extend_reach(cx: &mut Cx<'_>, partitions: u32, key: &str, coverage: Coverage, now: UtcSecond) -> Result<(), LogError> {
    let partition = partition_of(key.as_bytes(), partitions);
    let known: Option<Coverage> = cx.get_json(REACH, partition, key.as_bytes())?;
    if known.is_some_and(|known| known.complete_through >= coverage.complete_through) {
        return Ok(());
    }
    cx.put_json(REACH, partition, key.as_bytes(), &coverage)?;
    cx.send_json(Topic::Coverage, key.as_bytes(), &coverage, now)
}
