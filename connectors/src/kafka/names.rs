//! The names of topics, groups and transactional ids: all begin with the log's prefix, so that one cluster can hold several logs.

use cloudigrade_pipeline::log::{Store, TaskId};
use cloudigrade_schemas::Topic;

/// The names of one log.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The Kafka topic of a topic.
    pub(super) fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// The changelog of a store.
    pub(super) fn changelog(&self, store: Store) -> String {
        format!("{}state.{}", self.prefix, store.0)
    }

    /// The topic that says what log this is, and who opened each task last.
    pub(super) fn register(&self) -> String {
        format!("{}register", self.prefix)
    }

    /// The consumer group that keeps a task's positions.
    pub(super) fn group(&self, task: TaskId) -> String {
        format!("{}{task}", self.prefix)
    }

    /// The group that readers without a task name. It keeps nothing.
    pub(super) fn readers(&self) -> String {
        format!("{}readers", self.prefix)
    }

    /// The transactional id of a task: stable, since opening it again is what ends the predecessor's transaction.
    pub(super) fn transactional_id(&self, task: TaskId) -> String {
        format!("{}{task}", self.prefix)
    }

    /// The transactional id of whoever makes the log.
    pub(super) fn maker(&self) -> String {
        format!("{}register", self.prefix)
    }
}

/// Whether Kafka takes a prefix: its names hold letters, digits, dots, dashes and underscores.
pub(super) fn is_valid_prefix(prefix: &str) -> bool {
    prefix.len() <= crate::limits::KAFKA_PREFIX_BYTES_MAX && prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}
