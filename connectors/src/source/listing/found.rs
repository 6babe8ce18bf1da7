//! Objects that a listing found, given out like the messages of a queue: each until it is done with.
//!
//! So all that is done with an object, whatever fails, is the same as for a queue of SQS. What is known of an object between its listings
//! is only in memory: after a restart the next full listing finds it again.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudigrade_pipeline::log::LogError;
use futures::future::{BoxFuture, FutureExt};
use tokio::sync::mpsc;

use crate::limits::{LIST_GIVEN_UP_MAX, LIST_HELD_MAX, LIST_WAITING_MAX, LIST_WAKES_AFTER};
use crate::source::ledger::{Known, is_known};
use crate::source::sqs::clock::Clock;
use crate::source::sqs::describe_listed;
use crate::source::sqs::notification::ObjectRef;
use crate::source::sqs::queue::{Depth, Queue, QueueError, Received};

/// An object that was given out and is not done with.
struct Held {
    object: ObjectRef,
    receives: u32,
    /// When it is given out again, by the clock's [`Clock::elapsed`].
    due: Duration,
}

#[derive(Default)]
struct State {
    held: BTreeMap<u64, Held>,
    /// The order in which what is held is due.
    by_due: BTreeSet<(Duration, u64)>,
    /// Of all that wait or are held, the hashes of their names.
    in_hand: HashSet<u64>,
    /// Of those that are done with although they were not read, such as poison: what they were. They are not read again until they change.
    given_up: HashSet<u64>,
    next: u64,
}

/// Objects that were found.
pub struct Found {
    state: Mutex<State>,
    waiting: mpsc::Sender<ObjectRef>,
    given: tokio::sync::Mutex<mpsc::Receiver<ObjectRef>>,
    known: Known,
    clock: Arc<dyn Clock>,
    visibility: Duration,
    /// Something was forgotten: only a full listing finds it again.
    forgot: AtomicBool,
}

impl Found {
    /// Nothing found yet. What is given out is given out again after `visibility`, unless it is done with by then.
    pub fn new(known: Known, clock: Arc<dyn Clock>, visibility: Duration) -> Self {
        let (waiting, given) = mpsc::channel(LIST_WAITING_MAX);
        let given = tokio::sync::Mutex::new(given);
        Self { state: Mutex::default(), waiting, given, known, clock, visibility, forgot: AtomicBool::new(false) }
    }

    /// Takes what is new of a page, and waits for room for it. Gives how many were new.
    ///
    /// # Errors
    /// Those of reading the log.
    pub async fn offer(self: &Arc<Self>, page: Vec<ObjectRef>) -> Result<usize, LogError> {
        let this = self.clone();
        let new = tokio::task::spawn_blocking(move || this.new_of(page)).await;
        let new = new.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let count = new.len();
        for object in new {
            // The receiver lives as long as this.
            let _ = self.waiting.send(object).await;
        }
        Ok(count)
    }

    /// Those of a page that were not read and are not in hand, which they are from now on.
    fn new_of(&self, page: Vec<ObjectRef>) -> Result<Vec<ObjectRef>, LogError> {
        let mut new = Vec::new();
        for object in page {
            let passed_over = {
                let state = self.state();
                state.in_hand.contains(&name_of(&object)) || state.given_up.contains(&version_of(&object))
            };
            if !passed_over && !self.is_known(&object)? && self.state().in_hand.insert(name_of(&object)) {
                new.push(object);
            }
        }
        Ok(new)
    }

    fn is_known(&self, object: &ObjectRef) -> Result<bool, LogError> {
        is_known(&self.known, &describe_listed(object))
    }

    /// Whether something was forgotten since this was asked last.
    pub fn has_forgotten(&self) -> bool {
        self.forgot.swap(false, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due again, and when the next one is.
    fn due(&self, most: usize) -> (Vec<Received>, Option<Duration>) {
        let now = self.clock.elapsed();
        let mut state = self.state();
        let due: Vec<u64> = state.by_due.iter().take_while(|(at, _)| *at <= now).take(most).map(|(_, id)| *id).collect();
        let given = due.into_iter().filter_map(|id| state.give(id, now + self.visibility)).collect();
        (given, state.by_due.first().map(|(at, _)| *at))
    }

    fn hold(&self, object: ObjectRef) -> Option<Received> {
        let due = self.clock.elapsed() + self.visibility;
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.held.insert(id, Held { object, receives: 0, due });
        state.by_due.insert((due, id));
        state.give(id, due)
    }

    async fn receive_some(&self, most: usize) -> Vec<Received> {
        let (due, next) = self.due(most);
        if !due.is_empty() {
            return due;
        }
        let wait = next.map_or(LIST_WAKES_AFTER, |next| next.saturating_sub(self.clock.elapsed()).min(LIST_WAKES_AFTER));
        let first = async { self.given.lock().await.recv().await };
        let first = tokio::select! {
            biased;
            first = first => first,
            () = self.clock.sleep(wait) => None,
        };
        let Some(first) = first else { return self.due(most).0 };
        let mut found = vec![first];
        if let Ok(mut given) = self.given.try_lock() {
            while found.len() < most
                && let Ok(next) = given.try_recv()
            {
                found.push(next);
            }
        }
        found.into_iter().filter_map(|object| self.hold(object)).collect()
    }

    fn finish(&self, receipt: &str) -> Result<(), QueueError> {
        let held = self.state().drop_held(receipt).ok_or(QueueError::NotOurs)?;
        // Whether it is in the log tells whether it was read; a log that does not say is told of by whoever asks next.
        if !self.is_known(&held.object).unwrap_or(true) {
            let mut state = self.state();
            if state.given_up.len() >= LIST_GIVEN_UP_MAX {
                state.given_up.clear();
            }
            state.given_up.insert(version_of(&held.object));
        }
        self.state().in_hand.remove(&name_of(&held.object));
        Ok(())
    }

    fn rest(&self, receipt: &str, wait: Duration) -> Result<(), QueueError> {
        let now = self.clock.elapsed();
        let mut state = self.state();
        let id = state.id_of(receipt).ok_or(QueueError::NotOurs)?;
        if state.held.len() > LIST_HELD_MAX {
            if let Some(held) = state.drop_held(receipt) {
                state.in_hand.remove(&name_of(&held.object));
            }
            self.forgot.store(true, Ordering::Relaxed);
            return Ok(());
        }
        state.put_off(id, now + wait);
        Ok(())
    }
}

impl State {
    /// The object of a receipt that is still valid.
    fn id_of(&self, receipt: &str) -> Option<u64> {
        let (id, receives) = receipt.split_once('-')?;
        let (id, receives): (u64, u32) = (id.parse().ok()?, receives.parse().ok()?);
        self.held.get(&id).filter(|held| held.receives == receives).map(|_| id)
    }

    fn put_off(&mut self, id: u64, due: Duration) {
        if let Some(held) = self.held.get_mut(&id) {
            self.by_due.remove(&(held.due, id));
            held.due = due;
            self.by_due.insert((due, id));
        }
    }

    fn give(&mut self, id: u64, due: Duration) -> Option<Received> {
        self.put_off(id, due);
        let held = self.held.get_mut(&id)?;
        held.receives += 1;
        let (object, receive_count) = (held.object.clone(), held.receives);
        let sent_at_ms = object.made_at.map(|at| at.0.saturating_mul(1_000));
        Some(Received {
            id: object.uri(),
            receipt: format!("{id}-{receive_count}"),
            body: String::new(),
            object: Some(object),
            receive_count,
            sent_at_ms,
        })
    }

    fn drop_held(&mut self, receipt: &str) -> Option<Held> {
        let id = self.id_of(receipt)?;
        let held = self.held.remove(&id)?;
        self.by_due.remove(&(held.due, id));
        Some(held)
    }
}

impl Queue for Found {
    fn receive(&self, most: usize) -> BoxFuture<'_, Result<Vec<Received>, QueueError>> {
        self.receive_some(most).map(Ok).boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<Vec<Result<(), QueueError>>, QueueError>> {
        let done = receipts.iter().map(|receipt| self.finish(receipt)).collect();
        futures::future::ready(Ok(done)).boxed()
    }

    fn hide(&self, receipt: String, wait: Duration) -> BoxFuture<'_, Result<(), QueueError>> {
        futures::future::ready(self.rest(&receipt, wait)).boxed()
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        let state = self.state();
        let (found, held) = (state.in_hand.len() as u64, state.held.len() as u64);
        futures::future::ready(Ok(Depth { waiting: found.saturating_sub(held), in_hand: held })).boxed()
    }
}

fn name_of(object: &ObjectRef) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.uri().hash(&mut hasher);
    hasher.finish()
}

fn version_of(object: &ObjectRef) -> u64 {
    let mut hasher = DefaultHasher::new();
    (object.uri(), object.size, &object.etag).hash(&mut hasher);
    hasher.finish()
}
