//! Topics that keep the latest record of each key, and offsets when records go.

use std::collections::BTreeMap;

use cloudigrade_schemas::Topic;

use super::{Claim, Fixture, Verdict, append, ensure, ensure_eq, output, patiently, read_all, values_in};
use crate::log::Log;

pub(super) fn claims<F: Fixture>() -> Vec<Claim<F>> {
    vec![
        ("a_compacted_topic_keeps_the_latest_of_each_key", latest::<F>),
        ("a_key_is_compacted_within_its_own_topic_and_partition", own_partition::<F>),
        ("offsets_rise_and_are_never_given_twice", offsets::<F>),
    ]
}

fn latest<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    let record = |key, value| output(Topic::Coverage, 0, key, value);
    append(log, [record("a", "1"), record("b", "1"), record("a", "2")])?;
    append(log, [record("c", "1"), record("b", "2")])?;
    append(log, [record("a", "3"), record("d", "1")])?;
    let records = read_all(log, Topic::Coverage, 0)?;
    ensure(records.is_sorted_by_key(|record| record.offset), || "records are out of order".into())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let latest: BTreeMap<_, _> = records.iter().map(|record| (text(&record.key), text(&record.value))).collect();
    let expected = [("a", "3"), ("b", "2"), ("c", "1"), ("d", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    ensure_eq("latest of each key", latest, BTreeMap::from(expected))?;
    if fixture.compacts_at_once() {
        let keys: Vec<_> = records.iter().map(|record| text(&record.key)).collect();
        ensure_eq("keys, read from the beginning", keys, ["c", "b", "a", "d"].map(str::to_owned).to_vec())?;
    }
    Ok(())
}

fn own_partition<F: Fixture>(fixture: &mut F) -> Verdict {
    let log = fixture.log();
    append(log, [output(Topic::Coverage, 0, "k", "a"), output(Topic::Coverage, 1, "k", "b"), output(Topic::DeadLetters, 0, "k", "c")])?;
    append(log, ["d", "e"].map(|value| output(Topic::CloudTrailRecords, 0, "k", value)))?;
    ensure_eq("one partition", values_in(log, Topic::Coverage, 0)?, vec!["a".to_owned()])?;
    ensure_eq("another partition", values_in(log, Topic::Coverage, 1)?, vec!["b".to_owned()])?;
    ensure_eq("another topic", values_in(log, Topic::DeadLetters, 0)?, vec!["c".to_owned()])?;
    ensure_eq("a topic that keeps all", values_in(log, Topic::CloudTrailRecords, 0)?, vec!["d".to_owned(), "e".to_owned()])
}

fn offsets<F: Fixture>(fixture: &mut F) -> Verdict {
    let mut last = None;
    for round in 0..6 {
        // Each round replaces the only record, so the partition's last offset is gone when the next is given.
        let before = patiently(|| fixture.log().end(Topic::Coverage, 3))?.offset;
        append(fixture.log(), [output(Topic::Coverage, 3, "k", &round.to_string())])?;
        let offset = read_all(fixture.log(), Topic::Coverage, 3)?.last().map(|record| record.offset);
        ensure(offset > last && offset >= Some(before), || format!("{offset:?} follows {last:?} with the end at {before}"))?;
        last = offset;
        if round % 2 == 0 {
            fixture.crash();
        }
    }
    Ok(())
}
