//! Tables that follow logs which others add to, and delete from.

use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions, EmbeddedTask};
use cloudigrade_pipeline::log::{Log, LogError, PollLimits, Position, Record, TaskSpec};
use cloudigrade_pipeline::sink::{SinkError, TableRoot, Tables};
use cloudigrade_schemas::Topic;

use super::{extend, rows_now};

/// A log and what others do to it.
enum Others<'a> {
    /// They add to it whenever it is read.
    Add(&'a EmbeddedLog),
    /// They have deleted its first record of coverage.
    HaveDeleted(&'a EmbeddedLog),
}

impl Others<'_> {
    fn log(&self) -> &EmbeddedLog {
        match self {
            Self::Add(log) | Self::HaveDeleted(log) => log,
        }
    }
}

impl Log for Others<'_> {
    type Task = EmbeddedTask;

    fn partitions(&self) -> u32 {
        self.log().partitions()
    }

    fn open_task(&self, spec: TaskSpec, partitions: &[u32]) -> Result<EmbeddedTask, LogError> {
        self.log().open_task(spec, partitions)
    }

    fn read(&self, from: Position, limits: PollLimits) -> Result<Vec<Record>, LogError> {
        if from.offset < self.begin(from.topic, from.partition)?.offset {
            return Err(LogError::Gone { what: "coverage".to_owned(), help: "go on elsewhere".to_owned() });
        }
        let records = self.log().read(from, limits)?;
        if matches!(self, Self::Add(_)) {
            extend(self.log(), from.offset as i64 + 100);
        }
        Ok(records)
    }

    fn begin(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        let end = self.end(topic, partition)?.offset;
        let is_deleted = matches!(self, Self::HaveDeleted(_)) && topic == Topic::Coverage;
        Ok(Position { topic, partition, offset: if is_deleted { end.min(1) } else { 0 } })
    }

    fn end(&self, topic: Topic, partition: u32) -> Result<Position, LogError> {
        self.log().end(topic, partition)
    }
}

#[tokio::test]
async fn catching_up_ends_where_the_log_ended_when_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    let mut tables = Tables::open(&root, log.partitions()).await.unwrap();
    for _ in 0..3 {
        extend(&log, 1);
        assert_eq!(tables.catch_up(&Others::Add(&log)).await.unwrap().commits, 1);
    }
    assert_eq!((tables.catch_up(&log).await.unwrap().commits, tables.catch_up(&log).await.unwrap().commits), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_are_gone_stop_the_tables_until_they_are_written_anew_from_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let root = TableRoot::folder(&folder.path().join("tables")).unwrap();
    for through in 1..=2 {
        extend(&log, through);
    }
    let refused = Tables::open_caught_up(&root, &Others::HaveDeleted(&log)).await.map(drop);
    assert!(matches!(refused, Err(SinkError::Log(LogError::Gone { .. }))), "{refused:?}");
    let rebuilt = Tables::rebuild(&root, &Others::HaveDeleted(&log)).await.unwrap();
    assert_eq!((rebuilt.messages, rows_now(&root, "coverage").await), (1, 1));
    extend(&log, 3);
    let (_, applied) = Tables::open_caught_up(&root, &Others::HaveDeleted(&log)).await.unwrap();
    assert_eq!(applied.messages, 1);
}
