//! The log on Kafka.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use cloudigrade_connectors::limits::KAFKA_SESSION_TIMEOUT;
use cloudigrade_pipeline::embedded::EmbeddedOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;

/// The log on Kafka, in place of the one in the data folder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// Some of the cluster's brokers: `host:port`, separated by commas.
    pub bootstrap: String,
    /// What the names of topics, groups and transactional ids begin with, so that one cluster can hold several logs.
    pub prefix: String,
    /// The name of this process among those that share the log: the same after a restart, and no other's [default: the host's name].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// How long a process may not be heard of before others take its part of the work.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub session_timeout: Duration,
    /// Folder for the cache of state, which each process has for itself [default: the data folder].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// How many partitions each topic has. Fixed when the log is made.
    pub partitions: NonZeroU32,
    /// How many replicas each partition has, at least.
    pub replication: NonZeroU16,
    /// How many replicas must have a record before it counts.
    pub min_in_sync: NonZeroU16,
}

impl Default for Kafka {
    fn default() -> Self {
        const THREE: NonZeroU16 = NonZeroU16::MIN.saturating_add(2);
        const TWO: NonZeroU16 = NonZeroU16::MIN.saturating_add(1);
        Self {
            bootstrap: String::new(),
            prefix: "cloudigrade.".to_owned(),
            member: None,
            session_timeout: KAFKA_SESSION_TIMEOUT,
            cache: None,
            partitions: EmbeddedOptions::default().partitions,
            replication: THREE,
            min_in_sync: TWO,
        }
    }
}

impl Kafka {
    /// What no type can say.
    pub(super) fn faults(&self, hold: &mut impl FnMut(bool, String)) {
        hold(!self.bootstrap.is_empty(), "kafka.bootstrap names no broker: write \"host:9092\"".to_owned());
        hold(
            self.min_in_sync <= self.replication,
            format!("kafka.min_in_sync is {}, of {} replicas (kafka.replication)", self.min_in_sync, self.replication),
        );
        let seconds = self.session_timeout.as_secs();
        hold((6..=1800).contains(&seconds), format!("kafka.session_timeout is {seconds} s: choose 6s to 30m, as brokers allow"));
    }
}
