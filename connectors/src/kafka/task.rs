//! A task of the log on Kafka.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use cloudigrade_pipeline::log::{KeyValue, LogError, PollLimits, Record, Sharing, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use cloudigrade_schemas::Topic;

use crate::kafka::Shared;
use crate::kafka::cache::{Change, Shelf};
use crate::kafka::client::{Landed, UNTRACKED};
use crate::kafka::cloud_event;
use crate::kafka::failure;
use crate::kafka::inputs::Inputs;
use crate::kafka::pause::patiently;
use crate::kafka::record::{self, Budget};
use crate::kafka::register;
use crate::kafka::session::{Failed, Sending, Session};
use crate::limits as l;

/// A task of the log on Kafka.
pub struct KafkaTask {
    id: TaskId,
    log: Arc<Shared>,
    session: Session,
    inputs: Inputs,
    /// Another opening was seen in a commit.
    is_fenced: bool,
    /// Nothing more can be done: a commit's outcome is unknown, or the session broke.
    is_over: bool,
    /// What a poll met that had records to give: the library may tell it only once.
    failed: Option<LogError>,
    /// Whether other processes change the same state.
    is_one_of_many: bool,
    fresh: RefCell<Fresh>,
    /// Where the mark of the last commit lies in a changelog, behind this task's own last record. What others write between has the cache
    /// read.
    markers: BTreeMap<Shelf, u64>,
}

/// Shelves that the cache holds as of after this task had their partitions, or after its last commit.
#[derive(Default)]
struct Fresh {
    /// Since which coming of partitions.
    times_given: u64,
    shelves: BTreeSet<Shelf>,
}

impl KafkaTask {
    /// Opens a task; waits for a broker that is away, and for whoever opens it at the same moment.
    pub(super) fn open(log: &Arc<Shared>, spec: TaskSpec, partitions: &[u32]) -> Result<Self, LogError> {
        patiently(failure::may_succeed, || Self::open_now(Arc::clone(log), spec, partitions))
    }

    fn open_now(log: Arc<Shared>, spec: TaskSpec, partitions: &[u32]) -> Result<Self, LogError> {
        const OPENING: &str = "opening a task";
        let id = spec.id;
        // First the fence: what the predecessor still commits before it is in the positions, and nothing after it.
        let mut session = Session::open(&log.options, &log.names.transactional_id(spec, &log.options.member), id)?;
        let opening = match spec.sharing {
            Sharing::Alone => Some(register::announce(&mut session, &log.names, id)?),
            Sharing::Divided | Sharing::OfEach => None,
        };
        let inputs = Inputs::open(Arc::clone(&log), spec, partitions, opening)
            .map_err(|error| failure::about_group(&log.names.group(id), &error, failure::outside(OPENING, None, &error)));
        Ok(Self {
            id,
            log,
            session,
            inputs: inputs?,
            is_fenced: false,
            is_over: false,
            failed: None,
            is_one_of_many: spec.sharing == Sharing::OfEach,
            fresh: RefCell::default(),
            markers: BTreeMap::new(),
        })
    }

    /// Answers with a failure, which is the end of the task unless it may succeed later.
    fn end<T>(&mut self, error: LogError) -> Result<T, LogError> {
        self.is_over |= !matches!(error, LogError::Retry { .. });
        self.is_fenced |= matches!(error, LogError::Fenced { .. });
        Err(error)
    }

    /// What a failure of polling means. Where the group says that another has this member's name, that may be this process itself, which was not
    /// heard of for long and came back; whether it is another, the session knows.
    fn judge(&mut self, error: LogError) -> LogError {
        const DOING: &str = "joining the processes that share a task again";
        if !(self.inputs.are_divided() && matches!(error, LogError::Fenced { .. })) {
            return error;
        }
        let again = register::prove(&mut self.session, &self.log.names, self.id)
            .and_then(|()| self.inputs.rewind().map_err(|error| failure::outside(DOING, None, &error)));
        match again {
            Ok(()) => LogError::Retry { doing: DOING, cause: "this process was not heard of for long".to_owned() },
            Err(error) => error,
        }
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.is_fenced || self.inputs.is_fenced {
            return Err(LogError::Fenced { task: self.id });
        }
        if self.is_over {
            return Err(LogError::Storage {
                doing: "going on with a task",
                cause: format!("an earlier failure ended {}", self.id),
                help: "open the task again",
            });
        }
        Ok(())
    }

    /// Has the cache hold a shelf as of after this task had its partition, since when nobody else changes it; or where others do, as of after
    /// its last commit.
    fn freshen(&self, shelf: Shelf) -> Result<(), LogError> {
        let given = self.inputs.times_given;
        if self.fresh.borrow().times_given != given {
            *self.fresh.borrow_mut() = Fresh { times_given: given, shelves: BTreeSet::new() };
        }
        if self.fresh.borrow().shelves.contains(&shelf) {
            return Ok(());
        }
        self.log.state.check(shelf.0)?;
        let began = Instant::now();
        loop {
            match self.log.state.catch_up(&self.log.ends, &self.log.readers, shelf) {
                Err(LogError::Retry { .. }) if began.elapsed() < l::KAFKA_COMMIT_MAX => std::thread::sleep(l::KAFKA_RETRY_MAX),
                caught_up => break caught_up.map_err(failure::ending)?,
            }
        }
        self.fresh.borrow_mut().shelves.insert(shelf);
        Ok(())
    }

    /// After a commit: its changes go to the cache. What fails here only has the cache read the changelog again.
    fn keep(&mut self, shelves: Vec<(Shelf, Vec<Change>)>, landed: &BTreeMap<usize, Landed>) {
        for (number, (shelf, changes)) in shelves.into_iter().enumerate() {
            let applied = match landed.get(&number) {
                Some(landed) => self.log.state.apply(shelf, *landed, self.markers.get(&shelf).copied(), &changes),
                None => Ok(false),
            };
            match (applied, landed.get(&number)) {
                (Ok(true), Some(landed)) => {
                    self.markers.insert(shelf, landed.last + 1);
                }
                (other, _) => {
                    if let Err(error) = other {
                        tracing::warn!(store = shelf.0.0, partition = shelf.1, "a commit was not applied to the cache of state: {error}");
                    }
                    self.markers.remove(&shelf);
                    self.fresh.borrow_mut().shelves.remove(&shelf);
                }
            }
        }
    }
}

impl StateRead for KafkaTask {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        self.freshen((store, partition))?;
        self.log.state.cache.get((store, partition), key).map_err(|error| failure::cache(&error))
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        self.freshen((store, partition))?;
        self.log.state.cache.scan((store, partition), prefix).map_err(|error| failure::cache(&error))
    }
}

impl Task for KafkaTask {
    fn poll(&mut self, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        self.check_usable()?;
        if let Some(error) = self.failed.take() {
            return self.end(error);
        }
        let (mut budget, mut records) = (Budget::new(limits), Vec::new());
        self.inputs.wait_for_group().map_err(|error| self.judge(error)).or_else(|error| self.end(error))?;
        let polled = self.inputs.gather(&mut budget, &mut records).map_err(|error| self.inputs.failed("reading records", &error));
        let polled = polled.and_then(|()| {
            if records.is_empty() && !budget.is_spent() { self.inputs.confirm_empty(&mut budget, &mut records) } else { Ok(()) }
        });
        let polled = match polled {
            Err(error @ LogError::Fenced { .. }) if self.inputs.are_divided() => {
                records.clear();
                Err(self.judge(error))
            }
            polled => polled,
        };
        self.check_usable()?;
        match polled {
            // What was taken is given. What may succeed later is met again.
            Err(LogError::Retry { .. }) | Ok(()) if !records.is_empty() => Ok(records),
            Err(error) if !records.is_empty() => {
                self.failed = Some(error);
                Ok(records)
            }
            Err(error) => self.end(error),
            Ok(()) => Ok(records),
        }
    }

    fn commit(&mut self, txn: Txn) -> Result<(), LogError> {
        self.check_usable()?;
        record::check(&txn)?;
        txn.state.iter().try_for_each(|change| self.log.state.check(change.store))?;
        if txn.is_empty() {
            return Ok(());
        }
        let positions = self.inputs.positions(&txn.positions)?;
        let mut shelves: BTreeMap<Shelf, Vec<Change>> = BTreeMap::new();
        for change in txn.state {
            shelves.entry((change.store, change.partition)).or_default().push((change.key, change.value));
        }
        let shelves: Vec<_> = shelves.into_iter().collect();
        let topics: BTreeMap<Topic, String> = txn.outputs.iter().map(|output| (output.topic, self.log.names.topic(output.topic))).collect();
        let changelogs: Vec<String> = shelves.iter().map(|((store, _), _)| self.log.names.changelog(*store)).collect();
        let values: Vec<Vec<Vec<u8>>> =
            shelves.iter().map(|(_, changes)| changes.iter().map(|(_, value)| record::encode_change(value.as_deref())).collect()).collect();
        let outputs = txn.outputs.iter().map(|output| Sending {
            topic: topics.get(&output.topic).map_or("", String::as_str),
            partition: output.partition,
            key: &output.key,
            value: &output.value,
            millis: record::millis(output.entered_at).unwrap_or(1),
            headers: cloud_event::headers(output),
            number: UNTRACKED,
        });
        let changed = shelves.iter().zip(&changelogs).zip(&values).enumerate();
        let state = changed.flat_map(|(number, (((shelf, changes), topic), values))| {
            changes.iter().zip(values).map(move |((key, _), value)| Sending {
                topic,
                partition: shelf.1,
                key,
                value,
                millis: register::now_millis(),
                headers: None,
                number,
            })
        });
        match self.session.transact(outputs.chain(state), positions.as_ref()) {
            Ok(landed) => {
                self.inputs.committed(&txn.positions);
                self.keep(shelves, &landed);
                if self.is_one_of_many {
                    self.fresh.borrow_mut().shelves.clear();
                }
                Ok(())
            }
            Err(Failed::Aborted(cause)) => match self.inputs.rewind() {
                Ok(()) => Err(LogError::Abort { task: self.id, cause }),
                Err(error) => {
                    self.is_over = true;
                    Err(failure::storage("going back after a commit that was given up", &error))
                }
            },
            Err(Failed::Over(error)) => {
                self.is_over = true;
                self.is_fenced |= matches!(error, LogError::Fenced { .. });
                Err(error)
            }
        }
    }
}
