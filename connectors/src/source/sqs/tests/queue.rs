//! A queue that works as SQS does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use tokio::sync::Notify;

use super::clock::StillClock;
use crate::source::sqs::classify::{Failure, Reached};
use crate::source::sqs::clock::Clock;
use crate::source::sqs::queue::{Depth, Queue, QueueError, Received};

/// What was asked of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Received(usize),
    /// The ids of one request.
    Delete(Vec<String>),
    /// Which message, for how many seconds, and when.
    Hide(String, u64, u64),
}

#[derive(Clone, Debug)]
struct Kept {
    id: String,
    body: String,
    visible_at: Duration,
    receives: u32,
}

/// What a delete request meets.
#[derive(Clone, Debug)]
pub enum DeleteFault {
    Whole(QueueError),
    /// The places in the request that fail.
    Some(Vec<usize>, QueueError),
}

type BeforeDelete = Box<dyn Fn(&str) + Send>;

#[derive(Default)]
struct QueueState {
    messages: Vec<Kept>,
    asked: Vec<Asked>,
    delete_faults: VecDeque<DeleteFault>,
    receive_faults: VecDeque<QueueError>,
    depth_faults: VecDeque<QueueError>,
    visibility: Duration,
    before_delete: Option<BeforeDelete>,
}

/// A queue of messages.
pub struct FakeQueue {
    clock: Arc<StillClock>,
    state: Mutex<QueueState>,
    sent: Notify,
}

pub fn throttled() -> QueueError {
    QueueError::Failed { failure: failure("ThrottlingException", 400) }
}

pub fn denied() -> QueueError {
    QueueError::Failed { failure: failure("AccessDenied", 403) }
}

pub fn failure(code: &str, status: u16) -> Failure {
    let message = format!("the service says {code}");
    Failure { reached: Reached::Answer, code: Some(code.into()), status: Some(status), message }
}

impl FakeQueue {
    pub fn new(clock: Arc<StillClock>, visibility: Duration) -> Self {
        let state = Mutex::new(QueueState { visibility, ..QueueState::default() });
        Self { clock, state, sent: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap()
    }

    pub fn send(&self, id: &str, body: impl Into<String>) {
        let visible_at = self.clock.elapsed();
        self.state().messages.push(Kept { id: id.into(), body: body.into(), visible_at, receives: 0 });
        self.sent.notify_waiters();
    }

    /// As if the message had been received so often before.
    pub fn received_before(&self, id: &str, receives: u32) {
        self.state().messages.iter_mut().filter(|message| message.id == id).for_each(|message| message.receives = receives);
    }

    /// Somebody else has the message now.
    pub fn take_away(&self, id: &str) {
        self.received_before(id, 1_000);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    pub fn left(&self) -> usize {
        self.state().messages.len()
    }

    pub fn receives(&self, id: &str) -> u32 {
        self.state().messages.iter().find(|message| message.id == id).map_or(0, |message| message.receives)
    }

    pub fn received(&self) -> usize {
        self.asked().iter().map(|asked| if let Asked::Received(count) = asked { *count } else { 0 }).sum()
    }

    /// For how long each message was hidden: (seconds, when).
    pub fn hidden(&self, id: &str) -> Vec<(u64, u64)> {
        let of = |asked: Asked| if let Asked::Hide(of, wait, at) = asked { (of == id).then_some((wait, at)) } else { None };
        self.asked().into_iter().filter_map(of).collect()
    }

    pub fn deletes(&self) -> Vec<Vec<String>> {
        self.asked().into_iter().filter_map(|asked| if let Asked::Delete(ids) = asked { Some(ids) } else { None }).collect()
    }

    pub fn fail_deletes(&self, faults: impl IntoIterator<Item = DeleteFault>) {
        self.state().delete_faults.extend(faults);
    }

    pub fn fail_receives(&self, faults: impl IntoIterator<Item = QueueError>) {
        self.state().receive_faults.extend(faults);
    }

    pub fn fail_depths(&self, faults: impl IntoIterator<Item = QueueError>) {
        self.state().depth_faults.extend(faults);
    }

    pub fn before_delete(&self, look: impl Fn(&str) + Send + 'static) {
        self.state().before_delete = Some(Box::new(look));
    }

    fn take(&self, most: usize) -> Vec<Received> {
        let now = self.clock.elapsed();
        let mut state = self.state();
        let visibility = state.visibility;
        let visible = state.messages.iter_mut().filter(|message| message.visible_at <= now).take(most);
        let received: Vec<Received> = visible
            .map(|message| {
                message.receives += 1;
                message.visible_at = now + visibility;
                Received {
                    id: message.id.clone(),
                    receipt: receipt(&message.id, message.receives),
                    body: message.body.clone(),
                    object: None,
                    receive_count: message.receives,
                    sent_at_ms: Some(1_700_000_000_000),
                }
            })
            .collect();
        if !received.is_empty() {
            state.asked.push(Asked::Received(received.len()));
        }
        received
    }
}

fn receipt(id: &str, receives: u32) -> String {
    format!("{id}#{receives}")
}

fn id_of(receipt: &str) -> String {
    receipt.split('#').next().unwrap().to_owned()
}

impl Queue for FakeQueue {
    fn receive(&self, most: usize) -> BoxFuture<'_, Result<Vec<Received>, QueueError>> {
        async move {
            let until = self.clock.elapsed() + Duration::from_secs(20);
            loop {
                let sent = self.sent.notified();
                if let Some(fault) = self.state().receive_faults.pop_front() {
                    return Err(fault);
                }
                let received = self.take(most);
                if !received.is_empty() || self.clock.elapsed() >= until {
                    return Ok(received);
                }
                tokio::select! {
                    () = sent => {}
                    () = self.clock.sleep(Duration::from_secs(1)) => {}
                }
            }
        }
        .boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<Vec<Result<(), QueueError>>, QueueError>> {
        async move {
            tokio::task::yield_now().await;
            let mut state = self.state();
            let ids: Vec<String> = receipts.iter().map(|receipt| id_of(receipt)).collect();
            state.asked.push(Asked::Delete(ids.clone()));
            let fault = state.delete_faults.pop_front();
            if let Some(DeleteFault::Whole(error)) = fault {
                return Err(error);
            }
            let mut results = Vec::new();
            for (at, (receipt, id)) in receipts.iter().zip(&ids).enumerate() {
                if let Some(DeleteFault::Some(places, error)) = &fault
                    && places.contains(&at)
                {
                    results.push(Err(error.clone()));
                    continue;
                }
                if let Some(look) = &state.before_delete {
                    look(id);
                }
                let ours = state.messages.iter().position(|message| self::receipt(&message.id, message.receives) == *receipt);
                results.push(ours.map(|at| drop(state.messages.remove(at))).ok_or(QueueError::NotOurs));
            }
            Ok(results)
        }
        .boxed()
    }

    fn hide(&self, receipt: String, wait: Duration) -> BoxFuture<'_, Result<(), QueueError>> {
        async move {
            let now = self.clock.elapsed();
            let mut state = self.state();
            state.asked.push(Asked::Hide(id_of(&receipt), wait.as_secs(), now.as_secs()));
            let ours = state.messages.iter_mut().find(|message| self::receipt(&message.id, message.receives) == receipt);
            let ours = ours.filter(|message| message.visible_at > now).ok_or(QueueError::NotOurs)?;
            ours.visible_at = now + wait;
            drop(state);
            self.sent.notify_waiters();
            Ok(())
        }
        .boxed()
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        async move {
            let now = self.clock.elapsed();
            let mut state = self.state();
            if let Some(fault) = state.depth_faults.pop_front() {
                return Err(fault);
            }
            let waiting = state.messages.iter().filter(|message| message.visible_at <= now).count();
            Ok(Depth { waiting: waiting as u64, in_hand: (state.messages.len() - waiting) as u64 })
        }
        .boxed()
    }
}
