//! Two tasks with one name.

use std::sync::atomic::{AtomicBool, Ordering};

use cloudigrade_schemas::Topic;

use super::{
    ALL, AT_ONCE, Claim, Fixture, READER, SOURCE, STORE, Verdict, Why, append, behind, commit, ensure_eq, open, output, outputs, patiently,
    poll_all, poll_waiting, put, values, values_in,
};
use crate::log::{LogError, StateRead, Task, TaskSpec, Txn};

pub(super) fn claims<F: Fixture>() -> Vec<Claim<F>> {
    vec![
        ("an_older_task_is_fenced_and_nothing_of_it_lands", older::<F>),
        ("a_waiting_poll_ends_when_its_task_is_fenced", waiting::<F>),
        ("a_task_goes_on_where_its_predecessor_committed", successor::<F>),
        ("tasks_with_other_names_do_not_fence_each_other", others::<F>),
    ]
}

fn expect_fenced<T: std::fmt::Debug>(doing: &str, answer: Result<T, LogError>) -> Verdict {
    match answer {
        Err(LogError::Fenced { task }) => ensure_eq("the fenced task", task, READER.id),
        other => Err(Why(format!("{doing} answered {other:?}"))),
    }
}

fn older<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    append(log, [output(Topic::PowerEvents, 0, "k", "in")])?;
    let mut old = open(log, READER, &ALL)?;
    let polled = poll_all(&mut old)?;
    let mut new = open(log, READER, &ALL)?;
    let late =
        Txn { outputs: vec![output(Topic::DeadLetters, 0, "k", "late")], state: vec![put(0, "k", "late")], positions: behind(&polled) };
    expect_fenced("its commit", patiently(|| old.commit(late.clone())))?;
    expect_fenced("its poll", patiently(|| old.poll(AT_ONCE)))?;
    expect_fenced("its next commit", patiently(|| old.commit(late.clone())))?;
    ensure_eq("its outputs", values_in(log, Topic::DeadLetters, 0)?, Vec::new())?;
    ensure_eq("its state", new.get(STORE, 0, b"k")?, None)?;
    ensure_eq("records left to the newer task", values(&poll_all(&mut new)?), vec!["in".to_owned()])?;
    Ok(commit(&mut new, &late)?)
}

fn waiting<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut old = open(log, READER, &ALL)?;
    let opened = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let polling = threads.spawn(|| poll_waiting(&mut old, &opened));
        let _new = open(log, READER, &ALL)?;
        opened.store(true, Ordering::Release);
        expect_fenced("its poll", polling.join().map_err(|_| Why("the poll panicked".into()))?)
    })
}

fn successor<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut seen = Vec::new();
    for round in 0..5 {
        append(log, [0, 1].map(|n| output(Topic::CloudTrailRecords, 2, "k", &format!("{round}.{n}"))))?;
        let mut task = open(log, READER, &ALL)?;
        let polled = poll_all(&mut task)?;
        // Only the first is consumed; the successor finds the others.
        commit(&mut task, &Txn { positions: behind(&polled[..1.min(polled.len())]), ..Txn::default() })?;
        seen.extend(values(polled.first()));
    }
    ensure_eq("consumed by five tasks in turn", seen, ["0.0", "0.1", "1.0", "1.1", "2.0"].map(str::to_owned).to_vec())
}

fn others<F: Fixture>(fixture: &mut F) -> Verdict {
    const OTHER: TaskSpec = TaskSpec::alone("contract.other", READER.inputs);
    let log = fixture.log();
    let mut source = open(log, SOURCE, &ALL)?;
    let mut reader = open(log, READER, &ALL)?;
    let mut other = open(log, OTHER, &ALL)?;
    commit(&mut source, &outputs([output(Topic::PowerEvents, 0, "k", "in")]))?;
    for task in [&mut reader, &mut other] {
        let polled = poll_all(task)?;
        ensure_eq("polled", values(&polled), vec!["in".to_owned()])?;
        commit(task, &Txn { positions: behind(&polled), ..Txn::default() })?;
    }
    Ok(commit(&mut source, &outputs([output(Topic::PowerEvents, 0, "k", "in")]))?)
}
