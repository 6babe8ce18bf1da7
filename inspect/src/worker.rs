//! The worker: takes commands, has each inspection take its steps, and writes what came of each before the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cloudigrade_pipeline::log::{Log, LogError};
use cloudigrade_schemas::inspection::{CommandId, InspectionEnd, InspectionOrder, InspectionState};
use cloudigrade_schemas::{Account, Inspection, InspectionCommand, UtcSecond};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::advance::{Gave, agree, begin_looking, clean_up, give_up_if_late, wait_on};
use crate::batch::{Batch, BatchState};
use crate::batching::{BatchGave, gather, look_at, members_after};
use crate::book::{Book, Entry, TASK};
use crate::cloud::{Cloud, FindingsMessage, Place, Step, TaggedResource};
use crate::hold::Hold;
use crate::intake::{Registered, accept, find_reader, hear_of_accounts};
use crate::limits::{LOOK_FOR_WORK_EVERY, QUEUE_RETRY, STEPS_AT_ONCE_MAX, WAITING_PER_TURN_MAX};
use crate::settings::Settings;
use crate::steps::{has_step, take, take_of_batch};

/// Why the worker cannot go on. All that it had done is durable, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log failed, or another worker took over.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The wall clock.
pub type Clock = Arc<dyn Fn() -> UtcSecond + Send + Sync>;

/// What is being done in the cloud, at most one at a time of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    Inspection(CommandId),
    Batch(String),
    Listing(Place),
    Removing(Place, TaggedResource),
}

impl Doing {
    /// The outcome of what was taken no further because another worker may be at work. Where none is, it is done again.
    fn not_taken(self) -> Outcome {
        let detail = || "the log was not reached for too long, so that another worker may be at work".to_owned();
        match self {
            Self::Inspection(_) => Outcome::Inspection(Step::Retry { detail: detail() }),
            Self::Batch(_) => Outcome::Batch(Step::Retry { detail: detail() }),
            Self::Listing(_) => Outcome::Listed(Step::Retry { detail: detail() }),
            Self::Removing(..) => Outcome::Removed(Step::Retry { detail: detail() }),
        }
    }
}

/// What came of it.
pub(crate) enum Outcome {
    Inspection(Step<Gave>),
    Batch(Step<BatchGave>),
    Listed(Step<Vec<TaggedResource>>),
    Removed(Step<()>),
}

/// Carries inspections out.
pub struct Worker<C: Cloud, L: Log> {
    pub(crate) cloud: Arc<C>,
    pub(crate) book: Book<L::Task>,
    pub(crate) settings: Settings,
    pub(crate) accounts: watch::Receiver<Arc<Vec<Account>>>,
    pub(crate) clock: Clock,
    pub(crate) running: FuturesUnordered<BoxFuture<'static, (Doing, Outcome)>>,
    pub(crate) busy: BTreeSet<Doing>,
    /// Whether it may still act.
    pub(crate) hold: Hold,
    /// When is looked for what is left over.
    pub(crate) reap_at: UtcSecond,
}

impl<C: Cloud, L: Log> Worker<C, L>
where
    L::Task: 'static,
{
    /// A worker that goes on from where the last one was. From now on no other one can write anything.
    ///
    /// # Errors
    /// Those of opening the task and reading its state.
    pub fn open(
        log: &L,
        cloud: Arc<C>,
        settings: Settings,
        accounts: watch::Receiver<Arc<Vec<Account>>>,
        clock: Clock,
    ) -> Result<Self, WorkerError> {
        let partitions = log.partitions();
        let all: Vec<u32> = (0..partitions).collect();
        let book = Book::open(log.open_task(TASK, &all)?, partitions)?;
        let (hold, reap_at) = (Hold::new(Arc::clone(&clock)), clock());
        Ok(Self { cloud, book, settings, accounts, clock, running: FuturesUnordered::new(), busy: BTreeSet::new(), hold, reap_at })
    }

    /// Works until it is told to stop. What is being done then is left: it is done again, or adopted, by the next worker.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), WorkerError> {
        let mut receiving: Option<BoxFuture<'static, Result<Vec<FindingsMessage>, String>>> = None;
        loop {
            self.begin_all().await?;
            if receiving.is_none() && !self.book.batches().is_empty() {
                let cloud = Arc::clone(&self.cloud);
                receiving = Some(async move { cloud.receive_findings().await }.boxed());
            }
            // What is waited for here may be given up at any time; commits are not among it.
            let received = async {
                match &mut receiving {
                    Some(receiving) => receiving.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                Some((doing, outcome)) = self.running.next() => self.settle(doing, outcome).await?,
                messages = received => {
                    receiving = match messages {
                        Ok(messages) => {
                            self.settle_messages(messages).await?;
                            None
                        }
                        Err(error) => {
                            tracing::warn!(error, "the queue of findings cannot be read; it is tried again");
                            Some(async { tokio::time::sleep(QUEUE_RETRY).await; Ok(Vec::new()) }.boxed())
                        }
                    };
                }
                () = tokio::time::sleep(LOOK_FOR_WORK_EVERY) => {}
            }
        }
    }

    /// Begins all that is to be done now, and waits until it is done, with what follows from it at once.
    ///
    /// # Errors
    /// [`WorkerError`].
    pub async fn turn(&mut self) -> Result<(), WorkerError> {
        loop {
            self.begin_all().await?;
            let Some((doing, outcome)) = self.running.next().await else { return Ok(()) };
            self.settle(doing, outcome).await?;
        }
    }

    /// Takes commands, and begins each step that is due.
    async fn begin_all(&mut self) -> Result<(), WorkerError> {
        self.take_commands().await?;
        let now = (self.clock)();
        self.end_what_is_over(now).await?;
        self.begin_inspections(now).await?;
        self.make_batches(now).await?;
        self.begin_reaping(now);
        self.begin_steps(now);
        self.measure();
        Ok(())
    }

    async fn take_commands(&mut self) -> Result<(), WorkerError> {
        let told = self.book.commands().await?;
        if told.asked {
            self.hold.heard();
        }
        if told.positions.is_empty() {
            return Ok(());
        }
        let now = (self.clock)();
        metrics::counter!("cloudigrade_inspection_commands_unreadable_total").increment(told.unreadable);
        let accounts = self.accounts.borrow().clone();
        let registered = Registered::of(&accounts);
        let mut changed: BTreeMap<CommandId, Inspection> = BTreeMap::new();
        for command in told.commands {
            let known = match changed.get(&command.command_id).or_else(|| self.book.live().get(&command.command_id)) {
                Some(known) => Some(known.clone()),
                None => self.book.attempt(&command.image_id, command.attempt).await?,
            };
            if let Some(inspection) = self.follow(command, known, &registered, now) {
                changed.insert(inspection.command_id.clone(), inspection);
            }
        }
        let entry = Entry { inspections: changed.into_values().collect(), positions: told.positions, ..Entry::default() };
        self.book.commit(entry, now).await?;
        self.hold.heard();
        Ok(())
    }

    /// What a command makes of its inspection; `None` where it changes nothing.
    fn follow(
        &self,
        command: InspectionCommand,
        known: Option<Inspection>,
        registered: &Registered<'_>,
        now: UtcSecond,
    ) -> Option<Inspection> {
        match (command.order, known) {
            (_, Some(inspection)) if inspection.state == InspectionState::Over => None,
            (InspectionOrder::Inspect, None) => {
                let mut inspection = accept(command, &self.settings, now);
                find_reader(&mut inspection, registered);
                Some(inspection)
            }
            (InspectionOrder::Inspect, Some(inspection)) => hear_of_accounts(&inspection, &command, now),
            (InspectionOrder::Agree, Some(mut inspection)) if inspection.end.is_none() => {
                agree(&mut inspection, command.by, &self.settings, now);
                Some(inspection)
            }
            // A step of it may be under way: what that makes is to be known before it is removed.
            (InspectionOrder::Abort, Some(mut inspection)) if inspection.end.is_none() => {
                inspection.end = Some(InspectionEnd::Aborted);
                inspection.aborted_by = command.by;
                inspection.changed_at = inspection.changed_at.max(now);
                Some(inspection)
            }
            _ => None,
        }
    }

    /// Ends attempts that were given up or are late, and batches that nobody waits for.
    async fn end_what_is_over(&mut self, now: UtcSecond) -> Result<(), WorkerError> {
        let inspections = self.ended_inspections(now);
        self.write(Entry { inspections, ..Entry::default() }, now).await?;
        let entry = self.ended_batches(now);
        self.write(entry, now).await
    }

    fn ended_inspections(&self, now: UtcSecond) -> Vec<Inspection> {
        let ended = |inspection: &Inspection| match &inspection.end {
            Some(end) if inspection.state != InspectionState::CleaningUp => {
                let mut inspection = inspection.clone();
                clean_up(&mut inspection, end.clone(), now);
                Some(inspection)
            }
            _ => give_up_if_late(inspection, now),
        };
        self.book.live().values().filter(|inspection| !self.is_busy(inspection)).filter_map(ended).collect()
    }

    fn ended_batches(&self, now: UtcSecond) -> Entry {
        let is_free = |batch: &&Batch| !self.busy.contains(&Doing::Batch(batch.batch_id.clone()));
        let ended = self.book.batches().values().filter(is_free).filter_map(|batch| look_at(batch, self.book.live(), now));
        let batches: Vec<Batch> = ended.collect();
        let inspections = batches.iter().flat_map(|batch| members_after(batch, self.book.live(), now)).collect();
        Entry { inspections, batches, ..Entry::default() }
    }

    /// Begins with inspections that wait, as far as there is room, the image has no earlier attempt, and somebody can be asked.
    async fn begin_inspections(&mut self, now: UtcSecond) -> Result<(), WorkerError> {
        let (still_waiting, inspections) = self.beginnings(now);
        self.book.put_off(still_waiting);
        self.write(Entry { inspections, ..Entry::default() }, now).await
    }

    /// The inspections that wait on for the same reason, which is nothing to write down, and those that begin or wait for another reason.
    fn beginnings(&self, now: UtcSecond) -> (Vec<Inspection>, Vec<Inspection>) {
        use InspectionState::{AwaitingConsent, CleaningUp, Waiting};
        let accounts = self.accounts.borrow().clone();
        let registered = Registered::of(&accounts);
        let begun = || self.book.live().values().filter(|inspection| inspection.state != Waiting);
        // Who cannot get rid of what it made, mostly as its account is gone, is not waited for: others can be asked.
        let is_given_up = |inspection: &&Inspection| inspection.state == CleaningUp && inspection.deadline_at.is_none();
        let in_the_way = begun().filter(|inspection| !is_given_up(inspection));
        let mut at_work: BTreeSet<&str> = in_the_way.map(|inspection| inspection.image_id.as_str()).collect();
        let taken = begun().filter(|inspection| !matches!(inspection.state, AwaitingConsent | CleaningUp)).count();
        let mut room = self.settings.at_once.saturating_sub(taken);
        let is_due = |inspection: &&Inspection| inspection.state == Waiting && inspection.end.is_none() && inspection.due_at <= now;
        let mut due: Vec<&Inspection> = self.book.live().values().filter(is_due).collect();
        due.sort_by_key(|inspection| (inspection.created_at, inspection.attempt, &inspection.command_id));
        due.truncate(WAITING_PER_TURN_MAX);
        let (mut still_waiting, mut changed) = (Vec::new(), Vec::new());
        for inspection in due {
            let mut after = inspection.clone();
            if !at_work.insert(&inspection.image_id) {
                wait_on(&mut after, "an earlier attempt to inspect the image still removes what it made", now);
            } else if room == 0 {
                wait_on(&mut after, "as many inspections as are configured are at work", now);
            } else if !find_reader(&mut after, &registered) {
                wait_on(&mut after, "none of the accounts that own or use the image is registered and enabled: register one", now);
            } else {
                room -= 1;
                begin_looking(&mut after, &self.settings, now);
                after.changed_at = after.changed_at.max(now);
            }
            let waits_on = after.state == Waiting && after.problem == inspection.problem;
            let list = if waits_on { &mut still_waiting } else { &mut changed };
            list.push(after);
        }
        (still_waiting, changed)
    }

    async fn make_batches(&mut self, now: UtcSecond) -> Result<(), WorkerError> {
        let is_ready = |inspection: &&Inspection| inspection.state == InspectionState::Ready && inspection.end.is_none();
        let ready: Vec<&Inspection> = self.book.live().values().filter(is_ready).collect();
        let room = self.settings.scanners_at_once.saturating_sub(self.book.batches().len());
        let made = gather(ready, room, &self.settings, now);
        for (batch, inspections) in made {
            tracing::info!(batch = batch.batch_id, volumes = batch.members.len(), "a scanner is started");
            self.write(Entry { inspections, batches: vec![batch], ..Entry::default() }, now).await?;
        }
        Ok(())
    }

    fn is_busy(&self, inspection: &Inspection) -> bool {
        self.busy.contains(&Doing::Inspection(inspection.command_id.clone()))
    }

    /// Begins the steps that are due, as many as may be taken at once. Scanners cost by the second, so they come first.
    fn begin_steps(&mut self, now: UtcSecond) {
        let of_batches = self.book.batches().values().filter(|batch| batch.due_at <= now && batch.state != BatchState::Draining);
        let mut begun: Vec<(Doing, BoxFuture<'static, Outcome>)> = Vec::new();
        for batch in of_batches {
            let step = take_of_batch(Arc::clone(&self.cloud), batch.clone()).map(Outcome::Batch);
            begun.push((Doing::Batch(batch.batch_id.clone()), step.boxed()));
        }
        let mut due: Vec<&Inspection> =
            self.book.live().values().filter(|inspection| has_step(inspection.state) && inspection.due_at <= now).collect();
        due.sort_by_key(|inspection| (inspection.due_at, &inspection.command_id));
        for inspection in due {
            let step = take(Arc::clone(&self.cloud), inspection.clone()).map(Outcome::Inspection);
            begun.push((Doing::Inspection(inspection.command_id.clone()), step.boxed()));
        }
        for (doing, step) in begun {
            self.begin(doing, step);
        }
    }

    /// Begins something, unless it is under way or there is no room.
    pub(crate) fn begin(&mut self, doing: Doing, step: BoxFuture<'static, Outcome>) {
        if self.running.len() < STEPS_AT_ONCE_MAX && self.busy.insert(doing.clone()) {
            let given_up = doing.clone();
            let step = self.hold.guard(step, move || given_up.not_taken());
            self.running.push(step.map(move |outcome| (doing, outcome)).boxed());
        }
    }

    async fn settle(&mut self, doing: Doing, outcome: Outcome) -> Result<(), WorkerError> {
        self.busy.remove(&doing);
        let now = (self.clock)();
        match (doing, outcome) {
            (Doing::Inspection(command_id), Outcome::Inspection(outcome)) => self.settle_step(&command_id, outcome, now).await,
            (Doing::Batch(batch_id), Outcome::Batch(outcome)) => self.settle_batch(&batch_id, outcome, now).await,
            (Doing::Listing(place), Outcome::Listed(listed)) => {
                self.begin_removing(&place, listed, now);
                Ok(())
            }
            (Doing::Removing(place, resource), Outcome::Removed(removed)) => {
                self.tell_removed(&place, &resource, removed);
                Ok(())
            }
            // What is begun has its own kind of outcome.
            _ => Ok(()),
        }
    }

    /// How many inspections are in which state, for metrics.
    fn measure(&self) {
        for state in InspectionState::ALL {
            let count = self.book.live().values().filter(|inspection| inspection.state == state).count();
            metrics::gauge!("cloudigrade_inspections", "state" => state.word()).set(count as f64);
        }
        metrics::gauge!("cloudigrade_scanners").set(self.book.batches().len() as f64);
    }
}
