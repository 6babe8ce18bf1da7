//! Answers what is asked about records of the log.

use cloudigrade_pipeline::log::{Log, LogError, PollLimits, Position, Record};
use cloudigrade_schemas::{Topic, UtcSecond};
use serde::{Deserialize, Serialize};

use super::wire::Refusal;
use crate::limits::{LOOK_BYTES_MAX, LOOK_RECORDS_MAX, LOOK_VALUE_BYTES_MAX};
use crate::log::DataLog;

/// Topics whose values nobody is shown: what passwords and tokens are checked by.
const HIDDEN: [Topic; 2] = [Topic::Users, Topic::Tokens];

/// Which records of a topic are to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordsRequest {
    /// The topic's name.
    pub topic: String,
    /// Where each partition is read from. Empty: only where they end is asked.
    pub from: Vec<u64>,
}

/// Records of a topic, as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsAnswer {
    /// Some of them, in the order of each partition; none at the end.
    pub records: Vec<ShownRecord>,
    /// Where each partition is to be read from next.
    pub next: Vec<u64>,
}

/// A record as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRecord {
    /// The partition.
    pub partition: u32,
    /// The offset.
    pub offset: u64,
    /// When the fact behind it entered the log.
    pub entered_at: UtcSecond,
    /// The key, as text.
    pub key: String,
    /// The value, as text; its first bytes where it is long, and nothing where it is of somebody's password or token.
    pub value: String,
    /// Whether there is more of the value.
    pub cut: bool,
}

/// Shows records of a topic.
///
/// # Errors
/// [`Refusal`] where there is no such topic, or the log fails.
pub(super) async fn answer(log: &DataLog, request: RecordsRequest) -> Result<RecordsAnswer, Refusal> {
    let topic = Topic::ALL.into_iter().find(|topic| topic.name() == request.topic);
    let unknown = || Refusal::new("topic_unknown", format!("there is no topic {}", request.topic), "see `cloudigrade tail --help`");
    let (topic, log) = (topic.ok_or_else(unknown)?, log.clone());
    let looked = tokio::task::spawn_blocking(move || look(&log, topic, request.from)).await;
    looked.map_err(|error| Refusal::failed(&error))?.map_err(|error| Refusal::failed(&error))
}

/// Records of a topic from given offsets on, as far as they are still there; only where its partitions end, where none are given. Whoever looks
/// changes nothing.
///
/// # Errors
/// Those of reading the log.
pub fn look(log: &DataLog, topic: Topic, from: Vec<u64>) -> Result<RecordsAnswer, LogError> {
    let ends = log.ends(topic)?;
    match from.is_empty() {
        true => Ok(RecordsAnswer { records: Vec::new(), next: ends }),
        false => look_up_to(log, topic, from, ends),
    }
}

fn look_up_to(log: &impl Log, topic: Topic, mut from: Vec<u64>, ends: Vec<u64>) -> Result<RecordsAnswer, LogError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    for ((partition, next), end) in (0..).zip(&mut from).zip(ends) {
        while *next < end && records.len() < LOOK_RECORDS_MAX && bytes < LOOK_BYTES_MAX {
            let limits = PollLimits { records: LOOK_RECORDS_MAX - records.len(), bytes: LOOK_BYTES_MAX - bytes, ..PollLimits::default() };
            let read = match log.read(Position { topic, partition, offset: *next }, limits) {
                Err(gone @ LogError::Gone { .. }) => match log.begin(topic, partition)?.offset {
                    begin if begin > *next => {
                        *next = begin;
                        continue;
                    }
                    _ => return Err(gone),
                },
                read => read?,
            };
            // Where nothing is left, there may still be offsets: those of marks and of what was replaced.
            *next = read.last().map_or(end, |last| last.offset + 1);
            bytes += read.iter().map(|record| record.key.len() + record.value.len()).sum::<usize>();
            records.extend(read.into_iter().map(show));
        }
    }
    Ok(RecordsAnswer { records, next: from })
}

fn show(record: Record) -> ShownRecord {
    let Record { topic, partition, offset, key, value, entered_at } = record;
    let shown = if HIDDEN.contains(&topic) { &[][..] } else { &value[..value.len().min(LOOK_VALUE_BYTES_MAX)] };
    ShownRecord {
        partition,
        offset,
        entered_at,
        key: String::from_utf8_lossy(&key).into_owned(),
        value: String::from_utf8_lossy(shown).into_owned(),
        cut: shown.len() < value.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
    use cloudigrade_pipeline::log::{Output, Task, TaskSpec, Txn};

    /// A log whose partitions begin at an offset: what lay before was deleted.
    struct Trimmed(DataLog, u64);

    impl Log for Trimmed {
        type Task = crate::log::DataTask;

        fn partitions(&self) -> u32 {
            self.0.partitions()
        }

        fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<Self::Task, LogError> {
            self.0.open_task(spec, partitions)
        }

        fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError> {
            match from.offset < self.1 {
                true => Err(LogError::Gone { what: "a partition".to_owned(), help: "go on elsewhere".to_owned() }),
                false => self.0.read(from, limits),
            }
        }

        fn begin(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
            Ok(Position { topic, partition, offset: self.1 })
        }

        fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
            self.0.end(topic, partition)
        }
    }

    fn log_of(outputs: Vec<Output>) -> (tempfile::TempDir, DataLog) {
        let folder = tempfile::tempdir().unwrap();
        let log = DataLog::Embedded(EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap());
        log.open_task(TaskSpec::of_each("source"), &[]).unwrap().commit(Txn { outputs, ..Txn::default() }).unwrap();
        (folder, log)
    }

    fn output(topic: Topic, partition: u32, value: Vec<u8>) -> Output {
        Output { topic, partition, key: b"k".to_vec(), value, entered_at: UtcSecond(5) }
    }

    #[test]
    fn looking_again_and_again_shows_each_record_once_until_the_end() {
        let count = 2 * LOOK_RECORDS_MAX + 10;
        let outputs = (0..count).map(|n| output(Topic::PowerEvents, n as u32 % 3, n.to_string().into_bytes()));
        let (_folder, log) = log_of(outputs.collect());
        let ends = look(&log, Topic::PowerEvents, Vec::new()).unwrap();
        assert!(ends.records.is_empty());
        let (mut seen, mut from, mut looks) = (Vec::new(), vec![0; 32], 0);
        while from != ends.next {
            let looked = look(&log, Topic::PowerEvents, from).unwrap();
            assert!(!looked.records.is_empty() && looked.records.len() <= LOOK_RECORDS_MAX);
            seen.extend(looked.records.into_iter().map(|record| record.value.parse::<usize>().unwrap()));
            (from, looks) = (looked.next, looks + 1);
        }
        seen.sort_unstable();
        assert_eq!((looks, seen), (3, (0..count).collect()));
    }

    #[test]
    fn where_records_were_deleted_those_that_are_there_are_shown() {
        let outputs = (0..5_u8).map(|n| output(Topic::PowerEvents, 0, vec![b'0' + n]));
        let (_folder, log) = log_of(outputs.collect());
        let ends = log.ends(Topic::PowerEvents).unwrap();
        let shown = |begin| {
            let looked = look_up_to(&Trimmed(log.clone(), begin), Topic::PowerEvents, vec![0; ends.len()], ends.clone()).unwrap();
            looked.records.into_iter().map(|record| record.value).collect::<Vec<_>>()
        };
        assert_eq!(shown(3), ["3", "4"]);
        assert_eq!(shown(5), Vec::<String>::new());
    }

    #[test]
    fn long_values_are_cut_and_those_of_users_and_tokens_are_not_shown() {
        let long = vec![b'x'; LOOK_VALUE_BYTES_MAX + 1];
        let secret = |topic| output(topic, 0, b"hash".to_vec());
        let (_folder, log) = log_of(vec![output(Topic::Coverage, 0, long), secret(Topic::Users), secret(Topic::Tokens)]);
        for (topic, shown) in [(Topic::Coverage, LOOK_VALUE_BYTES_MAX), (Topic::Users, 0), (Topic::Tokens, 0)] {
            let looked = look(&log, topic, vec![0; 32]).unwrap();
            assert_eq!((looked.records[0].value.len(), looked.records[0].cut, looked.records[0].key.as_str()), (shown, true, "k"));
        }
    }
}
