//! Objects that a queue tells of: long polling, bounded work, and nothing deleted before it is durable.
//!
//! ```text
//! receive (long poll, only with room) -> message: parse -> objects: fetch -> decode -> commit -> all of them durable: delete
//!                                           \-- heartbeat: hidden at half of the visibility timeout, until deleted or given back
//! ```
//! * [`notification`], [`filter`], [`classify`], `decide`: what messages name, what is read, what failures mean; pure
//! * [`queue`], [`objects`], [`fetch`]: the outside, behind two small traits
//! * `object`, `message`, `heartbeat`, `acks`: one object, one message, its time, its end
//! * `room`, `backlog`, `decoders`: what bounds the work
//! * `counted`, `depth`: what is told of it
//!
//! A delivery that is repeated changes nothing, so whatever is lost between commit and delete is only done twice.

mod acks;
mod backlog;
pub mod classify;
pub mod clock;
mod counted;
mod decide;
pub(in crate::source) mod decoders;
mod depth;
mod failure;
pub mod fetch;
pub mod filter;
mod heartbeat;
mod message;
pub mod notification;
mod object;
pub mod objects;
pub mod options;
pub mod queue;
mod receive;
pub(in crate::source) mod room;
mod shared;
mod state_change;
#[cfg(test)]
pub(in crate::source) mod tests;

use std::sync::{Arc, OnceLock};

use aws_config::SdkConfig;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::acks::Acks;
use self::clock::{Clock, SystemClock};
use self::decoders::Decoders;
use self::fetch::S3Objects;
pub(in crate::source) use self::object::{describe, describe_listed};
use self::objects::Objects;
pub use self::options::{OptionsError, SqsOptions};
use self::queue::{Queue, SqsQueue};
use self::shared::{Rooms, Shared};
use crate::codec::CodecLimits;
use crate::limits::RECEIVERS;
use crate::source::committer::{Committer, NotCommitted};
use crate::source::ledger::Known;
use crate::source::readiness::Readiness;

/// Collects from a queue.
pub struct SqsSource {
    shared: Shared,
}

/// The outside of a source.
pub struct Outside {
    /// The messages.
    pub queue: Arc<dyn Queue>,
    /// The objects that they name.
    pub objects: Arc<dyn Objects>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The inside of a source.
pub struct Inside {
    /// The way into the log.
    pub committer: Committer,
    /// What was read before.
    pub known: Known,
    /// Where problems are told.
    pub readiness: Readiness,
    /// What one object may cost.
    pub codec: CodecLimits,
}

impl SqsSource {
    /// A source that reaches AWS as `config` says. Nothing is asked before [`Self::run`].
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn connect(config: &SdkConfig, options: SqsOptions, inside: Inside) -> Result<Self, OptionsError> {
        let checked = options.check()?;
        let outside = Outside {
            queue: Arc::new(SqsQueue::new(config, &options, &checked)),
            objects: Arc::new(S3Objects::new(config, &options)),
            clock: Arc::new(SystemClock::start()),
        };
        Self::new(outside, options, inside)
    }

    /// A source with this outside.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn new(outside: Outside, options: SqsOptions, inside: Inside) -> Result<Self, OptionsError> {
        let checked = options.check_objects()?;
        let Outside { queue, objects, clock } = outside;
        let Inside { committer, known, readiness, codec } = inside;
        let decoders = std::thread::available_parallelism().map_or(1, usize::from).min(options.workers);
        let shared = Shared {
            queue,
            objects,
            clock,
            committer,
            known,
            readiness,
            rooms: Rooms::new(options.workers, options.max_messages),
            options,
            checked,
            decoders: Decoders::new(decoders, codec),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            log_failed: OnceLock::new(),
        };
        Ok(Self { shared })
    }

    /// Collects until told to end. On `stop` it asks for no more messages, finishes what is being committed within
    /// [`SqsOptions::drain`], gives the rest back and ends. On `now` it ends at once: what is not deleted is delivered again.
    ///
    /// # Errors
    /// [`NotCommitted`] when the log fails: nothing is taken from the queue any more, and nothing was deleted that is not durable.
    pub async fn run(self, stop: CancellationToken, now: CancellationToken) -> Result<(), NotCommitted> {
        let shared = Arc::new(self.shared);
        let messages = TaskTracker::new();
        // Messages that are still worked on are dropped at the end, however it comes.
        let _abandoned = shared.abandon.clone().drop_guard();
        let (acks, deleting_all) = Acks::new(shared.queue.clone(), shared.clock.clone());
        // Whatever ends this future ends its tasks.
        let mut deleting = JoinSet::new();
        deleting.spawn(deleting_all);
        let mut receivers = JoinSet::new();
        for _ in 0..RECEIVERS {
            receivers.spawn(shared.clone().receive(messages.clone(), acks.clone()));
        }
        receivers.spawn(shared.clone().watch_depth());
        tokio::select! {
            () = stop.cancelled() => {}
            () = now.cancelled() => {}
            () = shared.stop.cancelled() => {}
        }
        shared.stop.cancel();
        messages.close();
        let drained = async {
            while receivers.join_next().await.is_some() {}
            messages.wait().await;
            drop(acks);
            while deleting.join_next().await.is_some() {}
        };
        tokio::select! {
            biased;
            () = drained => {}
            () = now.cancelled() => {}
            () = shared.clock.sleep(shared.options.drain) => {
                tracing::warn!(messages = shared.rooms.messages.inside(), "stopping took too long; what is left is delivered again when its visibility timeout ends");
            }
        }
        shared.log_failed.get().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}
