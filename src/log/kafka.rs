//! The log on Kafka, as the configuration says.

use std::path::{Path, PathBuf};

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

/// Opens the log to move another one there, known by `source`, which is at `place`. Its cache of state begins empty, so that all state that is
/// then read comes from Kafka.
///
/// # Errors
/// With the code of what is the matter: the log must have nothing yet but what an interrupted move of the same log brought.
pub fn open_import(kafka: &config::Kafka, folder: &Path, source: &str, place: &str) -> anyhow::Result<KafkaLog> {
    forget_import(kafka, folder)?;
    let options = options(kafka, folder, &importer())?;
    KafkaLog::open_import(options, source, place).map_err(|cause| error(code(&cause), cause.to_string()))
}

/// Deletes the cache of state of [`open_import`].
///
/// # Errors
/// Where the disk refuses.
pub fn forget_import(kafka: &config::Kafka, folder: &Path) -> anyhow::Result<()> {
    let Some(cache) = cache(kafka, folder, &importer()) else { return Ok(()) };
    match std::fs::remove_dir_all(&cache) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(error(Code::Storage, format!("{} cannot be deleted: {cause}", cache.display())))
        }
        _ => Ok(()),
    }
}

/// The process that moves a log.
fn importer() -> Process {
    Process::Lasting("migrate".to_owned())
}

fn cache(kafka: &config::Kafka, folder: &Path, process: &Process) -> Option<PathBuf> {
    match process {
        Process::Lasting(name) => Some(kafka.cache.as_deref().unwrap_or(folder).join("kafka").join(name)),
        Process::Command => None,
    }
}

fn code(cause: &OpenError) -> Code {
    match cause {
        OpenError::Name { .. } | OpenError::Settings { .. } => Code::Usage,
        OpenError::Unreachable { .. }
        | OpenError::Refused { .. }
        | OpenError::Topics { .. }
        | OpenError::Cache(CacheError::Failed { .. }) => Code::Storage,
        OpenError::Log(LogError::Retry { .. } | LogError::Gone { .. } | LogError::Storage { .. }) => Code::Storage,
        OpenError::TopicDiffers { .. }
        | OpenError::Partitions { .. }
        | OpenError::Newer { .. }
        | OpenError::Damaged { .. }
        | OpenError::Importing { .. }
        | OpenError::OtherImport { .. }
        | OpenError::Imported { .. }
        | OpenError::NotEmpty { .. }
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
        member: format!("{member}.{}", name_of(process)),
        session_timeout: kafka.session_timeout,
        cache: cache(kafka, folder, process),
        stores: stores::all(),
        partitions: kafka.partitions,
        replication: kafka.replication,
        min_in_sync: kafka.min_in_sync,
    })
}

/// A name that no other process of the machine has.
fn name_of(process: &Process) -> String {
    match process {
        Process::Lasting(name) => name.clone(),
        Process::Command => format!("command-{}", std::process::id()),
    }
}

fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    (!name.is_empty()).then_some(name)
}
