//! Waiting until something that was written shows: folded by the operators, and in the tables.

use crate::log::DataLog;
use cloudigrade_pipeline::log::{Log, LogError, Position, TaskSpec};
use cloudigrade_schemas::Topic;
use cloudigrade_schemas::topic::partition_of;

use super::operators::TASKS;
use super::tables::Wake;
use crate::limits::{FOLDED_LOOK_EVERY, SHOWN_WAIT};

/// Waits until something shows. Cheap to clone.
#[derive(Clone)]
pub struct Shown {
    log: DataLog,
    tables: Wake,
}

/// Why it is not known to show.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    /// It took too long. It is in the log, and shows later.
    #[error("it is in the log, but images and tables were not brought up to date within {} s; it shows when they are", SHOWN_WAIT.as_secs())]
    Late,
    /// The log does not read.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Shown {
    /// By a log whose operators run, and the thread that keeps its tables.
    pub fn new(log: DataLog, tables: Wake) -> Self {
        Self { log, tables }
    }

    /// Waits until all that a key's partition of a topic held when this was called is folded by the operators that read the topic, and until
    /// what they made of it is in the tables.
    ///
    /// # Errors
    /// [`NotShown`].
    pub async fn folded(&self, topic: Topic, partition_key: &[u8]) -> Result<(), NotShown> {
        let shown = async {
            folded(&self.log, topic, partition_key).await?;
            self.tables.caught_up().await;
            Ok(())
        };
        tokio::time::timeout(SHOWN_WAIT, shown).await.map_err(|_| NotShown::Late)?
    }

    /// Waits until all that the log held when this was called is in the tables.
    ///
    /// # Errors
    /// [`NotShown`].
    pub async fn in_tables(&self) -> Result<(), NotShown> {
        tokio::time::timeout(SHOWN_WAIT, self.tables.caught_up()).await.map_err(|_| NotShown::Late)
    }
}

/// Waits until all that a key's partition of a topic held when this was called is folded by the operators that read the topic, which run.
///
/// # Errors
/// [`NotShown`].
pub async fn folded(log: &DataLog, topic: Topic, partition_key: &[u8]) -> Result<(), NotShown> {
    let partition = partition_of(partition_key, log.partitions());
    let end = log.end(topic, partition)?.offset;
    let folding = async {
        for task in TASKS.into_iter().filter(|task| task.inputs.contains(&topic)) {
            while !log.is_consumed(position(log, task, topic, partition)?, end)? {
                tokio::time::sleep(FOLDED_LOOK_EVERY).await;
            }
        }
        Ok(())
    };
    tokio::time::timeout(SHOWN_WAIT, folding).await.map_err(|_| NotShown::Late)?
}

fn position(log: &DataLog, task: TaskSpec, topic: Topic, partition: u32) -> Result<Position, LogError> {
    let positions = log.positions(task)?;
    let at = positions.iter().find(|position| position.topic == topic && position.partition == partition);
    Ok(at.copied().unwrap_or(Position { topic, partition, offset: 0 }))
}
