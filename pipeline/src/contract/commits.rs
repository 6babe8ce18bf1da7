//! What a commit does, and what a refused one does not.

use cloudigrade_schemas::Topic;

use super::{
    ALL, Claim, Fixture, READER, SOURCE, STORE, Verdict, append, behind, commit, ensure, ensure_eq, open, output, outputs, poll_all, put,
    values, values_in,
};
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::log::{Log, LogError, Output, Position, StateChange, StateRead, Task, Txn};

pub(super) fn claims<F: Fixture>() -> Vec<Claim<F>> {
    vec![
        ("a_commit_shows_outputs_state_and_positions_together", shows_all::<F>),
        ("a_commit_survives_a_crash_whole", survives::<F>),
        ("what_was_not_committed_is_gone_after_a_crash", uncommitted_is_gone::<F>),
        ("a_commit_that_is_given_up_leaves_its_records_to_the_next_poll", given_up::<F>),
        ("a_transaction_over_a_limit_is_refused_whole", over_a_limit::<F>),
        ("a_key_as_long_as_its_limit_is_taken", at_the_limit::<F>),
        ("transactions_with_only_positions_or_nothing_are_taken", small_transactions::<F>),
        ("a_record_is_read_as_it_was_written", reads_as_written::<F>),
    ]
}

/// Reads one record, and commits it with an output and state.
fn consume_one(log: &impl Log) -> Verdict {
    append(log, [output(Topic::CloudTrailRecords, 1, "k", "in")])?;
    let mut task = open(log, READER, &ALL)?;
    let records = poll_all(&mut task)?;
    ensure_eq("polled", values(&records), vec!["in".to_owned()])?;
    let txn =
        Txn { outputs: vec![output(Topic::DeadLetters, 2, "k", "out")], state: vec![put(1, "k", "state")], positions: behind(&records) };
    Ok(commit(&mut task, &txn)?)
}

/// Looks for all that [`consume_one`] committed.
fn is_consumed(log: &impl Log) -> Verdict {
    ensure_eq("outputs", values_in(log, Topic::DeadLetters, 2)?, vec!["out".to_owned()])?;
    let mut task = open(log, READER, &ALL)?;
    ensure_eq("state", task.get(STORE, 1, b"k")?, Some(b"state".to_vec()))?;
    ensure_eq("read again", values(&poll_all(&mut task)?), Vec::new())
}

fn shows_all<F: Fixture>(fixture: &mut F) -> Verdict {
    consume_one(fixture.log())?;
    is_consumed(fixture.log())
}

fn survives<F: Fixture>(fixture: &mut F) -> Verdict {
    consume_one(fixture.log())?;
    fixture.crash();
    is_consumed(fixture.log())
}

fn uncommitted_is_gone<F: Fixture>(fixture: &mut F) -> Verdict {
    append(fixture.log(), [output(Topic::CloudTrailRecords, 0, "k", "a"), output(Topic::CloudTrailRecords, 3, "k", "b")])?;
    let polled = poll_all(&mut open(fixture.log(), READER, &ALL)?)?;
    ensure_eq("polled", polled.len(), 2)?;
    fixture.crash();
    let mut again = poll_all(&mut open(fixture.log(), READER, &ALL)?)?;
    again.sort_by_key(|record| record.partition);
    ensure_eq("polled again", values(&again), vec!["a".to_owned(), "b".to_owned()])
}

fn given_up<F: Fixture>(fixture: &mut F) -> Verdict {
    const RECORDS: usize = 20;
    let log = fixture.log();
    let mut task = open(log, READER, &ALL)?;
    for n in 0..RECORDS {
        append(log, [output(Topic::CloudTrailRecords, 0, "k", &n.to_string())])?;
        let polled = poll_all(&mut task)?;
        let copy = |value: &String| output(Topic::DeadLetters, 0, value, value);
        let txn = Txn { positions: behind(&polled), ..outputs(values(&polled).iter().map(copy)) };
        match task.commit(txn) {
            Ok(()) | Err(LogError::Abort { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Whatever was given up last is still to be read.
    let mut copied = values_in(log, Topic::DeadLetters, 0)?;
    copied.extend(values(&poll_all(&mut task)?));
    ensure_eq("copied or still to be read", copied, (0..RECORDS).map(|n| n.to_string()).collect())
}

fn over_a_limit<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let mut task = open(log, READER, &ALL)?;
    let good = Txn {
        outputs: vec![output(Topic::CloudTrailRecords, 0, "k", "v")],
        state: vec![put(0, "k", "v")],
        positions: vec![Position { topic: Topic::PowerEvents, partition: 0, offset: 7 }],
    };
    let (long_key, large_value) = (vec![b'k'; KEY_BYTES_MAX + 1], vec![0; VALUE_BYTES_MAX + 1]);
    let record = output(Topic::CloudTrailRecords, 0, "k", "v");
    let with_record = |record: Output| Txn { outputs: [good.outputs.clone(), vec![record]].concat(), ..good.clone() };
    let with_state = |change: StateChange| Txn { state: [good.state.clone(), vec![change]].concat(), ..good.clone() };
    let refused = [
        with_record(Output { key: long_key.clone(), ..record.clone() }),
        with_record(Output { value: large_value.clone(), ..record }),
        with_state(StateChange { key: long_key, ..put(0, "k", "v") }),
        with_state(StateChange { value: Some(large_value), ..put(0, "other", "v") }),
    ];
    for txn in refused {
        let answer = task.commit(txn);
        ensure(matches!(&answer, Err(LogError::TooLarge { size, limit, .. }) if *size == limit + 1), || format!("answered {answer:?}"))?;
    }
    ensure_eq("records", values_in(log, Topic::CloudTrailRecords, 0)?, Vec::new())?;
    ensure_eq("state", task.get(STORE, 0, b"k")?, None)?;
    commit(&mut task, &good)?;
    ensure_eq("records of a good one behind them", values_in(log, Topic::CloudTrailRecords, 0)?, vec!["v".to_owned()])
}

fn at_the_limit<F: Fixture>(fixture: &mut F) -> Verdict {
    let long = "k".repeat(KEY_BYTES_MAX);
    let mut task = open(fixture.log(), SOURCE, &ALL)?;
    let txn = Txn { state: vec![put(0, &long, "v")], ..outputs([output(Topic::Coverage, 0, &long, "v")]) };
    commit(&mut task, &txn)?;
    ensure_eq("record", values_in(fixture.log(), Topic::Coverage, 0)?, vec!["v".to_owned()])?;
    ensure_eq("state", task.get(STORE, 0, long.as_bytes())?, Some(b"v".to_vec()))
}

fn small_transactions<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    append(log, ["a", "b"].map(|value| output(Topic::PowerEvents, 0, "k", value)))?;
    let mut task = open(log, READER, &ALL)?;
    commit(&mut task, &Txn::default())?;
    let records = poll_all(&mut task)?;
    ensure_eq("polled", values(&records), vec!["a".to_owned(), "b".to_owned()])?;
    commit(&mut task, &Txn { positions: behind(&records[..1]), ..Txn::default() })?;
    ensure_eq("polled behind the position", values(&poll_all(&mut open(log, READER, &ALL)?)?), vec!["b".to_owned()])
}

fn reads_as_written<F: Fixture>(fixture: &mut F) -> Verdict {
    let binary: Vec<u8> = (0..=255).collect();
    let written = [
        Output { key: binary.clone(), value: binary, ..output(Topic::CloudTrailRecords, 1, "", "") },
        Output { value: vec![7; 100_000], ..output(Topic::CloudTrailRecords, 1, "large", "") },
        output(Topic::CloudTrailRecords, 1, "", ""),
    ];
    append(fixture.log(), written.clone())?;
    let polled = poll_all(&mut open(fixture.log(), READER, &ALL)?)?;
    ensure_eq("polled", polled.len(), written.len())?;
    for (record, output) in polled.into_iter().zip(written) {
        let read = Output {
            topic: record.topic,
            partition: record.partition,
            key: record.key,
            value: record.value,
            entered_at: record.entered_at,
        };
        ensure(read == output, || format!("a record of {} bytes was read differently", output.value.len()))?;
    }
    Ok(())
}
