//! In the place of the log on Kafka, in a program that was built without Kafka's client.

use std::path::Path;

use cloudigrade_connectors::doctor::Finding;
use cloudigrade_pipeline::log::{KeyValue, Log, LogError, PollLimits, Position, Record, StateRead, Store, Task, TaskId, TaskSpec, Txn};
use cloudigrade_schemas::Topic;

use super::Process;
use crate::config;
use crate::exit::{Code, error};

/// There is none.
#[derive(Clone, Debug)]
pub enum KafkaLog {}

/// There is none.
pub enum KafkaTask {}

const NOT_BUILT: &str = "this program was built without Kafka's client";
const HOW_TO_BUILD: &str = "build it with `--features kafka`, which needs a C++ compiler, CMake and OpenSSL's headers";

/// Says that there is none.
///
/// # Errors
/// Always.
pub fn open(_: &config::Kafka, _: &Path, _: &Process) -> anyhow::Result<KafkaLog> {
    Err(absent())
}

/// Says that there is none.
pub fn check(kafka: &config::Kafka, _: &Path) -> Vec<Finding> {
    vec![Finding::failure("kafka", &kafka.bootstrap, NOT_BUILT, HOW_TO_BUILD)]
}

/// Says that there is none.
///
/// # Errors
/// Always.
pub fn open_import(_: &config::Kafka, _: &Path, _: &str, _: &str) -> anyhow::Result<KafkaLog> {
    Err(absent())
}

/// Has nothing to delete.
///
/// # Errors
/// Always.
pub fn forget_import(_: &config::Kafka, _: &Path) -> anyhow::Result<()> {
    Err(absent())
}

fn absent() -> anyhow::Error {
    error(Code::Usage, format!("{NOT_BUILT}: {HOW_TO_BUILD}"))
}

impl KafkaLog {
    /// There is none.
    pub fn finish_import(&self, _: &str, _: &str) -> Result<(), LogError> {
        match *self {}
    }

    /// There are none.
    pub fn positions(&self, _: TaskSpec) -> Result<Vec<Position>, LogError> {
        match *self {}
    }

    /// There is none to lead.
    pub fn lead(&self, _: TaskId, _: &dyn Fn() -> bool, _: &mut dyn FnMut(bool)) -> Result<(), LogError> {
        match *self {}
    }

    /// There are none.
    pub fn may_hold(&self, _: TaskId, _: Topic, _: u32) -> bool {
        match *self {}
    }

    /// There are none.
    pub fn ends(&self, _: Topic) -> Result<Vec<u64>, LogError> {
        match *self {}
    }
}

impl Log for KafkaLog {
    type Task = KafkaTask;

    fn partitions(&self) -> u32 {
        match *self {}
    }

    fn open_task(&self, _: TaskSpec, _: &[u32]) -> Result<KafkaTask, LogError> {
        match *self {}
    }

    fn read(&self, _: Position, _: PollLimits) -> Result<Vec<Record>, LogError> {
        match *self {}
    }

    fn end(&self, _: Topic, _: u32) -> Result<Position, LogError> {
        match *self {}
    }
}

impl StateRead for KafkaLog {
    fn get(&self, _: Store, _: u32, _: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        match *self {}
    }

    fn scan(&self, _: Store, _: u32, _: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        match *self {}
    }
}

impl StateRead for KafkaTask {
    fn get(&self, _: Store, _: u32, _: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        match *self {}
    }

    fn scan(&self, _: Store, _: u32, _: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        match *self {}
    }
}

impl Task for KafkaTask {
    fn poll(&mut self, _: PollLimits) -> Result<Vec<Record>, LogError> {
        match *self {}
    }

    fn commit(&mut self, _: Txn) -> Result<(), LogError> {
        match *self {}
    }
}
