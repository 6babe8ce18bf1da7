//! Several tasks at once.

use std::sync::atomic::{AtomicBool, Ordering};

use cloudigrade_schemas::Topic;

use super::{ALL, Claim, Fixture, SOURCE, STORE, Verdict, Why, commit, ensure, ensure_eq, open, output, outputs, put, values_in};
use crate::log::{LogError, StateRead, TaskSpec, Txn};

/// Commits of each task.
const COMMITS: usize = 40;
const TASKS: [TaskSpec; 4] = [
    TaskSpec::alone("contract.0", &[]),
    TaskSpec::alone("contract.1", &[]),
    TaskSpec::alone("contract.2", &[]),
    TaskSpec::alone("contract.3", &[]),
];

pub(super) fn claims<F: Fixture>() -> Vec<Claim<F>> {
    vec![
        ("all_commits_of_several_tasks_land_exactly_once", exactly_once::<F>),
        ("a_reader_never_sees_a_part_of_a_commit", no_part::<F>),
        ("of_racing_tasks_with_one_name_each_commit_lands_once_or_is_fenced", racing::<F>),
    ]
}

fn panicked<T>(_: T) -> Why {
    Why("a thread panicked".into())
}

fn exactly_once<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    std::thread::scope(|threads| {
        let run = |spec: TaskSpec, partition: u32| -> Verdict {
            let mut task = open(log, spec, &[partition])?;
            for n in 0..COMMITS {
                let value = format!("{}:{n}", spec.id);
                // Every task appends to partition 0 too, where they meet.
                let records = [output(Topic::PowerEvents, partition, "k", &value), output(Topic::CloudTrailRecords, 0, "k", &value)];
                commit(&mut task, &Txn { state: vec![put(partition, "n", &value)], ..outputs(records) })?;
            }
            ensure_eq("state", task.get(STORE, partition, b"n")?, Some(format!("{}:{}", spec.id, COMMITS - 1).into_bytes()))
        };
        let running: Vec<_> = TASKS.into_iter().zip(ALL).map(|(spec, partition)| threads.spawn(move || run(spec, partition))).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(panicked)?)
    })?;
    let mut expected = Vec::new();
    for (spec, partition) in TASKS.into_iter().zip(ALL) {
        let mine: Vec<_> = (0..COMMITS).map(|n| format!("{}:{n}", spec.id)).collect();
        ensure_eq("records of one task", values_in(log, Topic::PowerEvents, partition)?, mine.clone())?;
        expected.extend(mine);
    }
    let mut shared = values_in(log, Topic::CloudTrailRecords, 0)?;
    shared.sort();
    expected.sort();
    ensure_eq("records of all tasks", shared, expected)
}

fn no_part<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut task = open(log, SOURCE, &ALL)?;
    let done = AtomicBool::new(false);
    let count = |topic, partition| values_in(log, topic, partition).map(|values| values.len());
    std::thread::scope(|threads| {
        let look = || -> Verdict {
            loop {
                let last = done.load(Ordering::Acquire);
                // Whatever is read later holds at least as many commits, in either order.
                let (first, later) = (count(Topic::PowerEvents, 0)?, count(Topic::CloudTrailRecords, 1)?);
                ensure(first <= later, || format!("{first} of one record, then {later} of the other"))?;
                let (first, later) = (count(Topic::CloudTrailRecords, 1)?, count(Topic::PowerEvents, 0)?);
                ensure(first <= later, || format!("{first} of the other record, then {later} of one"))?;
                if last {
                    return ensure_eq("seen in the end", (first, later), (COMMITS, COMMITS));
                }
            }
        };
        let looking = threads.spawn(look);
        let mut written = Ok(());
        for _ in 0..COMMITS {
            let records = [output(Topic::PowerEvents, 0, "k", "v"), output(Topic::CloudTrailRecords, 1, "k", "v")];
            written = written.and_then(|()| commit(&mut task, &outputs(records)));
        }
        done.store(true, Ordering::Release);
        looking.join().map_err(panicked)??;
        Ok(written?)
    })
}

fn racing<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let landed = std::thread::scope(|threads| {
        let run = |racer: usize| -> Result<Vec<String>, Why> {
            let mut landed = Vec::new();
            for n in 0..COMMITS / 4 {
                let mut task = open(log, SOURCE, &ALL)?;
                let value = format!("{racer}:{n}");
                match commit(&mut task, &outputs([output(Topic::PowerEvents, 0, "k", &value)])) {
                    Ok(()) => landed.push(value),
                    Err(LogError::Fenced { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(landed)
        };
        let running: Vec<_> = (0..3).map(|racer| threads.spawn(move || run(racer))).collect();
        let mut landed = Vec::new();
        for thread in running {
            landed.extend(thread.join().map_err(panicked)??);
        }
        Ok::<_, Why>(landed)
    })?;
    let mut found = values_in(log, Topic::PowerEvents, 0)?;
    // A fenced commit may have landed just before the fence only where answers get lost; it then is there once.
    let distinct: std::collections::BTreeSet<_> = found.iter().cloned().collect();
    ensure_eq("each record once", found.len(), distinct.len())?;
    found.retain(|value| landed.contains(value));
    found.sort();
    let mut landed = landed;
    landed.sort();
    ensure_eq("acknowledged records", found, landed)
}
