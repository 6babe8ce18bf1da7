//! What is in the file: its tables and their keys.
//!
//! Keys are compared byte by byte, so numbers in them are big-endian: records of a partition lie in the order of their offsets, and
//! appends to it are always at its end. Names of tasks and stores are kept as text, topics under the numbers given here; neither
//! depends on the order of anything in the code.

use cloudigrade_schemas::Topic;
use redb::TableDefinition;

use crate::log::{Store, TaskId};

/// The format that this program writes. Increase it when an older program could misread the file.
pub(super) const FORMAT: u64 = 1;

/// Facts of the file as a whole: [`META_FORMAT`], [`META_PARTITIONS`].
pub(super) const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Key in [`META`]: the file's format.
pub(super) const META_FORMAT: &str = "format";
/// Key in [`META`]: how many partitions each topic has.
pub(super) const META_PARTITIONS: &str = "partitions";

/// Batches of records under (topic, partition, offset of the first). See [`super::batch`].
pub(super) const RECORDS: TableDefinition<'static, &RecordKey, &[u8]> = TableDefinition::new("records");
/// In topics that keep the latest: (topic, partition, key) to the offset of the record with that key.
pub(super) const LATEST: TableDefinition<'static, &[u8], u64> = TableDefinition::new("latest");
/// (topic, partition) to the offset that the next record gets. An offset is never given twice, even when its record is gone.
pub(super) const ENDS: TableDefinition<'static, &Place, u64> = TableDefinition::new("ends");
/// (store, partition, key) to a value of state.
pub(super) const STATE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("state");
/// (task, topic, partition) to the next offset that the task reads.
pub(super) const POSITIONS: TableDefinition<'static, &[u8], u64> = TableDefinition::new("positions");

/// A topic and a partition.
pub(super) type Place = [u8; PLACE_LEN];
const PLACE_LEN: usize = 5;
/// A topic, a partition and an offset.
pub(super) type RecordKey = [u8; PLACE_LEN + 8];

/// The number that stands for a topic in the file. Never change or reuse one.
const fn number(topic: Topic) -> u8 {
    match topic {
        Topic::CloudTrailRecords => 1,
        Topic::PowerEvents => 2,
        Topic::InstanceIntervals => 3,
        Topic::Coverage => 4,
        Topic::DeadLetters => 5,
        Topic::AccountCommands => 6,
        Topic::Accounts => 7,
        Topic::ImageFacts => 8,
        Topic::Gaps => 9,
        Topic::ImageTags => 10,
        Topic::Images => 11,
        Topic::Users => 12,
        Topic::Tokens => 13,
        Topic::ImageSightings => 14,
        Topic::InspectionCommands => 15,
        Topic::Inspections => 16,
        Topic::InspectionFindings => 17,
    }
}

/// The key of a topic's partition.
pub(super) fn place(topic: Topic, partition: u32) -> Place {
    let [a, b, c, d] = partition.to_be_bytes();
    [number(topic), a, b, c, d]
}

/// Reads what [`place`] wrote.
pub(super) fn parse_place(bytes: &[u8]) -> Result<(Topic, u32), redb::Error> {
    let parse = || {
        let (&stored, partition) = bytes.split_first()?;
        let topic = Topic::ALL.into_iter().find(|topic| number(*topic) == stored)?;
        Some((topic, u32::from_be_bytes(partition.try_into().ok()?)))
    };
    parse().ok_or_else(|| redb::Error::Corrupted(format!("{bytes:02x?} is no topic and partition")))
}

/// The key of the batch that begins with an offset.
pub(super) fn record_key(place: Place, offset: u64) -> RecordKey {
    let mut key = [0; PLACE_LEN + 8];
    key[..PLACE_LEN].copy_from_slice(&place);
    key[PLACE_LEN..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The offset in a [`record_key`].
pub(super) fn offset_of(key: &RecordKey) -> u64 {
    let mut offset = [0; 8];
    offset.copy_from_slice(&key[PLACE_LEN..]);
    u64::from_be_bytes(offset)
}

/// The key of a record's key in [`LATEST`].
pub(super) fn latest_key(place: Place, key: &[u8]) -> Vec<u8> {
    [&place, key].concat()
}

/// The key of a value of state, and with a prefix in place of the key the beginning of all of them.
pub(super) fn state_key(store: Store, partition: u32, key: &[u8]) -> Vec<u8> {
    [store.0.as_bytes(), &[NAME_END], &partition.to_be_bytes(), key].concat()
}

/// How all keys of a task's positions begin; a [`place`] follows.
pub(super) fn task_prefix(task: TaskId) -> Vec<u8> {
    [task.0.as_bytes(), &[NAME_END]].concat()
}

/// The key of a task's position.
pub(super) fn position_key(task: TaskId, place: Place) -> Vec<u8> {
    [task_prefix(task).as_slice(), &place].concat()
}

/// The name that a key of [`STATE`] or [`POSITIONS`] begins with.
pub(super) fn name_of(key: &[u8]) -> Option<&str> {
    let end = key.iter().position(|byte| *byte == NAME_END)?;
    std::str::from_utf8(&key[..end]).ok()
}

/// Behind all keys that begin with a name, and before those of the next.
pub(super) fn behind_name(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[NAME_END; 6]].concat()
}

/// Ends a name. UTF-8 never contains it, so no name is the beginning of another's key.
const NAME_END: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_topics_are_those_of_the_first_files() {
        let numbers = Topic::ALL.map(|topic| (topic.name(), number(topic)));
        let first = [("cloudtrail.records", 1), ("power.events", 2), ("instance.intervals", 3), ("coverage", 4), ("dead.letters", 5)];
        let accounts = [("account.commands", 6), ("accounts", 7), ("image.facts", 8), ("gaps", 9), ("image.tags", 10)];
        let images = [("images", 11), ("users", 12), ("tokens", 13), ("image.sightings", 14)];
        let inspections = [("inspection.commands", 15), ("inspections", 16), ("inspection.findings", 17)];
        let expected: Vec<_> = first.into_iter().chain(accounts).chain(images).chain(inspections).collect();
        assert_eq!(numbers.to_vec(), expected);
    }

    #[test]
    fn a_place_reads_back_and_anything_else_is_damage() {
        for topic in Topic::ALL {
            assert_eq!(parse_place(&place(topic, 70_000)).unwrap(), (topic, 70_000));
        }
        for bytes in [&[][..], &[1, 0, 0, 0], &[0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0]] {
            assert!(parse_place(bytes).is_err());
        }
    }

    #[test]
    fn records_are_ordered_by_topic_then_partition_then_offset() {
        let keys =
            [(1, 255), (1, 256), (256, 0), (257, 1)].map(|(partition, offset)| record_key(place(Topic::Coverage, partition), offset));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| offset_of(&key)), [255, 256, 0, 1]);
    }

    #[test]
    fn a_store_whose_name_begins_another_name_shares_no_keys_with_it() {
        let short = state_key(Store("a"), 0, b"");
        assert!(!state_key(Store("ab"), 0, b"k").starts_with(&short));
        assert!(!state_key(Store("a"), 1, b"k").starts_with(&short));
        assert!(state_key(Store("a"), 0, b"k").starts_with(&short));
    }
}
