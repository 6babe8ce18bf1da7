//! The names of topics, groups and transactional ids: all begin with the log's prefix, so that one cluster can hold several logs.

use cloudigrade_pipeline::log::{Sharing, Store, TaskId, TaskSpec};
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

    /// The transactional id of a task: stable, since opening it again is what ends the predecessor's transaction. Where each process has a
    /// part of it, or one of its own, each has an id.
    pub(super) fn transactional_id(&self, spec: TaskSpec, member: &str) -> String {
        match spec.sharing {
            Sharing::Alone => format!("{}{}", self.prefix, spec.id),
            Sharing::Divided | Sharing::OfEach => format!("{}{}@{member}", self.prefix, spec.id),
        }
    }

    /// The transactional id of whoever makes the log.
    pub(super) fn maker(&self) -> String {
        format!("{}register", self.prefix)
    }
}

/// Whether Kafka takes a prefix, or the name of a member: its names hold letters, digits, dots, dashes and underscores.
pub(super) fn is_valid(name: &str) -> bool {
    name.len() <= crate::limits::KAFKA_PREFIX_BYTES_MAX && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}
