//! Objects that somebody named, read into the log at once: by a server beside what it collects, or without one.
//!
//! Unlike those of a queue they come once. What cannot be read now is told to whoever asked, and is no dead letter: asking again does it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use cloudigrade_schemas::DeadLetterReason;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};

use super::committer::{Committer, Entry, NotCommitted};
use super::feed::Object;
use super::harvest::Harvest;
use super::ledger::{Known, is_known};
use super::sqs::classify::Class;
use super::sqs::decoders::Decoders;
use super::sqs::notification::ObjectRef;
use super::sqs::objects::{FetchError, Head, Objects};
use super::sqs::room::Room;
use super::sqs::{describe, describe_listed};
use crate::codec::CodecLimits;
use crate::limits::{BATCH_REASONS_MAX, FETCH_ATTEMPTS_MAX, FETCH_RETRY_WAIT, FETCH_TIMEOUT, LIVE_BYTES_MAX};

/// An object of a bucket, as a listing names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The size in bytes.
    pub size: u64,
    /// The ETag, without quotes.
    pub etag: String,
}

impl Named {
    fn object(&self) -> ObjectRef {
        let Self { bucket, key, size, etag } = self.clone();
        ObjectRef { bucket, key, size: Some(size), etag: Some(etag), ..ObjectRef::default() }
    }
}

/// What was done with objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Those that were read before and have not changed.
    pub known: u64,
    /// The bytes of those, as stored.
    pub known_bytes: u64,
    /// Those that were read now.
    pub read: u64,
    /// The bytes of those, as stored.
    pub read_bytes: u64,
    /// CloudTrail records in those.
    pub records: u64,
    /// Of those that were read, what could not be used.
    pub dead_letters: u64,
    /// Those that could not be read.
    pub failed: u64,
    /// Why, each reason once; at most [`BATCH_REASONS_MAX`].
    pub reasons: BTreeSet<String>,
}

impl Done {
    /// Adds what was done besides.
    pub fn merge(&mut self, other: Self) {
        self.known += other.known;
        self.known_bytes += other.known_bytes;
        self.read += other.read;
        self.read_bytes += other.read_bytes;
        self.records += other.records;
        self.dead_letters += other.dead_letters;
        self.failed += other.failed;
        let room = BATCH_REASONS_MAX.saturating_sub(self.reasons.len());
        self.reasons.extend(other.reasons.into_iter().take(room));
    }
}

/// Reads objects that are named.
pub struct Batches {
    objects: Arc<dyn Objects>,
    known: Known,
    committer: Committer,
    content: Room,
    harvests: Room,
    decoders: Decoders,
    workers: usize,
}

impl Batches {
    /// Reads `workers` objects at a time.
    pub fn new(objects: Arc<dyn Objects>, known: Known, committer: Committer, workers: usize) -> Self {
        let decoders = std::thread::available_parallelism().map_or(1, usize::from).min(workers.max(1));
        let decoders = Decoders::new(decoders, CodecLimits::default());
        let (content, harvests) = (Room::new(LIVE_BYTES_MAX), Room::new(LIVE_BYTES_MAX));
        Self { objects, known, committer, content, harvests, decoders, workers: workers.max(1) }
    }

    /// Counts those that were read before.
    ///
    /// # Errors
    /// [`NotCommitted`] when the log cannot be read.
    pub fn look(&self, named: &[Named]) -> Result<Done, NotCommitted> {
        let mut done = Done::default();
        for named in named {
            if self.is_known(&named.object())? {
                done.known += 1;
                done.known_bytes += named.size;
            }
        }
        Ok(done)
    }

    /// Reads those that were not read before. What was read is durable when this returns.
    ///
    /// # Errors
    /// [`NotCommitted`]. What was committed until then stays.
    pub async fn read(&self, named: &[Named]) -> Result<Done, NotCommitted> {
        let mut done = Done::default();
        let mut waiting = named.iter();
        let mut under_way = FuturesUnordered::new();
        loop {
            let room = self.workers - under_way.len();
            waiting.by_ref().take(room).for_each(|named| under_way.push(self.read_one(named)));
            match under_way.next().await {
                Some(one) => done.merge(one?),
                None => return Ok(done),
            }
        }
    }

    fn is_known(&self, object: &ObjectRef) -> Result<bool, NotCommitted> {
        is_known(&self.known, &describe_listed(object)).map_err(|error| NotCommitted { cause: error.to_string().into() })
    }

    async fn read_one(&self, named: &Named) -> Result<Done, NotCommitted> {
        let asked = named.object();
        if self.is_known(&asked)? {
            return Ok(Done { known: 1, known_bytes: named.size, ..Done::default() });
        }
        let content = self.content.enter(usize::try_from(named.size).unwrap_or(usize::MAX)).await;
        let (harvest, decoder) = match self.fetch_patiently(&asked).await {
            Ok((object, content)) => match self.decoders.decode(object, content).await {
                Ok((harvest, decoder)) => (harvest, Some(decoder)),
                Err(failed) => return Ok(not_read(&asked.uri(), &failed)),
            },
            Err(FetchError::TooLarge { size, beginning }) => {
                let error = FetchError::TooLarge { size, beginning: beginning.clone() };
                let head = Head { size, etag: asked.etag.clone(), version: None };
                (Harvest::unusable(describe(&asked, &head, None), DeadLetterReason::TooLarge, error.to_string(), beginning), None)
            }
            Err(error @ FetchError::Failed { .. }) => return Ok(not_read(&asked.uri(), &error)),
        };
        // The content is gone; the decoder's place vouches for the harvest until it has a place of its own.
        drop(content);
        let _harvest = self.harvests.enter(harvest.bytes()).await;
        drop(decoder);
        let done =
            Done { read: 1, read_bytes: named.size, records: harvest.records, dead_letters: harvest.dead_letters(), ..Done::default() };
        self.committer.commit(Entry { harvest: Some(harvest), ..Entry::default() }).await?;
        Ok(done)
    }

    async fn fetch_patiently(&self, object: &ObjectRef) -> Result<(Object, Bytes), FetchError> {
        let mut wait = FETCH_RETRY_WAIT;
        for _ in 1..FETCH_ATTEMPTS_MAX {
            match self.fetch(object).await {
                Err(error) if error.class() == Class::Transient => tracing::debug!(uri = object.uri(), %error, "trying again"),
                fetched => return fetched,
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        self.fetch(object).await
    }

    async fn fetch(&self, object: &ObjectRef) -> Result<(Object, Bytes), FetchError> {
        let fetched = tokio::time::timeout(FETCH_TIMEOUT, async {
            let opened = self.objects.open(object).await?;
            let head = opened.head().clone();
            let content = opened.read().await?;
            Ok((describe(object, &head, Some(&content)), content))
        });
        fetched.await.unwrap_or_else(|_| Err(FetchError::no_answer(FETCH_TIMEOUT)))
    }
}

/// The reason without the object's name: many fail for the same one.
fn not_read(uri: &str, why: &dyn std::fmt::Display) -> Done {
    tracing::info!(uri, %why, "an object was not read");
    Done { failed: 1, reasons: BTreeSet::from([why.to_string()]), ..Done::default() }
}
