//! One thing that a message names: from its name to its durable records.

use bytes::Bytes;
use cloudigrade_pipeline::log::LogError;
use cloudigrade_schemas::dead_letter::FIRST_BYTES_MAX;
use cloudigrade_schemas::{DeadLetter, DeadLetterReason};
use sha2::{Digest as _, Sha256};

use super::backlog::NotInLine;
use super::classify::Class;
use super::counted;
use super::decide::{Next, next};
use super::filter::{Choice, choose};
use super::notification::{Item, ObjectRef};
use super::objects::{FetchError, Head, Opened};
use super::room::Place;
use super::shared::Shared;
use super::state_change;
use crate::codec::ObjectKind;
use crate::limits::{FETCH_ATTEMPTS_MAX, FETCH_RETRY_WAIT, FETCH_TIMEOUT};
use crate::source::committer::{Entry, NotCommitted};
use crate::source::feed::Object;
use crate::source::harvest::Harvest;
use crate::source::letters::letter_message;

/// The message that names a thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a> {
    pub message_id: &'a str,
    pub body: &'a str,
    /// How often the message was received, this time included.
    pub receives: u32,
}

/// What became of a thing.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Whatever it gave is durable, or there was nothing to do.
    Done(&'static str),
    /// It is to be tried again later.
    Failed(Class),
    /// It was not begun, or given up before anything was committed: the source stops.
    Returned,
    /// The log failed.
    NotCommitted,
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(word) => word,
            Self::Failed(_) => "failed",
            Self::Returned | Self::NotCommitted => "returned",
        }
    }
}

impl From<NotCommitted> for Outcome {
    fn from(_: NotCommitted) -> Self {
        Self::NotCommitted
    }
}

/// A thing that cannot be used: what its dead letter would say.
struct Unusable {
    class: Class,
    reason: DeadLetterReason,
    source: String,
    version: Option<String>,
    detail: String,
    content: Bytes,
}

/// What a fetch gave.
enum Fetched {
    /// The object was read before, as it is now.
    Known,
    /// The object.
    Content(Object, Bytes, Place),
}

impl Shared {
    /// Does what a thing asks for. When it is done, that is durable.
    pub(super) async fn process(&self, item: &Item, named: Named<'_>, waits: NotInLine) -> Outcome {
        let outcome = match item {
            Item::Object(object) => self.object(object, named, waits).await.unwrap_or_else(|outcome| outcome),
            Item::StateChange(event) => self.state_change(event, named).await,
            Item::Subscription { topic, ended } => self.subscription(topic, *ended),
            Item::Unrecognized(why) => self.unrecognized(why.clone(), named).await,
        };
        // Whoever read it, and whenever: what is done shows no problem any more.
        if let (Item::Object(object), Outcome::Done(_)) = (item, &outcome) {
            self.readiness.works(&object.uri());
        }
        counted::object(outcome.word());
        outcome
    }

    async fn state_change(&self, event: &serde_json::Value, named: Named<'_>) -> Outcome {
        match state_change::entry(event) {
            Ok(entry) => self.commit(entry).await.map_or_else(Outcome::from, |()| Outcome::Done("observed")),
            Err(why) => self.unrecognized(why, named).await,
        }
    }

    /// Nothing is confirmed by this program: whoever can send to the queue could have it ask any URL.
    fn subscription(&self, topic: &str, ended: bool) -> Outcome {
        let queue = self.options.queue_name();
        if ended {
            tracing::warn!(
                queue,
                topic,
                "SNS says that this queue is no longer subscribed to the topic: nothing comes from there any more; subscribe it again if that was not meant"
            );
        } else {
            tracing::warn!(
                queue,
                topic,
                "SNS asks to confirm that the topic may send to this queue, which this program never does: nothing comes from there yet. \
                 A subscription that the queue's own account makes needs no confirmation: make it from there (aws sns subscribe). \
                 If another account must make it, stop this program, subscribe again, and open the SubscribeURL of the message that then is in the queue"
            );
        }
        Outcome::Done("ignored")
    }

    async fn unrecognized(&self, why: String, named: Named<'_>) -> Outcome {
        let detail = format!("{why}; send notifications of new objects to this queue, and nothing else");
        let source = format!("sqs://{}/{}", self.options.queue_name(), named.message_id);
        let content = Bytes::copy_from_slice(&named.body.as_bytes()[..named.body.len().min(FIRST_BYTES_MAX)]);
        let reason = DeadLetterReason::Unrecognized;
        self.settle(Unusable { class: Class::Content, reason, source, version: None, detail, content }, named).await
    }

    /// What is done about an object; `Err` is as good an outcome as `Ok`, and only ends the way earlier.
    async fn object(&self, named_object: &ObjectRef, named: Named<'_>, waits: NotInLine) -> Result<Outcome, Outcome> {
        match choose(named_object, &self.checked) {
            Choice::Ignore => return Ok(Outcome::Done("ignored")),
            Choice::BucketNotAllowed => {
                let detail = format!(
                    "the message names bucket {}, which is not listed; if it is yours, add it to source.sqs.buckets and replay this letter",
                    named_object.bucket
                );
                let (class, reason) = (Class::Content, DeadLetterReason::BucketNotAllowed);
                return Ok(self.settle(unusable(named_object, class, reason, detail), named).await);
            }
            Choice::Read => {}
        }
        let tells_its_version = named_object.size.is_some() && named_object.etag.is_some();
        if tells_its_version && self.is_known(&describe_listed(named_object))? {
            return Ok(Outcome::Done("duplicate"));
        }
        let read = async {
            let _in_line = self.rooms.in_line.enter(1).await;
            drop(waits);
            let _worker = self.rooms.workers.enter(1).await;
            self.read(named_object, named).await
        };
        let (harvest, place) = tokio::select! {
            biased;
            read = read => read?,
            () = self.stop.cancelled() => return Err(Outcome::Returned),
        };
        let (partly, unusable) = (harvest.dead_letters() > 0, harvest.kind == ObjectKind::Unusable);
        self.commit(Entry { harvest: Some(harvest), ..Entry::default() }).await?;
        drop(place);
        self.rooms.count();
        if let Some(made_at) = named_object.made_at {
            counted::committed((self.clock.wall_ms() as f64 / 1e3 - made_at.0 as f64).max(0.0));
        }
        Ok(Outcome::Done(if unusable {
            "buried"
        } else if partly {
            "partly"
        } else {
            "read"
        }))
    }

    /// Fetches and decodes. What comes back is to be committed; the place is that of its bytes.
    async fn read(&self, named_object: &ObjectRef, named: Named<'_>) -> Result<(Harvest, Place), Outcome> {
        let (object, content, place) = match self.fetch_patiently(named_object).await {
            Ok(Ok(Fetched::Content(object, content, place))) => (object, content, place),
            Ok(Ok(Fetched::Known)) => return Err(Outcome::Done("duplicate")),
            Ok(Err(error)) => return Err(self.not_fetched(named_object, error, named).await),
            Err(outcome) => return Err(outcome),
        };
        self.rooms.count();
        counted::bytes(content.len());
        let (harvest, decoder) = match self.decoders.decode(object, content).await {
            Ok(decoded) => decoded,
            Err(failed) => {
                let failed = unusable(named_object, Class::Content, DeadLetterReason::Unreadable, failed.to_string());
                return Err(self.settle(failed, named).await);
            }
        };
        // What is wrong with the content may be wrong with this one answer: it is believed when it comes twice.
        if harvest.kind == ObjectKind::Unusable && next(Class::Content, named.receives, 0) == Next::Rest {
            let why = harvest.letters(self.clock.wall()).map(|letter| letter.detail).collect::<Vec<_>>().join("; ");
            return Err(self.rests(&named_object.uri(), Class::Content, named, &why));
        }
        counted::records(harvest.records);
        let bytes = harvest.bytes();
        // The content is gone; the decoder's place vouches for the harvest until it has a place of its own.
        drop(place);
        let harvests = self.rooms.harvests.enter(bytes).await;
        drop(decoder);
        Ok((harvest, harvests))
    }

    /// Fetches, and tries again when an answer breaks off.
    async fn fetch_patiently(&self, named_object: &ObjectRef) -> Result<Result<Fetched, FetchError>, Outcome> {
        let mut wait = FETCH_RETRY_WAIT;
        for _ in 1..FETCH_ATTEMPTS_MAX {
            match self.fetch(named_object).await? {
                Err(error) if error.class() == Class::Transient => {
                    tracing::debug!(uri = named_object.uri(), %error, "an object was not read; trying again");
                }
                fetched => return Ok(fetched),
            }
            self.clock.sleep(wait).await;
            wait *= 2;
        }
        self.fetch(named_object).await
    }

    async fn fetch(&self, named_object: &ObjectRef) -> Result<Result<Fetched, FetchError>, Outcome> {
        let opened: Box<dyn Opened> = match self.in_time(self.objects.open(named_object)).await {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let head = opened.head().clone();
        if head.etag.is_some() && self.is_known(&describe(named_object, &head, None))? {
            return Ok(Ok(Fetched::Known));
        }
        // A size that is not announced may be any: such an object is read alone.
        let announced = head.size.map_or(usize::MAX, |size| usize::try_from(size).unwrap_or(usize::MAX));
        let place = self.rooms.content.enter(announced).await;
        let read = self.in_time(opened.read()).await;
        Ok(read.map(|content| {
            let object = describe(named_object, &head, Some(&content));
            Fetched::Content(object, content, place)
        }))
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        tokio::select! {
            biased;
            answer = asked => answer,
            () = self.clock.sleep(FETCH_TIMEOUT) => Err(FetchError::no_answer(FETCH_TIMEOUT)),
        }
    }

    fn is_known(&self, object: &Object) -> Result<bool, Outcome> {
        match (self.known)(object) {
            Ok(known) => Ok(known),
            Err(LogError::Retry { .. }) => Err(Outcome::Failed(Class::Transient)),
            Err(error) => {
                self.fail(&NotCommitted { cause: error.to_string().into() });
                Err(Outcome::NotCommitted)
            }
        }
    }

    async fn not_fetched(&self, object: &ObjectRef, error: FetchError, named: Named<'_>) -> Outcome {
        let class = error.class();
        let uri = object.uri();
        match &error {
            FetchError::Failed { failure } if class == Class::Environment => {
                let code = failure.code.clone().unwrap_or_else(|| failure.status.map_or_else(|| "NotSent".to_owned(), |s| s.to_string()));
                self.readiness.report(&object.place(), &code, &uri, format!("{uri}: {error}"), self.clock.wall());
            }
            _ => {}
        }
        let (reason, content) = match &error {
            FetchError::TooLarge { beginning, .. } => (DeadLetterReason::TooLarge, beginning.clone()),
            FetchError::Failed { .. } => (DeadLetterReason::Gone, Bytes::new()),
        };
        let detail = format!("{error}; if it is there again, replay this letter");
        self.settle(Unusable { content, ..unusable(object, class, reason, detail) }, named).await
    }

    fn rests(&self, source: &str, class: Class, named: Named<'_>, detail: &str) -> Outcome {
        counted::error(class);
        tracing::warn!(source, class = class.word(), receives = named.receives, detail, "left in the queue, to be tried again");
        Outcome::Failed(class)
    }

    /// Lets the message rest, or writes the dead letter.
    async fn settle(&self, unusable: Unusable, named: Named<'_>) -> Outcome {
        let Unusable { class, reason, source, version, detail, content } = unusable;
        if next(class, named.receives, self.options.max_receive_count) == Next::Rest {
            return self.rests(&source, class, named, &detail);
        }
        counted::error(class);
        tracing::warn!(source, class = class.word(), receives = named.receives, detail, "given up: a dead letter is written");
        let letter = DeadLetter::new(source, None, reason, detail, &content, self.clock.wall()).with_version(version);
        match letter_message(&letter) {
            Ok(message) => {
                let entry = Entry { messages: vec![message], ..Entry::default() };
                self.commit(entry).await.map_or_else(Outcome::from, |()| Outcome::Done("buried"))
            }
            Err(error) => {
                self.fail(&NotCommitted { cause: error.to_string().into() });
                Outcome::NotCommitted
            }
        }
    }
}

fn unusable(object: &ObjectRef, class: Class, reason: DeadLetterReason, detail: String) -> Unusable {
    Unusable { class, reason, source: object.uri(), version: object.version.clone(), detail, content: Bytes::new() }
}

/// An object that was listed, or whose notification tells size and ETag, as the ledger knows it.
pub(in crate::source) fn describe_listed(named: &ObjectRef) -> Object {
    describe(named, &Head { size: named.size, etag: named.etag.clone(), version: None }, None)
}

/// The object as the ledger knows it. Its fingerprint is that of a listing of the bucket, so what was ingested from there is known here.
pub(in crate::source) fn describe(named: &ObjectRef, head: &Head, content: Option<&Bytes>) -> Object {
    let size = head.size.or(named.size).or(content.map(|content| content.len() as u64)).unwrap_or_default();
    let fingerprint = match (&head.etag, content) {
        // Of a file it is the time of its last change, written as the ledger has it of folders.
        (Some(changed), _) if named.on_disk => format!("{size}-{changed}"),
        (Some(etag), _) => format!("{size}-\"{etag}\""),
        (None, Some(content)) => format!("{size}-{:x}", Sha256::digest(content)),
        (None, None) => String::new(),
    };
    Object { uri: named.uri(), version: named.version.clone().or_else(|| head.version.clone()), fingerprint, size }
}
