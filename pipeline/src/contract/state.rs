//! Keyed state.

use cloudigrade_schemas::Topic;

use super::{ALL, Claim, Fixture, READER, SOURCE, STORE, Verdict, commit, ensure_eq, open, output, put};
use crate::log::{KeyValue, Log, StateChange, StateRead, Store, Txn};

pub(super) fn claims<F: Fixture>() -> Vec<Claim<F>> {
    vec![
        ("state_belongs_to_its_store_and_partition", own::<F>),
        ("a_scan_gives_a_prefix_in_order", scan::<F>),
        ("a_key_of_state_can_be_replaced_and_deleted", replace::<F>),
        ("an_empty_value_of_state_is_a_value", empty::<F>),
    ]
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn own<F: Fixture>(fixture: &mut F) -> Verdict {
    const OTHER: Store = Store("contract.longer");
    let mut task = open(fixture.log(), SOURCE, &ALL)?;
    let change = |store, partition, value: &str| StateChange { store, ..put(partition, "k", value) };
    let state = vec![change(STORE, 0, "a"), change(STORE, 1, "b"), change(OTHER, 0, "c")];
    commit(&mut task, &Txn { state, ..Txn::default() })?;
    for (store, partition, value) in [(STORE, 0, Some("a")), (STORE, 1, Some("b")), (OTHER, 0, Some("c")), (OTHER, 1, None)] {
        ensure_eq("value", task.get(store, partition, b"k")?, value.map(|value| value.as_bytes().to_vec()))?;
        let expected = value.map(|value| pairs(&[("k", value)])).unwrap_or_default();
        ensure_eq("scan", task.scan(store, partition, b"")?, expected)?;
    }
    Ok(())
}

fn scan<F: Fixture>(fixture: &mut F) -> Verdict {
    let mut task = open(fixture.log(), SOURCE, &ALL)?;
    let keys = ["b/2", "a", "b", "b/10", "c", "b/1"];
    commit(&mut task, &Txn { state: keys.iter().map(|key| put(0, key, key)).collect(), ..Txn::default() })?;
    // Bytes at the ends of their range, where a prefix has no successor.
    let high = vec![StateChange { key: vec![0xff, 0xff], ..put(0, "", "high") }, StateChange { key: vec![0xff], ..put(0, "", "h") }];
    commit(&mut task, &Txn { state: high, ..Txn::default() })?;
    ensure_eq("b/", task.scan(STORE, 0, b"b/")?, pairs(&[("b/1", "b/1"), ("b/10", "b/10"), ("b/2", "b/2")]))?;
    ensure_eq("b/1", task.scan(STORE, 0, b"b/1")?, pairs(&[("b/1", "b/1"), ("b/10", "b/10")]))?;
    ensure_eq("nothing", task.scan(STORE, 0, b"x")?, Vec::new())?;
    ensure_eq("all but the high ones", task.scan(STORE, 0, b"")?.len(), keys.len() + 2)?;
    let found = task.scan(STORE, 0, &[0xff])?;
    ensure_eq("high", found, vec![(vec![0xff], b"h".to_vec()), (vec![0xff, 0xff], b"high".to_vec())])
}

fn replace<F: Fixture>(fixture: &mut F) -> Verdict {
    let delete = |key: &str| StateChange { value: None, ..put(0, key, "") };
    {
        let mut task = open(fixture.log(), SOURCE, &ALL)?;
        commit(&mut task, &Txn { state: vec![put(0, "a", "1"), put(0, "b", "1"), put(0, "c", "1")], ..Txn::default() })?;
        let state = vec![put(0, "a", "2"), delete("b"), delete("never there")];
        commit(&mut task, &Txn { state, outputs: vec![output(Topic::Coverage, 0, "k", "v")], ..Txn::default() })?;
    }
    for _ in 0..2 {
        let task = open(fixture.log(), READER, &ALL)?;
        ensure_eq("a", task.get(STORE, 0, b"a")?, Some(b"2".to_vec()))?;
        ensure_eq("b", task.get(STORE, 0, b"b")?, None)?;
        ensure_eq("all", task.scan(STORE, 0, b"")?, pairs(&[("a", "2"), ("c", "1")]))?;
        drop(task);
        fixture.crash();
    }
    Ok(())
}

fn empty<F: Fixture>(fixture: &mut F) -> Verdict {
    let mut task = open(fixture.log(), SOURCE, &ALL)?;
    commit(&mut task, &Txn { state: vec![put(0, "", ""), put(0, "k", "")], ..Txn::default() })?;
    ensure_eq("partitions", fixture.log().partitions() >= super::PARTITIONS_MIN, true)?;
    ensure_eq("value of an empty key", task.get(STORE, 0, b"")?, Some(Vec::new()))?;
    ensure_eq("scan", task.scan(STORE, 0, b"")?, pairs(&[("", ""), ("k", "")]))
}
