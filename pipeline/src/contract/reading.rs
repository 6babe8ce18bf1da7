//! Order, limits, positions and ends.

use std::sync::atomic::{AtomicBool, Ordering};

use cloudigrade_schemas::Topic;

use super::{
    ALL, AT_ONCE, Claim, Fixture, PARTITIONS_MIN, READER, SOURCE, Verdict, Why, append, commit, ensure, ensure_eq, open, output, outputs,
    patiently, poll_all, poll_waiting, read_all, values, values_in,
};
use crate::log::{Log, Output, PollLimits, Position, Record, Task};

pub(super) fn claims<F: Fixture>() -> Vec<Claim<F>> {
    vec![
        ("order_within_a_partition_is_kept", order::<F>),
        ("a_record_polled_but_not_committed_is_not_polled_again", once::<F>),
        ("a_task_reads_its_own_partitions_and_topics_only", own::<F>),
        ("a_poll_keeps_its_limits", poll_limits::<F>),
        ("a_read_keeps_its_limits_and_begins_at_its_position", read_limits::<F>),
        ("a_busy_partition_does_not_hold_up_the_others", fairness::<F>),
        ("the_end_is_behind_the_last_record", end::<F>),
        ("a_waiting_poll_returns_what_is_committed_meanwhile", wakes::<F>),
    ]
}

fn order<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut source = open(log, SOURCE, &ALL)?;
    let record = |n: u32| output(Topic::CloudTrailRecords, n % PARTITIONS_MIN, "k", &format!("{n:03}"));
    for commit_of in [0..50, 50..51, 51..90, 90..120] {
        commit(&mut source, &outputs(commit_of.map(record)))?;
    }
    let polled = poll_all(&mut open(log, READER, &ALL)?)?;
    for partition in ALL {
        let expected: Vec<_> = (0..120).filter(|n| n % PARTITIONS_MIN == partition).map(|n| format!("{n:03}")).collect();
        ensure_eq("read", values_in(log, Topic::CloudTrailRecords, partition)?, expected.clone())?;
        let mine = || polled.iter().filter(|record| record.partition == partition);
        ensure_eq("polled", values(mine()), expected)?;
        ensure(mine().map(|record| record.offset).is_sorted_by(|a, b| a < b), || "offsets do not rise".into())?;
    }
    Ok(())
}

fn once<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut task = open(log, READER, &ALL)?;
    let mut source = open(log, SOURCE, &ALL)?;
    for value in ["a", "b"] {
        commit(&mut source, &outputs([output(Topic::PowerEvents, 1, "k", value)]))?;
        ensure_eq("polled", values(&poll_all(&mut task)?), vec![value.to_owned()])?;
    }
    Ok(())
}

fn own<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut task = open(log, READER, &[1, 3])?;
    append(log, ALL.map(|partition| output(Topic::PowerEvents, partition, "k", &partition.to_string())))?;
    append(log, ALL.map(|partition| output(Topic::DeadLetters, partition, "k", "not an input")))?;
    let mut read = values(&poll_all(&mut task)?);
    read.sort();
    ensure_eq("polled", read, vec!["1".to_owned(), "3".to_owned()])
}

/// Ten records of 100 bytes in each of two partitions.
fn twenty() -> impl Iterator<Item = Output> {
    (0..20).map(|n| output(Topic::PowerEvents, n % 2, "0123456789", &format!("{n:090}")))
}

fn poll_limits<F: Fixture>(fixture: &mut F) -> Verdict {
    append(fixture.log(), twenty())?;
    for (limits, at_most) in [
        (PollLimits { records: 3, ..AT_ONCE }, 3),
        // The record that reaches the limit is the last.
        (PollLimits { bytes: 250, ..AT_ONCE }, 3),
        (PollLimits { bytes: 200, ..AT_ONCE }, 2),
        (PollLimits { bytes: 1, ..AT_ONCE }, 1),
    ] {
        let mut task = open(fixture.log(), READER, &ALL)?;
        let mut polled = 0;
        while polled < 20 {
            let records = patiently(|| task.poll(limits))?.len();
            ensure((1..=at_most).contains(&records), || format!("{records} records within {limits:?}"))?;
            polled += records;
        }
        ensure_eq("polled in all", polled, 20)?;
    }
    Ok(())
}

fn read_limits<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    append(log, twenty())?;
    let all = read_all(log, Topic::PowerEvents, 0)?;
    let from = |record: &Record| Position { topic: Topic::PowerEvents, partition: 0, offset: record.offset };
    for (limits, count) in [(PollLimits { records: 3, ..AT_ONCE }, 3), (PollLimits { bytes: 250, ..AT_ONCE }, 3), (AT_ONCE, 6)] {
        let read = patiently(|| log.read(from(&all[4]), limits))?;
        ensure_eq("read from the fifth record", read.as_slice(), &all[4..4 + count])?;
    }
    let nowhere = Position { topic: Topic::PowerEvents, partition: 0, offset: all[9].offset + 1_000_000 };
    ensure_eq("read far behind the end", patiently(|| log.read(nowhere, AT_ONCE))?, Vec::new())
}

fn fairness<F: Fixture>(fixture: &mut F) -> Verdict {
    const POLLS_MAX: usize = 200;
    let log = fixture.log();
    let mut source = open(log, SOURCE, &ALL)?;
    let mut task = open(log, READER, &ALL)?;
    commit(&mut source, &outputs([output(Topic::PowerEvents, 3, "k", "quiet")]))?;
    for _ in 0..POLLS_MAX {
        commit(&mut source, &outputs((0..3).map(|partition| output(Topic::CloudTrailRecords, partition, "k", "busy"))))?;
        let polled = patiently(|| task.poll(PollLimits { records: 1, ..AT_ONCE }))?;
        if polled.iter().any(|record| record.partition == 3) {
            return Ok(());
        }
    }
    ensure(false, || format!("a record was not polled in {POLLS_MAX} polls"))
}

fn end<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let end = || patiently(|| log.end(Topic::Coverage, 2));
    ensure_eq("end of an empty partition", end()?, Position { topic: Topic::Coverage, partition: 2, offset: 0 })?;
    for value in ["a", "b", "c"] {
        let before = end()?;
        append(log, [output(Topic::Coverage, 2, "k", value), output(Topic::Coverage, 1, "k", value)])?;
        ensure_eq("read from the end before", values(&patiently(|| log.read(before, AT_ONCE))?), vec![value.to_owned()])?;
        let now = end()?;
        ensure_eq("read from the end", patiently(|| log.read(now, AT_ONCE))?, Vec::new())?;
        ensure(now.offset > before.offset, || format!("the end moved from {} to {}", before.offset, now.offset))?;
    }
    Ok(())
}

fn wakes<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut source = open(log, SOURCE, &ALL)?;
    let mut task = open(log, READER, &ALL)?;
    let committed = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let polling = threads.spawn(|| poll_waiting(&mut task, &committed));
        commit(&mut source, &outputs([output(Topic::PowerEvents, 0, "k", "in")]))?;
        committed.store(true, Ordering::Release);
        let polled = polling.join().map_err(|_| Why("the poll panicked".into()))??;
        ensure_eq("polled", values(&polled), vec!["in".to_owned()])
    })
}
