//! The log on Kafka, as the configuration says.

use std::path::Path;

use cloudigrade_connectors::kafka::{CacheError, KafkaOptions, OpenError};
pub use cloudigrade_connectors::kafka::{KafkaLog, KafkaTask};
use cloudigrade_pipeline::log::LogError;

use super::{Process, stores};
use crate::config;
use crate::exit::{Code, error};

/// Opens the log, or makes it. The cache of its state is in the folder, unless another is configured; a command, which ends soon, has it in
/// memory.
///
/// # Errors
/// With the code of what is the matter.
pub fn open(kafka: &config::Kafka, folder: &Path, process: &Process) -> anyhow::Result<KafkaLog> {
    KafkaLog::open(options(kafka, folder, process)?).map_err(|cause| error(code(&cause), cause.to_string()))
}

fn code(cause: &OpenError) -> Code {
    match cause {
        OpenError::Name { .. } => Code::Usage,
        OpenError::Unreachable { .. } | OpenError::Topics { .. } | OpenError::Cache(CacheError::Failed { .. }) => Code::Storage,
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
