//! From the file to records and state.

use redb::ReadOnlyTable;

use crate::embedded::batch;
use crate::embedded::layout::{self, RecordKey};
use crate::log::{KeyValue, PollLimits, Position, Record, Store};

/// [`layout::RECORDS`], as it was when it was opened.
pub(super) type RecordTable = ReadOnlyTable<&'static RecordKey, &'static [u8]>;
/// [`layout::STATE`], as it was when it was opened.
pub(super) type StateTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// What a poll may still return.
pub(super) struct Budget {
    records: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limits: PollLimits) -> Self {
        Self { records: limits.records, bytes: limits.bytes }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    fn spend(&mut self, bytes: usize) {
        self.records -= 1;
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Reads a partition from a position on, until the budget is spent or the end is reached. Returns the position behind.
pub(super) fn partition(
    table: &RecordTable,
    from: Position,
    budget: &mut Budget,
    records: &mut Vec<Record>,
) -> Result<Position, redb::Error> {
    let place = layout::place(from.topic, from.partition);
    // The batch that holds the offset begins with it or before it.
    let first = match table.range::<&RecordKey>(&layout::record_key(place, 0)..=&layout::record_key(place, from.offset))?.next_back() {
        Some(batch) => layout::offset_of(batch?.0.value()),
        None => from.offset,
    };
    let mut next = from;
    for stored in table.range::<&RecordKey>(&layout::record_key(place, first)..=&layout::record_key(place, u64::MAX))? {
        if budget.is_spent() {
            break;
        }
        let (key, value) = stored?;
        let mut offset = layout::offset_of(key.value());
        let entries = batch::open(value.value()).ok_or_else(|| damaged(next, offset))?;
        let mut rest = entries.as_ref();
        while !rest.is_empty() && !budget.is_spent() {
            let entry = batch::split_first(&mut rest).ok_or_else(|| damaged(next, offset))?;
            if offset >= from.offset {
                budget.spend(entry.key.len() + entry.value.len());
                records.push(Record {
                    topic: from.topic,
                    partition: from.partition,
                    offset,
                    key: entry.key.to_vec(),
                    value: entry.value.to_vec(),
                    entered_at: entry.entered_at,
                });
                next.offset = offset + 1;
            }
            offset += 1;
        }
    }
    Ok(next)
}

fn damaged(at: Position, offset: u64) -> redb::Error {
    redb::Error::Corrupted(format!("the record at offset {offset} of {}, partition {}, is no record", at.topic.name(), at.partition))
}

/// The value of a key of state.
pub(super) fn state(table: &StateTable, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
    let value = table.get(layout::state_key(store, partition, key).as_slice())?;
    Ok(value.map(|value| value.value().to_vec()))
}

/// All keys of state that begin with a prefix, in order, with their values.
pub(super) fn states(table: &StateTable, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, redb::Error> {
    let first = layout::state_key(store, partition, prefix);
    let key_at = first.len() - prefix.len();
    let mut found = Vec::new();
    for stored in table.range::<&[u8]>(first.as_slice()..)? {
        let (key, value) = stored?;
        if !key.value().starts_with(&first) {
            break;
        }
        found.push((key.value()[key_at..].to_vec(), value.value().to_vec()));
    }
    Ok(found)
}
