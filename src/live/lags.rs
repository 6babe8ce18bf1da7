//! How far behind everything is, whether tasks get on, and whether the disk has room: measured at intervals, for `/metrics` and `/readyz`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::log::DataLog;
use cloudigrade_connectors::source::Readiness;
use cloudigrade_connectors::source::harvest::reach;
use cloudigrade_pipeline::log::{Log, LogError, Position, TaskId, TaskSpec};
use cloudigrade_schemas::Topic;
use tokio_util::sync::CancellationToken;

use super::operators::TASKS;
use super::roles::{Role, Roles};
use super::stall::{Input, Stalls};
use super::unless_later;
use crate::data::now;

/// How often is measured.
const EVERY: Duration = Duration::from_secs(10);
/// Free bytes of the data folder's disk below which the server says that it is not ready. The log needs room to grow and for a commit's copies.
const FREE_BYTES_MIN: u64 = 512 << 20;
/// The name under which readiness knows the disk.
const PART: &str = "disk";
/// The code under which readiness knows a task that does not get on.
const STALLED: &str = "stalled";

/// Measures until it is told to stop.
pub async fn measure(log: DataLog, folder: PathBuf, roles: Roles, readiness: Readiness, stop: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lags = Lags::new(&roles);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let (log, folder, readiness) = (log.clone(), folder.clone(), readiness.clone());
        // Reading the log waits for the disk.
        let measured = tokio::task::spawn_blocking(move || {
            look_at_disk(&folder, &readiness);
            let measured = lags.measure(&log, &readiness, Instant::now());
            (lags, measured)
        });
        let measured = measured.await?;
        lags = measured.0;
        unless_later("lags are not measured", measured.1)?;
    }
}

/// What was measured before.
struct Lags {
    /// The tasks that run here.
    ours: Vec<TaskId>,
    stalls: Stalls,
    /// What there was to read for a task in a partition, and whether these offsets are known to hold nothing.
    gaps: BTreeMap<Input, Gap>,
}

/// A partition that a task does not get on in.
struct Stall {
    topic: Topic,
    partition: u32,
    lag: u64,
    /// How long it has not.
    still: Duration,
}

/// Offsets that a task has before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    from: u64,
    end: u64,
    is_empty: bool,
}

impl Lags {
    fn new(roles: &Roles) -> Self {
        let ours = TASKS.into_iter().filter(|_| roles.has(Role::Operators)).map(|task| task.id).collect();
        Self { ours, stalls: Stalls::default(), gaps: BTreeMap::new() }
    }

    fn measure(&mut self, log: &DataLog, readiness: &Readiness, at: Instant) -> Result<(), LogError> {
        let mut ends = BTreeMap::new();
        for topic in Topic::ALL {
            let found = log.ends(topic)?;
            metrics::gauge!("cloudigrade_topic_offsets", "topic" => topic.name()).set(found.iter().sum::<u64>() as f64);
            ends.insert(topic, found);
        }
        for spec in TASKS {
            let positions = log.positions(spec)?;
            metrics::gauge!("cloudigrade_task_position", "task" => spec.id.0)
                .set(positions.iter().map(|position| position.offset).sum::<u64>() as f64);
            let (lag, stalls) = self.lag(log, spec, &positions, &ends, at)?;
            metrics::gauge!("cloudigrade_log_lag_records", "task" => spec.id.0).set(lag as f64);
            if self.ours.contains(&spec.id) {
                tell(spec.id, &stalls, readiness);
            }
        }
        let reached = reach(log, log.partitions())?;
        if let Some(oldest) = reached.iter().map(|coverage| coverage.complete_through.0).min() {
            metrics::gauge!("cloudigrade_data_age_seconds").set((now().0 - oldest).max(0) as f64);
        }
        metrics::gauge!("cloudigrade_covered_regions").set(reached.len() as f64);
        Ok(())
    }

    /// How many records a task has not consumed yet, and in which of the partitions that this process answers for it does not get on.
    fn lag(
        &mut self,
        log: &DataLog,
        spec: TaskSpec,
        positions: &[Position],
        ends: &BTreeMap<Topic, Vec<u64>>,
        at: Instant,
    ) -> Result<(u64, Vec<Stall>), LogError> {
        let (is_ours, mut behind, mut stalls) = (self.ours.contains(&spec.id), 0, Vec::new());
        for &topic in spec.inputs {
            for (partition, end) in (0..).zip(ends.get(&topic).into_iter().flatten()) {
                let position = positions.iter().find(|position| position.topic == topic && position.partition == partition);
                let (input, from) = ((spec.id, topic, partition), position.map_or(0, |position| position.offset));
                let lag = if self.is_empty(log, input, from, *end)? { 0 } else { end.saturating_sub(from) };
                behind += lag;
                // Who has the partition answers for it; all do as long as that is not known, as while they wait to be given some.
                let watched = if is_ours && log.may_hold(spec.id, topic, partition) { lag } else { 0 };
                let Some(still) = self.stalls.look(input, from, watched, at) else { continue };
                // Where transactions are given up again and again, the end moves and nothing is there to read.
                if !log.is_consumed(Position { topic, partition, offset: from }, *end)? {
                    stalls.push(Stall { topic, partition, lag, still });
                }
            }
        }
        Ok((behind, stalls))
    }

    /// Whether the offsets between hold nothing: in Kafka the marks of transactions have offsets too. It is looked once nothing has moved since
    /// the last time.
    fn is_empty(&mut self, log: &DataLog, input: Input, from: u64, end: u64) -> Result<bool, LogError> {
        if from >= end || !log.is_shared() {
            return Ok(from >= end);
        }
        let mut gap = Gap { from, end, is_empty: false };
        if let Some(before) = self.gaps.get(&input).filter(|before| (before.from, before.end) == (from, end)) {
            gap.is_empty = before.is_empty || log.is_consumed(Position { topic: input.1, partition: input.2, offset: from }, end)?;
        }
        self.gaps.insert(input, gap);
        Ok(gap.is_empty)
    }
}

/// Says of a task whether it gets on.
fn tell(task: TaskId, stalls: &[Stall], readiness: &Readiness) {
    let Some(longest) = stalls.iter().max_by_key(|stall| stall.still) else {
        readiness.works(task.0);
        return;
    };
    let Stall { topic, partition, lag, still } = longest;
    let others = match stalls.len() - 1 {
        0 => String::new(),
        others => format!(" (and so in {others} more partitions)"),
    };
    let message = format!(
        "{task} has {lag} records to work on in partition {partition} of {topic} and has got no further there for {} s{others}: what it writes to may \
         hang, or one batch takes that long. Look at what was logged since, at the disk, and at Kafka where the log is there; where nothing is to be \
         seen, restart this process: it goes on where it was, and nothing is lost",
        still.as_secs(),
        topic = topic.name(),
    );
    tracing::warn!("{message}");
    readiness.report(task.0, STALLED, task.0, message, now());
}

fn look_at_disk(folder: &Path, readiness: &Readiness) {
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            metrics::gauge!("cloudigrade_disk_free_bytes").set(free as f64);
            if free < FREE_BYTES_MIN {
                let message = format!(
                    "{} MiB are free where {} is; free some: below {} MiB commits may fail; nothing is lost, what cannot be committed stays in the queue",
                    free >> 20,
                    folder.display(),
                    FREE_BYTES_MIN >> 20
                );
                readiness.report(PART, "nearly_full", PART, message, now());
            } else {
                readiness.works(PART);
            }
        }
        Err(error) => readiness.report(
            PART,
            "unreadable",
            PART,
            format!("{}: {error}; check that the data folder is still there", folder.display()),
            now(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
    use cloudigrade_pipeline::log::{Output, Task, Txn};
    use cloudigrade_schemas::UtcSecond;

    use super::*;
    use crate::limits::STALLED_AFTER;

    /// A log with a record that no task has worked on.
    fn log() -> (tempfile::TempDir, DataLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = DataLog::Embedded(EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap());
        let output = Output { topic: TASKS[0].inputs[0], partition: 3, key: vec![1], value: vec![1], entered_at: UtcSecond(1) };
        log.open_task(TaskSpec::of_each("source"), &[]).unwrap().commit(Txn { outputs: vec![output], ..Txn::default() }).unwrap();
        (folder, log)
    }

    #[test]
    fn a_task_that_does_not_get_on_makes_the_process_not_ready_until_it_does() {
        let ((_folder, log), readiness, began) = (log(), Readiness::default(), Instant::now());
        let mut lags = Lags::new(&Roles::all());
        for at in [began, began + STALLED_AFTER / 2] {
            lags.measure(&log, &readiness, at).unwrap();
            assert!(readiness.problems(now()).is_empty());
        }
        lags.measure(&log, &readiness, began + STALLED_AFTER).unwrap();
        let problems = readiness.problems(now());
        assert_eq!((problems.len(), problems[0].subject.as_str(), problems[0].code.as_str()), (1, TASKS[0].id.0, STALLED));
        let place = format!("1 records to work on in partition 3 of {}", TASKS[0].inputs[0].name());
        assert!(problems[0].message.contains(&place) && problems[0].message.contains("restart"), "{}", problems[0].message);
        let position = Position { topic: TASKS[0].inputs[0], partition: 3, offset: 1 };
        log.open_task(TASKS[0], &[3]).unwrap().commit(Txn { positions: vec![position], ..Txn::default() }).unwrap();
        lags.measure(&log, &readiness, began + STALLED_AFTER).unwrap();
        assert!(readiness.problems(now()).is_empty());
    }

    #[test]
    fn a_partition_that_hangs_makes_the_process_not_ready_though_another_of_the_task_moves() {
        let ((_folder, log), readiness, began) = (log(), Readiness::default(), Instant::now());
        let mut lags = Lags::new(&Roles::all());
        let mut source = log.open_task(TaskSpec::of_each("source"), &[]).unwrap();
        let mut moving = log.open_task(TASKS[0], &[5]).unwrap();
        for tick in 0..=4 {
            let output = Output { topic: TASKS[0].inputs[0], partition: 5, key: vec![1], value: vec![1], entered_at: UtcSecond(1) };
            source.commit(Txn { outputs: vec![output.clone(), output], ..Txn::default() }).unwrap();
            let position = Position { topic: TASKS[0].inputs[0], partition: 5, offset: u64::from(tick) + 1 };
            moving.commit(Txn { positions: vec![position], ..Txn::default() }).unwrap();
            lags.measure(&log, &readiness, began + STALLED_AFTER / 4 * tick).unwrap();
            assert_eq!(readiness.problems(now()).len(), usize::from(tick == 4));
        }
        assert!(readiness.problems(now())[0].message.contains("in partition 3 of"));
    }

    #[test]
    fn a_process_does_not_answer_for_tasks_that_run_elsewhere() {
        let ((_folder, log), readiness, began) = (log(), Readiness::default(), Instant::now());
        let mut lags = Lags::new(&Roles::of([Role::Source, Role::Api]));
        for at in [began, began + STALLED_AFTER * 2] {
            lags.measure(&log, &readiness, at).unwrap();
        }
        assert!(readiness.problems(now()).is_empty());
    }
}
