//! The log on Kafka, as the configuration says.

use std::path::Path;

use cloudigrade_connectors::doctor::Finding;
use cloudigrade_connectors::kafka::{CacheError, KafkaOptions, OpenError, check_kafka};
pub use cloudigrade_connectors::kafka::{KafkaLog, KafkaTask};
use cloudigrade_pipeline::log::{LogError, TaskId};

use super::{Process, kafka_security, stores};
use crate::config;
use crate::exit::{Code, error};
use crate::live::{collect, operators};

/// Opens the log, or makes it. The cache of its state is in the folder, unless another is configured; a command, which ends soon, has it in
/// memory.
///
/// # Errors
/// With the code of what is the matter.
pub fn open(kafka: &config::Kafka, folder: &Path, process: &Process) -> anyhow::Result<KafkaLog> {
    KafkaLog::open(options(kafka, folder, process)?).map_err(|cause| error(code(&cause), cause.to_string()))
}

/// Looks whether the cluster is as the log needs it, and changes nothing.
pub fn check(kafka: &config::Kafka, folder: &Path) -> Vec<Finding> {
    let tasks = operators::TASKS.into_iter().chain([cloudigrade_inspect::TASK]).map(|task| task.id);
    let groups: Vec<TaskId> = tasks.chain([collect::LEADER]).collect();
    match options(kafka, folder, &Process::Command) {
        Ok(options) => check_kafka(&options, &groups),
        Err(error) => vec![Finding::failure("kafka", &kafka.bootstrap, error.to_string(), "mend the configuration")],
    }
}

fn code(cause: &OpenError) -> Code {
    match cause {
        OpenError::Name { .. } | OpenError::Settings { .. } => Code::Usage,
        OpenError::Unreachable { .. }
        | OpenError::Refused { .. }
        | OpenError::Topics { .. }
        | OpenError::Cache(CacheError::Failed { .. }) => Code::Storage,
        OpenError::Log(LogError::Retry { .. } | LogError::Storage { .. }) => Code::Storage,
        OpenError::TopicDiffers { .. }
        | OpenError::Partitions { .. }
        | OpenError::Newer { .. }
        | OpenError::Damaged { .. }
        | OpenError::Cache(CacheError::InUse { .. })
        | OpenError::Log(_) => Code::Data,
    }
}

/// What the log on Kafka is like, by the configuration.
fn options(kafka: &config::Kafka, folder: &Path, process: &Process) -> anyhow::Result<KafkaOptions> {
    let member = match &kafka.member {
        Some(member) => member.clone(),
        None => host_name().ok_or_else(|| error(Code::Usage, "this machine has no host name: set kafka.member"))?,
    };
    Ok(KafkaOptions {
        bootstrap: kafka.bootstrap.clone(),
        security: kafka_security::security(kafka)?,
        client_id: kafka.client_id.clone(),
        rack: kafka.client_rack.clone(),
        prefix: kafka.prefix.clone(),
        member: format!("{member}.{}", process.name()),
        session_timeout: kafka.session_timeout,
        cache: match process {
            Process::Lasting(name) => Some(kafka.cache.as_deref().unwrap_or(folder).join("kafka").join(name)),
            Process::Command => None,
        },
        stores: stores::all(),
        partitions: kafka.partitions,
        replication: kafka.replication,
        min_in_sync: kafka.min_in_sync,
    })
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    (!name.is_empty()).then_some(name)
}
